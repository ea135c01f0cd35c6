"""Compiles `burst.c` with the C compiler that is there, once, and loads it from the user's cache."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

from rp2040py.rp2040 import RP2040

from quaver.emulator.compiled import load_compiled

Burst = Callable[[int], int]
"""The C function: address of its `struct chip` -> why it stopped, its `enum stop`."""

_SOURCE = Path(__file__).with_name("burst.c")


def load_burst() -> Burst | None:
    """The compiled function; None where no C compiler can make it, or rp2040py is not compiled itself."""
    if sys.byteorder != "little" or not RP2040.__module__.startswith("rp2040py.native"):
        return None  # it shares memory with rp2040py's compiled core, and reads it as the host does its own
    library = load_compiled("burst", [_SOURCE], "burst")
    if library is None:
        return None
    burst = library.burst
    burst.argtypes = (ctypes.c_void_p,)
    burst.restype = ctypes.c_int
    function: Burst = burst
    return function
