"""What runs for ever on a gateway."""
