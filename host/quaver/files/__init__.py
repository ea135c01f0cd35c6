"""The files room: files that the package carries, fetches or keeps private, and rows that people give."""
