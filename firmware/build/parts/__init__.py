"""Accelerometers with a FIFO: a file a part, of facts from its datasheet, that drivers.fifo runs.

ROW:
    the register of its identity, and what it may hold
    what stops it: a register and its value, and so on
    ms from the start to settled samples; what empties the FIFO then; whether a full FIFO loses a part of a sample
    its level: register, bytes, which of them is low and which high (1 where there is none), the bits of the level,
        how many of it make a sample, the bits that say that it was full
    its samples: register, bytes of one, where the low byte of z lies, and the high byte from there
    the bits by which an acceleration is known: where, which, and what they are
    how many samples it holds; the count at which an axis meets the end of the range
    on SPI the bits that make it a read, and the shift of a register's number; on I2C the bit of a burst that counts up

ON: what starts it. RANGE: the register of the range, {g: (its bits, micro-g a count)}; the bits go into what ON or
RATES write there. RATES: {samples/s: what sets it, behind ON}. WAKE, where INT1 may wake the node: what prepares it;
(the register of the scale; its values, each with micro-g a step); (the register of the level; its most; the registers
whose reading clears what was raised); what makes it watch.
"""

import sys

from drivers import fifo

if False:  # types alone: never compiled
    from typing import Any

    from drivers.registers import I2cAccess, SpiAccess


def part(name: str) -> "Any":
    """The module of the part of that name."""
    __import__("build.parts." + name)
    return sys.modules["build.parts." + name]


def accelerometer(found: "Any", access: "I2cAccess | SpiAccess", range_g: int, rate_hz: int) -> fifo.FifoAccelerometer:
    """found: of `part`; access: of drivers.registers. Raises ValueError for a range or rate that it has not."""
    register, ranges = found.RANGE
    if range_g not in ranges or rate_hz not in found.RATES:
        raise ValueError("no {} g or {} samples/s".format(range_g, rate_hz))
    bits, ug_per_lsb = ranges[range_g]
    on = bytearray(found.ON + found.RATES[rate_hz])
    for i in range(0, len(on), 2):
        if on[i] == register:
            on[i + 1] |= bits
    given = (access, found.ROW, bytes(on), rate_hz, ug_per_lsb)
    if hasattr(found, "WAKE"):
        return fifo.WakingAccelerometer(*given, found.WAKE)
    return fifo.FifoAccelerometer(*given)
