"""Why a sensor gave no reading: the number that an event carries, in words.

Both sides read it: the host for each event, a node from flash for one line of its console and no longer.
Numbers below 200 are errnos of the board's buses. MicroPython has two for a device that does not acknowledge: EIO
on RP2040, ENODEV on ESP32. The drivers' own reasons begin at 200, so that none has two meanings.
"""

if False:  # types alone: never compiled
    from typing import Any

# {}: the detail that follows the number
WORDS = {
    5: "no answer",
    19: "no answer",
    110: "no answer in time",
    116: "no answer in time",
    200: "no answer",
    201: "a broken answer",
    202: "another part answers (identity 0x{:02X})",
    203: "gives no reading",
    204: "stuck: the same value every time ({})",
    205: "out of its range at {:.1f} degrees",
    206: "refuses register 0x{:04X}",
    207: "register 0x{:04X} holds no usable number",
    208: "an echo of the adapter, and no answer",
    209: "address {} answers instead",
    210: "few or uneven pulses, and the machine runs",
    220: "PT100: {} (status 0x{:02X})",
}
_RANGE = 205  # its detail is in thousandths
_REFUSED = 206  # its detail is the register x 256 + the exception code

_WIRES = 220  # its detail is the fault status register of a MAX31865

# MAX31865 datasheet, tables 7 and 10 to 12: what tells most first
_FAULTS = (
    (0x04, "voltage beyond the supply"),
    (0x20, "element or lead open"),
    (0x10, "lead open or shorted"),
    (0x08, "lead shorted"),
    (0x40, "shorted"),
    (0x80, "open, or too hot"),
)

# Modbus Application Protocol V1.1b3, section 7
_EXCEPTIONS = {
    1: "no such function",
    2: "no such register",
    3: "no such value",
    4: "failed",
    5: "acknowledged",
    6: "busy",
    8: "memory parity",
    10: "no path",
    11: "no target",
}


def words(reason: "Any") -> str:
    """What `reason`, a number and perhaps a detail, means; of one that is not known, the numbers themselves."""
    number, detail = (list(reason) + [None, None])[:2]
    text = WORDS.get(number, "{")
    if "{" not in text:
        return text
    if text == "{" or detail is None:
        return "error {}".format(number if detail is None else "{} ({})".format(number, detail))
    if number == _RANGE:
        return text.format(detail / 1000)
    if number == _WIRES:
        named = [name for bit, name in _FAULTS if detail & bit]
        return text.format(named[0] if named else "fault", detail)
    if number == _REFUSED:
        code = detail & 0xFF
        return "{} ({}, {})".format(text.format(detail >> 8), code, _EXCEPTIONS.get(code, "no standard code"))
    return text.format(detail)
