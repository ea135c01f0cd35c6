"""Has MicroPython's table of names grow by small pieces: a small heap has no long run for the next one.

Names are kept for good, in pools. A new pool takes twice the entries of the last (MicroPython's py/qstr.c): 9 kB in one
piece at the 1,260th name. So a pool with hardly any room left is closed: told to be of 64, which the next one doubles.

A pool is known by where its tables are: behind it, by its number of entries; the last one by the name that was just
made.
"""

import micropython
from micropython import const

_LARGE = const(512)  # entries of a pool whose double is too much
_SMALL = const(64)

_pool = _asked = 0


@micropython.viper
def _peek(at: ptr32) -> int:
    return at[0]


@micropython.viper
def _poke(at: ptr32, value: int):
    at[0] = value


@micropython.viper
def _last(at: int, end: int, name: ptr8, length: int) -> int:
    """The address of the pool whose last name is that one, in the heap from `at` to `end`; or 0.

    Words of a pool: the one before it, the names before it, its entries, those in use, its two tables, its names.
    """
    while uint(at) < uint(end):
        pool = ptr32(at)
        entries, used = pool[2], pool[3]
        if (
            0 < used <= entries
            and entries < 4096
            and pool[4] == at + 24 + 4 * entries
            and (pool[5] == pool[4] + entries or pool[5] == pool[4] + 2 * entries)  # a hash has a byte, or two
        ):
            found = ptr8(pool[5 + used])
            i = 0
            while i < length and found[i] == name[i]:
                i += 1
            if i == length and found[i] == 0:
                return at
        at += 16
    return 0


def trim(heap, heap_end, left):
    """Close the last pool if it is large, and has no more than `left` entries; the heap that it lies in is between
    these addresses."""
    global _pool, _asked
    if _asked and not _pool:
        return  # a table that is not as this module knows it
    if not _asked or _peek(_pool + 8) <= _peek(_pool + 12) + left:
        _asked += 1
        name = "q{}".format(_asked)
        getattr(None, name, None)  # is a name from here on
        _pool = _last(heap, heap_end, name, len(name))
        if _pool and _peek(_pool + 8) >= _LARGE and _peek(_pool + 8) <= _peek(_pool + 12) + left:
            _poke(_pool + 8, _SMALL)
