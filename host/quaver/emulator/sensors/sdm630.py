"""An emulated Eastron SDM630 three-phase energy meter on a UART: the SDM120's server, with another table.

SDM630 Modbus protocol, table of input registers (function 04, IEEE 754 floats of two registers, high word first).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.sdm120 import SDM120, Register, floats

if TYPE_CHECKING:
    from quaver.recordings.sources import Source


def attached(source: Source) -> Attached:
    """The part where the pytest plugin's rig has it."""
    return Attached("sdm630", "uart1", 0, SDM630(2, current=3.0))


class SDM630(SDM120):
    """The meter. As the SDM120, but `voltage` is that of each phase to neutral, `current` that of phase 1, and the
    powers are the three phases' together.

    share: of phases 2 and 3, their currents as parts of phase 1's.
    """

    TABLE: ClassVar[Mapping[int, Register]] = floats(
        {
            0x0000: "voltage",
            0x0002: "voltage",
            0x0004: "voltage",
            0x0006: "current",
            0x0008: "current_2",
            0x000A: "current_3",
            0x000C: "power_1",
            0x000E: "power_2",
            0x0010: "power_3",
            0x002A: "voltage",  # the mean to neutral
            0x002E: "mean_current",
            0x0030: "sum_current",
            0x0034: "active_power",
            0x0038: "apparent_power",
            0x003C: "reactive_power",
            0x003E: "power_factor",
            0x0046: "frequency",
            0x0048: "imported",
            0x004A: "exported",
            0x0156: "energy",
        }
    )

    def __init__(self, address: int = 1, *, share: tuple[float, float] = (0.5, 0.25), **given: Any) -> None:
        super().__init__(address, **given)
        self.share = share

    @property
    def current_2(self) -> float:
        """A."""
        return self.current * self.share[0]

    @property
    def current_3(self) -> float:
        """A."""
        return self.current * self.share[1]

    @property
    def power_1(self) -> float:
        """W."""
        return self.voltage * self.current * self.power_factor

    @property
    def power_2(self) -> float:
        """W."""
        return self.power_1 * self.share[0]

    @property
    def power_3(self) -> float:
        """W."""
        return self.power_1 * self.share[1]

    @property
    def sum_current(self) -> float:
        """A."""
        return self.current * (1 + sum(self.share))

    @property
    def mean_current(self) -> float:
        """A."""
        return self.sum_current / 3

    @property
    def apparent_power(self) -> float:
        """VA, of all phases."""
        return self.voltage * self.sum_current
