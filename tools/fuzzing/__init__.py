"""What tools/fuzz.py is made of: targets on the host, their seeds, one input at a time, MicroPython beside it."""
