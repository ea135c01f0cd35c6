"""This machine's two clocks: the date, which can be set at any moment, and the time since boot, which can't.

The kernel knows whether a time server keeps the date (adjtimex(2): STA_UNSYNC is cleared by ntpd, chronyd with rtcsync
and systemd-timesyncd, and set again when nobody has corrected the clock for hours).
"""

from __future__ import annotations

import ctypes
import secrets
import sys
import time
from pathlib import Path
from typing import NamedTuple

BUILT_MS = 1_767_225_600_000  # 2026: a clock that says less has not been set since the machine was switched on
STEP_MS = 2000  # a date that moved more against the time since boot was set; slewing moves both
_STA_UNSYNC, _STA_NANO = 0x40, 0x2000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Reading(NamedTuple):
    """Both clocks at one moment, ms."""

    date_ms: int
    uptime_ms: int

    @property
    def offset_ms(self) -> int:
        return self.date_ms - self.uptime_ms

    @property
    def plausible(self) -> bool:
        return self.date_ms >= BUILT_MS


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "seconds", "fraction")),
        ("rest", ctypes.c_byte * 256),
    )


def read() -> Reading:
    """The clocks now."""
    date_ms = time.time_ns() // 1_000_000
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps
    return Reading(date_ms, time.clock_gettime_ns(clock) // 1_000_000)


def boot_id() -> str:
    """Names this boot of the machine; where the system has no name for it, one that is new each time."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return secrets.token_hex(8)


def vouched(date_ms: int) -> bool:
    """Whether a time server keeps the date that this machine says it is, by its kernel's word."""
    if sys.platform != "linux":
        return False
    timex = _Timex()
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
            return False  # not allowed in this container
    except (AttributeError, OSError):
        return False
    fraction = timex.fraction // (1_000_000 if timex.status & _STA_NANO else 1000)
    # The kernel vouches for its own time; what a process was given in its place is not that.
    return not timex.status & _STA_UNSYNC and abs(timex.seconds * 1000 + fraction - date_ms) < STEP_MS
