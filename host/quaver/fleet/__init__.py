"""The fleet room: nodes in service, their keys, places and commands."""
