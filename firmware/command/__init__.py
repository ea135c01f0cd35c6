"""The commands, one a file, and what they share: each is read from flash for itself alone."""
