"""The desk: one board on a cable: attach, update, console and doctor."""
