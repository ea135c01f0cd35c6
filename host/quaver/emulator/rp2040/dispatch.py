"""Makes the emulator's compiled core fast: takes a Python method lookup out of every emulated memory access.

rp2040py's compiled RP2040 checks at each bus access whether somebody has overridden the access method in
Python. In its stable-ABI build that check looks the method up by name and makes a bound method of it, which
costs more than the access itself. A subclass with a slot of the method's name, filled with the class's own
function, makes that lookup one step, and the check passes at once. The branch condition's evaluator is a
Python-visible method too; the class gets it bound to the one core that this process emulates.

What is emulated does not change: the same compiled functions run with the same arguments.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Self

from rp2040py.rp2040 import RP2040

_NATIVE = RP2040.__module__.startswith("rp2040py.native")
_ACCESS = ("read_uint8", "read_uint16", "read_uint32", "write_uint8", "write_uint16", "write_uint32")
_CORE_METHODS = (
    "check_condition",
    "check_for_interrupts",
    "exception_entry",
    "exception_return",
    "switch_stack",
)


class FastRP2040(RP2040):  # type: ignore[misc, unused-ignore]
    """The chip, with its access methods in slots; to be built in place of rp2040py's, then pinned."""

    if _NATIVE:
        __slots__ = _ACCESS

        def __new__(cls, *arguments: Any) -> Self:
            # The functions are unbound: that is what makes the check short. Filled before the constructor,
            # which reads memory already.
            self = super().__new__(cls, *arguments)
            for name in _ACCESS:
                setattr(self, name, RP2040.__dict__[name])
            return self


def pin_lookups(mcu: Any) -> None:
    """Shorten the other lookups of this chip, and give the DMA channels, which call them from Python, access
    methods that are bound. With a pure-Python rp2040py it changes nothing.
    """
    if not _NATIVE:
        return
    bus = SimpleNamespace(**{name: partial(RP2040.__dict__[name], mcu) for name in _ACCESS})
    mcu.__dict__["find_peripheral"] = mcu.find_peripheral
    for channel in mcu.dma.channels:
        channel.rp2040 = bus
    core = mcu.core
    for name in _CORE_METHODS:
        setattr(type(core), name, getattr(core, name))


class SilentLogger:
    """Takes what the emulator has to say of unimplemented registers: nothing that a user could act on."""

    def debug(self, component_name: str, message: str) -> None: ...

    def info(self, component_name: str, message: str) -> None: ...

    def warning(self, component_name: str, message: str) -> None: ...

    def error(self, component_name: str, message: str) -> None: ...
