"""The drivers' room: one sensor a file; takes a bus, returns integers, imports nothing of ours."""
