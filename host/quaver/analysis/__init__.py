"""The analysis room: the device's analysis of recordings, and pictures of it."""
