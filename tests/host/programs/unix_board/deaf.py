"""Does not hear Ctrl-C while it counts."""

import micropython

micropython.kbd_intr(-1)
print("deaf")
n = 0
while n < 3_000_000:
    n += 1
micropython.kbd_intr(3)
while True:
    pass
