"""Reads Ctrl-C as any other byte."""

import micropython
import select
import sys
import time

micropython.kbd_intr(-1)
print("deaf")
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
poll.poll(60_000)
print("read", sys.stdin.buffer.read(3))
