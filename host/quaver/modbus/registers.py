"""What a register holds: Modbus Application Protocol 1.1b3, 4.2 says big-endian words; vendors order them in four ways.

An order is written by the bytes of 0x0A0B0C0D in the order in which they come: ABCD is the protocol's own.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from quaver.messages.quantities import QUANTITIES
from quaver_wire.names import ENERGY

TYPES = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f"}
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
# field of a record that a register can be -> its unit in UCUM
FIELDS = {
    name: QUANTITIES[name].ucum
    for name in (
        *("rms_g", "velocity_mm_s", "temperature_c", "shaft_hz", "running_h"),
        *(f"energy.{name}" for name in ENERGY),
    )
}
# (unit of a register, unit of a field) -> factor and offset
CONVERSIONS = {
    ("m/s2", "[g]"): (1 / 9.80665, 0.0),
    ("m/s", "mm/s"): (1000.0, 0.0),
    ("[in_i]/s", "mm/s"): (25.4, 0.0),
    ("K", "Cel"): (1.0, -273.15),
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("/min", "Hz"): (1 / 60, 0.0),
    ("s", "h"): (1 / 3600, 0.0),
    ("min", "h"): (1 / 60, 0.0),
    ("mV", "V"): (1e-3, 0.0),
    ("kV", "V"): (1e3, 0.0),
    ("mA", "A"): (1e-3, 0.0),
    ("kW", "W"): (1e3, 0.0),
    ("kV.A", "V.A"): (1e3, 0.0),
    ("%", "1"): (1e-2, 0.0),
    ("W.h", "kW.h"): (1e-3, 0.0),
    ("MW.h", "kW.h"): (1e3, 0.0),
}


def words_of(kind: str) -> int:
    """How many registers a type takes."""
    return struct.calcsize(TYPES[kind]) // 2


def number(words: Sequence[int], kind: str, order: str) -> float:
    """What registers hold as a type of TYPES, in an order of ORDERS."""
    swapped = order in ("BADC", "DCBA")
    found = [word.to_bytes(2, "little" if swapped else "big") for word in words[: words_of(kind)]]
    if order in ("CDAB", "DCBA"):
        found.reverse()
    value: float = struct.unpack(">" + TYPES[kind], b"".join(found))[0]
    return value
