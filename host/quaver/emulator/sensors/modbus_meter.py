"""An emulated energy meter of no known make on a UART: the SDM120's server, with integers in holding registers.

Its table is what a manual might say: 16-bit integers in tenths and units, a 32-bit counter with its low word first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.sdm120 import SDM120, Register

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

# what a node is told of it
REGISTERS = {
    "voltage_v": "holding 100 uint16 ABCD 0.1",
    "power_w": "holding 101 int16",
    "energy_kwh": "holding 110 uint32 CDAB 0.01",
}


def attached(source: Source) -> Attached:
    """The part where the pytest plugin's rig has it."""
    return Attached("modbus", "uart1", 0, ModbusMeter(3))


class ModbusMeter(SDM120):
    """The meter, with the attributes of a SDM120."""

    FUNCTION = 3
    TABLE: ClassVar[Mapping[int, Register]] = {
        100: Register("voltage", ">H", 10.0),
        101: Register("active_power", ">h", 1.0),
        110: Register("energy", ">I", 100.0, low_first=True),
    }
