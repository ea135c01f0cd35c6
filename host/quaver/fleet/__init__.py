"""The fleet room: nodes in service: their keys, topic prefixes and commands."""
