"""A heap in pieces: every second of many is free, which is half of it, and none is large enough for a file."""

import gc


def fill():
    gc.collect()
    pieces = [None] * 4000
    at = 0
    try:
        while True:
            pieces[at] = bytearray(480)
            at += 1
    except MemoryError:
        pass
    for i in range(0, at, 2):
        pieces[i] = None
    gc.collect()
    return pieces
