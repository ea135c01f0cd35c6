"""The one table of every field that a message can carry: integer key, name, form. Both sides read it.

Forms:
    "u"  unsigned integer
    "z"  unsigned integer that is not sent when it is 0, and reads as 0 when it is absent
    "m"  milliseconds: a byte string, big endian, shortest; CBOR's own integers know no size between 4 and 8 bytes
    "t"  text
    "f"  number of any unit: binary16 where that is exact, binary32 else
    "l"  array of unsigned integers
    "o"  map of text to anything that items.py writes
    (n, ...)  array of numbers, each sent as an integer: the first n a unit, and so on, again from the start
    ((name, n), ...)  group: a positional array of named numbers, each sent as an integer, n a unit; null where absent,
         cut after the last that is there. A name of "" marks it.

A key and a place in a group never change their meaning; a new field takes a new key or the group's end, and a reader
passes over what it does not know. Comments tell the step of each number, and why it loses nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:  # MicroPython has no typing, and does not evaluate annotations
    from typing import Any


def const(value: int) -> int:
    """What MicroPython's compiler takes for itself, and leaves out of its code; CPython has no such module."""
    return value


VERSION = 2

COMMON: "tuple[Any, ...]" = (
    (0, "version", "u"),
    # A sealed message has these four in its COSE header and its topic, and not once more inside.
    (1, "kind", "u"),
    (2, "node", "t"),
    (3, "boot", "u"),
    (4, "seq", "u"),
    (5, "uptime_ms", "m"),
    (6, "time_ms", "m"),
)

TELEMETRY = (
    (7, "level", "z"),
    (8, "quality", "z"),
    (
        9,
        "",
        (
            # 0.05 mg: the IIS3DWB has 0.061 mg a count in its finest range (datasheet, table 3), the ADXL345 3.9
            ("rms_g", 20000),
            ("peak_g", 20000),
            # 0.02: the kurtosis of 32,768 samples of noise has a standard error of sqrt(24 / n) = 0.027, skew of half
            # that; the crest factor, a highest value, of more
            ("crest", 50),
            ("kurtosis", 50),
            ("skew", 100),
            ("velocity_mm_s", 100),  # 0.01 mm/s: ISO 20816-3 sets its boundaries in tenths
            ("zone", 1),
            ("envelope_g", 20000),
            ("temperature_c", 128),  # 1/128 degree: the TMP117's own step (datasheet, 7.6.1.1)
            ("shaft_hz", 100),  # the lines of the finest spectrum are 0.8 Hz apart
            ("shaft_confidence", 100),
        ),
    ),
    # V, A, W, VA, power factor, Hz, kWh. SDM120 manual: 0.5 % of range for V and A, 1 % for W and VA, 0.01 for the
    # power factor, 0.2 % for Hz, and a display of 0.01 kWh
    (10, "energy", (100, 1000, 10, 10, 100, 100, 100)),
    (11, "", (("rate_hz", 10), ("jitter_us", 10), ("samples", 1), ("dropped", 1))),
    (12, "peaks", (10, 20000)),  # Hz, g
    (13, "bands", (20000,)),
    # BPFO, BPFI, 2 x BSF, FTF: Hz, g, score, heights of harmonics 2 and 3
    (14, "lines", (100, 100000, 100, 100, 100)),
    (15, "", (("machine", 1), ("learned", 1), ("running_h", 10), ("fault", 1), ("margin_db", 10))),
    (16, "abstained", "t"),
    (17, "heap_free", "u"),
)

EVENT = (
    (20, "code", "u"),
    (21, "event_level", "u"),
    (22, "subject", "t"),
    (23, "value", "f"),
    (24, "limit", "f"),
    (25, "text", "t"),
    (26, "drops", "l"),
    (27, "oldest_boot", "u"),
    (28, "lost_from", "l"),
    (29, "count", "u"),
)

STATUS = (
    (30, "state", "u"),
    (31, "firmware", "t"),
    (32, "board", "t"),
    (33, "interval_s", "u"),
)

COMMAND = (
    (40, "id", "u"),
    (41, "name", "t"),
    (42, "args", "o"),
    (43, "expiry", "m"),
)

ANSWER = (
    (40, "id", "u"),
    (44, "result", "o"),
    (45, "error", "t"),
)

# The position is the kind. Its name is the topic's last segment, and the class that a seal is bound to.
KINDS = ("telemetry", "event", "status", "command", "answer")
TABLES: "tuple[tuple[Any, ...], ...]" = (TELEMETRY, EVENT, STATUS, COMMAND, ANSWER)

LEVELS = ("ok", "warning", "alarm")
# The position is the event's code.
EVENTS = (
    "",
    "level",
    "sensor_failed",
    "sensor_recovered",
    "task_restarted",
    "config_invalid",
    "boot",
    "low_memory",
    "records_dropped",
    "message_refused",
    "key_announced",
)
# The position is the bit in `quality`.
QUALITY = ("dropped", "clipped", "vibration_failed", "temperature_failed", "energy_failed", "stuck")


class WireError(ValueError):
    """A value that the wire format can't carry, or bytes that are not of it."""
