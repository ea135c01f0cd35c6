"""What keeps a store in bounds and safe: retention by policy, backup and restore."""
