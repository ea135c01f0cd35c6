"""The broker room: where a broker is, who connects to it, and how messages are read from it."""
