"""The board's `gc` in a plant of many: as built in, but it collects at a multiple of the threshold.

An object of this port takes twice the room of a microcontroller's, so it would collect twice as often; and collecting
is half of what an idle node costs its host. Less so while a node is built: its buffers want the heap in one piece.
"""

import gc
from gc import *  # noqa: F403

_BUILDS = 4
_RUNS = 16

_times = _BUILDS


def threshold(size=None):
    """The first that is set is that of boot.py."""
    global _times
    if size is None:
        return gc.threshold() // _times
    gc.threshold(size * _times)
    _times = _RUNS
