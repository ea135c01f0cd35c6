"""The messages room: the messages of nodes, opened and decoded."""
