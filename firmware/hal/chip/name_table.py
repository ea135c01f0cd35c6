"""Has MicroPython's table of names grow by small pieces: a small heap has no long run for the next one.

Names are kept for good, in pools. A new pool takes twice the entries of the last (MicroPython's py/qstr.c): 9 kB in one
piece at the 1,260th name. So a pool with hardly any room left is closed: told to be of 64, which the next one doubles.

A pool is known by where its tables are: behind it, by its number of entries; the first one here by the name that was
just made, each later one by the pool before it.
"""

import micropython
from micropython import const

_SMALL = const(64)

_pool = -1  # the last one's address; 0 where the table is not as this module knows it


@micropython.viper
def _peek(at: ptr32) -> int:
    return at[0]


@micropython.viper
def _poke(at: ptr32, value: int):
    at[0] = value


@micropython.viper
def _found(at: int, end: int, before: int, name: ptr8, length: int) -> int:
    """The address of a pool in the heap from `at` to `end`, or 0: the one whose last name is that one, or, without a
    name, the one that follows the pool `before`.

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
            if length == 0:
                if pool[0] == before:
                    return at
            else:
                found = ptr8(pool[5 + used])
                i = 0
                while i < length and found[i] == name[i]:
                    i += 1
                if i == length and found[i] == 0:
                    return at
        at += 16
    return 0


def trim(heap, heap_end, large, left):
    """Close the last pool if it has `large` entries or more, and at most `left` of them are free; the heap that it lies
    in is between these addresses."""
    global _pool
    if _pool < 0:
        name = "q{}".format(0)
        getattr(None, name, None)  # is a name from here on, the last one
        _pool = _found(heap, heap_end, 0, name, len(name))
    following = _pool
    while following and _peek(following + 8) <= _peek(following + 12):  # it is full, or closed
        _pool = following
        following = _found(heap, heap_end, following, "", 0)
    _pool = following or _pool
    if _pool and _peek(_pool + 8) >= large and _peek(_pool + 8) <= _peek(_pool + 12) + left:
        _poke(_pool + 8, _SMALL)
