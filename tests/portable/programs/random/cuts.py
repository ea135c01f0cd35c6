"""Starts of a board with the same noise each time, and the power cut at each operation of the flash."""

import json

from cut_flash import every_cut, mounted
from node import entropy, store


class Still:
    @staticmethod
    def ticks_cpu():
        return 0


class Same:
    """Noise that passes its tests, and is the same from every start on."""

    def __init__(self):
        self._state = 1

    def sources(self):
        return [("noise", self._fill)]

    def _fill(self, buffer):
        for i in range(len(buffer)):
            self._state = self._state * 1103515245 + 12345 & 0x7FFFFFFF
            buffer[i] = self._state >> 16 & 0xFF

    def extra(self):
        return b""


entropy.time = Still
given = []


def start():
    made = entropy.Random(Same(), b"board", None, "/flash/random.seed")
    given.append(made.draw(16))
    given.append(made.draw(16))


def first():
    given.clear()  # what another try gave, from the same flash
    start()


def check(cut):
    """What the cut start gave, if it gave anything, comes no more."""
    global in_cuts
    in_cuts += len(given)
    start()
    start()
    assert len(given) == len(set(given)), cut


in_cuts = cuts = 0
flash, _, _ = mounted(None, lambda: None)
for _ in range(3):
    cuts += every_cut(flash, first, check)
    flash, _, _ = mounted(flash, first)
    mounted(flash, lambda: check(None))  # cut right after the last number
    in_cuts -= 2

replace = store.replace
store.replace = lambda path, data: None
given.clear()
start()
start()
print(json.dumps([cuts, in_cuts, len(set(given))]))
