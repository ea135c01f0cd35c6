"""Resets the board, once it has acknowledged that."""

import time

import machine
import micropython

# Deaf to Ctrl-C from here on, with time for the acknowledgement to leave before USB goes down.
_going_down = True
micropython.kbd_intr(-1)
print(end="\x06")
time.sleep_ms(50)
machine.reset()
