"""What runs for ever on a node."""
