"""Room on a small heap: modules are read from flash for as long as they are needed, and a file can always be opened.

An open file takes 1,148 bytes in one piece (littlefs caches 1 kB of it), and so does reading a module. A heap that has
ten times as much free, in smaller pieces, has none for it: so one such piece is held back here for that moment.
"""

import gc
import sys

from micropython import const

_FILE = const(1280)

_held = None


def opened(path, mode="r"):
    """open(), with the room that is held back where there is no other."""
    _hold()
    try:
        return open(path, mode)
    except MemoryError:
        _release()
        return open(path, mode)


def load(name):
    """The module of that name, read from flash unless it is there; with the room that is held back, as above."""
    _hold()
    try:
        __import__(name)
    except MemoryError:
        drop((name,))  # what of it was read
        _release()
        __import__(name)
    return sys.modules[name]


def drop(modules):
    """Give back the heap of modules that nothing uses any more.

    The collector takes whatever looks like an address on the stack for one, so a module may seem alive for no
    reason. Emptied, it holds on to nothing.
    """
    for name in modules:
        module = sys.modules.pop(name, None)
        if module:
            package, _, inner = name.rpartition(".")
            if package:
                sys.modules[package].__dict__.pop(inner, None)  # a None there would be taken for the module
            module.__dict__.clear()
    gc.collect()


def _hold():
    global _held
    if _held is None:
        try:
            _held = bytearray(_FILE)
        except MemoryError:
            pass  # the next time, perhaps


def _release():
    global _held
    _held = None
    gc.collect()
