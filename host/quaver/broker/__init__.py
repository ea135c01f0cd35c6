"""The broker room: a broker's address, its clients, and reading its messages."""
