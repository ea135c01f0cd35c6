"""Whether this start is a wake from a deep sleep that is to measure alone: in a hurry, and with memory to spare."""

import sys

import machine

_MARK = b"\x76\x51"  # of node.retained: such a wake
# An import of one of these looks for a file of that name first, which takes 6 ms, each time.
_MODULES = ("array", "binascii", "collections", "gc", "json", "os", "struct", "sys", "time")


def hurries() -> bool:
    """Whether it is one; then what the chip's image has of modules is found at once."""
    deep = getattr(machine, "DEEPSLEEP_RESET", None)
    if deep is None or machine.reset_cause() != deep or machine.RTC().memory()[:2] != _MARK:
        return False
    for name in _MODULES:
        sys.modules[name] = __import__(name)
    return True
