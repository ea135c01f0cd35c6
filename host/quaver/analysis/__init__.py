"""The analysis room: what the device's code says of recordings, and pictures of it."""
