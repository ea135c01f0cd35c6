"""The board's `gc` in a plant of many: as built in, but it collects at four times the threshold.

An object of this port takes twice the room of a microcontroller's, so it would collect twice as often; and collecting
is half of what an idle node costs its host.
"""

import gc
from gc import *  # noqa: F403

_TIMES = 4


def threshold(size=None):
    if size is None:
        return gc.threshold() // _TIMES
    gc.threshold(size * _TIMES)
