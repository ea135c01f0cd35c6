"""Room on a small heap: modules are read from flash for as long as they are needed, and a file can always be opened.

A folder of modules is a lifetime: node/ and gateway/ run for ever, build/ is needed to build either, service/ while
commands come, command/ for one command, enrol/ until a blank node is enrolled. `drop` ends one, by its name.

An open file takes 1,148 bytes in one piece (littlefs caches 1 kB of it), and so does reading a module; on an ESP32 it
is 256. A heap that has ten times as much free, in smaller pieces, has none for it: so one such piece is held back here
for that moment, and taken again as soon as the collector has freed it. It is no larger: what a file leaves of it would
be filled, and an ESP32's heap would grow for it, into the network's memory.
"""

import gc
import sys

from micropython import const

_NO_MEMORY = const(12)

_BUFFERS = const(33000)  # bytes of a measurement's two largest, 24 kB and 8, and of what comes between them

# An ESP32's heap takes the network's memory before it says that it is full, so the room is given up at once there.
_GROWS = sys.platform == "esp32"

# Words: an open file in the heap's blocks of 16 bytes, and the one that a list keeps when it is cleared.
SIZE = 68 if _GROWS else 292

_held = None
_kept: list = []
_stay: tuple = ()


def keep() -> None:
    """Hold, before modules lie there, the run of heap that a measurement's buffers take, until `spend`."""
    global _kept
    _kept = [None] * (_BUFFERS // 4)


def spend() -> None:
    """The buffers are made next."""
    _kept.clear()  # is free at once; what is only let go may look alive to the collector


def opened(path: str, mode: str = "r"):
    """open(), with the room that is held back where there is no other.

    Where there is none either, a file to be written raises OSError, for flash can't be written now, and one to be
    read MemoryError, for there is nothing wrong with it.
    """
    _ready()
    try:
        return open(path, mode)
    except MemoryError:
        _release()
    try:
        return open(path, mode)
    except MemoryError:
        if mode[0] == "r":
            raise
        raise OSError(_NO_MEMORY)


def load(name: str):
    """The module of that name, read from flash unless it is there; with the room that is held back, as above."""
    _ready()
    try:
        __import__(name)
    except (MemoryError, ImportError):  # what finds modules is Python too: a want of memory there is told as the latter
        drop(name)  # what of it was read
        _release()
        __import__(name)
    return sys.modules[name]


def stay(*names: str) -> None:
    """From here on `drop` leaves modules of these names alone."""
    global _stay
    _stay = names


def _among(name: str, names: tuple) -> bool:
    return any(name == given or name.startswith(given + ".") for given in names)


def drop(*names: str) -> None:
    """Give back the heap of modules that nothing uses any more: each name is a folder of them, or one module.

    The collector takes whatever looks like an address on the stack for one, so a module may seem alive for no
    reason. Emptied, it holds on to nothing. This module stays, whatever is given.
    """
    for name in list(sys.modules):
        own = (__name__ + ".").startswith(name + ".")
        if not own and _among(name, names):
            forget(name)
    tidy()


def forget(name: str) -> None:
    """The same of one module, where there is no time to collect."""
    if name in sys.modules and not _among(name, _stay):
        _forget(name)


def _forget(name: str) -> None:
    module = sys.modules.pop(name)
    folder, _, inner = name.rpartition(".")
    if folder in sys.modules:
        sys.modules[folder].__dict__.pop(inner, None)  # a None there would be taken for the module
    module.__dict__.clear()


def tidy() -> None:
    """Collect what is garbage, and hold room for a file again."""
    gc.collect()
    _hold()


def _hold() -> None:
    global _held
    if _held is None:
        try:
            _held = [None] * SIZE
        except MemoryError:
            pass  # the next time, perhaps


def _ready() -> None:
    _hold()
    if _GROWS:
        _release()


def _release() -> None:
    global _held
    gc.collect()
    if _held:
        _held.clear()  # is free at once; what is only let go may look alive to the collector
        _held = None
