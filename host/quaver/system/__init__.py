"""The system room: what this command's own machine says of itself: its clock, its identity, who holds a file."""
