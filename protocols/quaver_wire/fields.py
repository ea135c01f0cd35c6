"""The one table of every field that a message can carry: integer key, name, form. Both sides read it.

Forms:
    "u"  unsigned integer
    "z"  unsigned integer that is not sent when it is 0, and reads as 0 when it is absent
    "m"  milliseconds: a byte string, big endian, shortest; CBOR's own integers know no size between 4 and 8 bytes
    "t"  text
    "b"  byte string
    "f"  number of any unit: binary16 where that is exact, binary32 else
    "l"  array of unsigned integers
    "o"  map of text to anything that items.py writes
    (n, ...)  array of numbers, each sent as an integer: the first n a unit, and so on, again from the start
    (name, n, ...)  group: a positional array of named numbers, each sent as an integer, n a unit; null where absent,
         cut after the last that is there. A name of "" marks it.

A key and a place in a group never change their meaning; a new field takes a new key or the group's end, and a reader
passes over what it does not know. Comments tell the step of each number, and why it loses nothing.
"""

if False:  # types alone: never compiled
    from typing import Any


def const(value: int) -> int:
    """What MicroPython's compiler takes for itself, and leaves out of its code; CPython has no such module."""
    return value


def _row(*cells: "Any") -> "Any":
    """A tuple made as the module runs: its names are interned, as those of a constant tuple from a .mpy are not.

    Saves 40 bytes a name, and the time to compare them.
    """
    return cells


def _table(*rows: "Any") -> "tuple[Any, ...]":
    """The cells of all rows in one tuple: 12 to 20 bytes of a node's heap less for each row."""
    return tuple(cell for row in rows for cell in row)


VERSION = 2

COMMON = _table(
    _row(0, "version", "u"),
    # A sealed message has these four in its COSE header and its topic, and not once more inside.
    _row(1, "kind", "u"),
    _row(2, "node", "t"),
    _row(3, "boot", "u"),
    _row(4, "seq", "u"),
    _row(5, "uptime_ms", "m"),
    _row(6, "time_ms", "m"),
)

TELEMETRY = _table(
    _row(7, "level", "z"),
    _row(8, "quality", "z"),
    _row(
        9,
        "",
        _table(
            # 0.05 mg: the IIS3DWB has 0.061 mg a count in its finest range (datasheet, table 3), the ADXL345 3.9
            _row("rms_g", 20000),
            _row("peak_g", 20000),
            # 0.02: the kurtosis of 32,768 samples of noise has a standard error of sqrt(24 / n) = 0.027, skew of half
            # that; the crest factor, a highest value, of more
            _row("crest", 50),
            _row("kurtosis", 50),
            _row("skew", 100),
            _row("velocity_mm_s", 100),  # 0.01 mm/s: ISO 20816-3 sets its boundaries in tenths
            _row("zone", 1),
            _row("envelope_g", 20000),
            _row("temperature_c", 128),  # 1/128 degree: the TMP117's own step (datasheet, 7.6.1.1)
            _row("shaft_hz", 100),  # the lines of the finest spectrum are 0.8 Hz apart
            _row("shaft_confidence", 100),
        ),
    ),
    # V, A, W, VA, power factor, Hz, kWh. SDM120 manual: 0.5 % of range for V and A, 1 % for W and VA, 0.01 for the
    # power factor, 0.2 % for Hz, and a display of 0.01 kWh
    _row(10, "energy", (100, 1000, 10, 10, 100, 100, 100)),
    _row(11, "", _row("rate_hz", 10, "jitter_us", 10, "samples", 1, "dropped", 1)),
    _row(12, "peaks", (10, 20000)),  # Hz, g
    _row(13, "bands", (20000,)),
    # BPFO, BPFI, 2 x BSF, FTF: Hz, g, score, heights of harmonics 2 and 3
    _row(14, "lines", (100, 100000, 100, 100, 100)),
    _row(
        15,
        "",
        _table(
            _row("machine", 1),
            _row("learned", 1),
            _row("running_h", 10),
            _row("fault", 1),
            _row("margin_db", 10),
            _row("class", 1),
        ),
    ),
    _row(16, "abstained", "t"),
    _row(17, "heap_free", "u"),
    # a gateway's own: since its boot, and what waits now
    _row(
        18,
        "",
        _table(
            _row("nodes", 1),
            _row("nodes_heard", 1),
            _row("visits", 1),
            _row("visits_failed", 1),
            _row("relayed", 1),
            _row("backlog", 1),
            _row("commands_waiting", 1),
        ),
    ),
    _row(19, "visit_ages_s", (1,)),  # of each node of its list, in the list's order; null before the first visit
    # a spectrum record's: 256 levels each, of spectrum.py; and where they end, and the envelope's band
    _row(50, "spectrum", "b"),
    _row(51, "envelope_spectrum", "b"),
    _row(
        52,
        "",
        _row("spectrum_hz", 10, "envelope_spectrum_hz", 10, "band_low_hz", 1, "band_high_hz", 1),
    ),
    _row(53, "marks_hz", (100,)),  # of the shaft, BPFO, BPFI, 2 x BSF, FTF; null where it is not known
    _row(54, "class_learned", (1,)),  # as "learned", of each class of a machine that has several
    # 10 mV: an ADC of 12 bits behind a divider tells no less apart
    _row(55, "", _row("battery_v", 100, "battery_days", 1)),
    _row(56, "", _row("humidity_pct", 100)),  # 0.01 %: the SHT4x is sure to 1 % (datasheet, table 1)
    _row(57, "phases", (100, 100, 100, 1000, 1000, 1000, 10, 10, 10)),  # V of L1 to L3, A, W, as of "energy"
    # A motor's, by a clamp: A; Hz; of a pair of sidebands about the line half their distance in Hz, their level and the
    # noise's in dB against the line. 1 mA: a clamp is sure to 1 %. 4,096 samples at 1,000/s: bins of 0.24 Hz
    _row(58, "", _row("current_a", 1000, "line_hz", 100)),
    _row(59, "sidebands", (100, 10, 10)),
    _row(100, "pulses", "u"),
)

EVENT = _table(
    _row(16, "abstained", "t"),
    _row(20, "code", "u"),
    _row(21, "event_level", "u"),
    _row(22, "subject", "t"),
    _row(23, "value", "f"),
    _row(24, "limit", "f"),
    _row(25, "text", "t"),
    _row(26, "drops", "l"),
    _row(27, "oldest_boot", "u"),
    _row(28, "lost_from", "l"),
    _row(29, "count", "u"),
    _row(34, "generation", "u"),
    _row(36, "reason", (1,)),  # a number and perhaps a detail, of reasons.py
    _row(37, "waveform", "u"),  # 1: that of this moment is kept
    # What speaks for an alarm or a fault: the line that stands out, or the part of the velocity's power; the speed
    _row(
        38,
        "",
        _table(
            _row("evidence_line", 1),
            _row("evidence_hz", 100),
            _row("evidence_g", 100000),
            _row("evidence_db", 10),
            _row("margin_db", 10),
            _row("signs", 1),
            _row("sidebands_db", 10),
            _row("shaft_hz", 100),
            _row("shaft_confidence", 100),
            _row("velocity_share", 100),
        ),
    ),
    _row(39, "harmonics_db", (10,)),  # of that line: harmonics 1, 2 and 3 over the background
)

STATUS = _table(
    _row(30, "state", "u"),
    _row(31, "firmware", "t"),
    _row(32, "board", "t"),
    _row(33, "interval_s", "u"),
    _row(35, "role", "z"),  # 1: a gateway
)

COMMAND = _table(
    _row(40, "id", "u"),
    _row(41, "name", "t"),
    _row(42, "args", "o"),
    _row(43, "expiry", "m"),
)

ANSWER = _table(
    _row(40, "id", "u"),
    _row(44, "result", "o"),
    _row(45, "error", "t"),
)

# The position is the kind. Its name is the topic's last segment, and the class that a seal is bound to.
MESSAGE_CLASSES: "tuple[str, ...]" = _row("telemetry", "event", "status", "command", "answer")
TABLES = (TELEMETRY, EVENT, STATUS, COMMAND, ANSWER)

# The position is the number in "fault", and of a line in "lines".
FAULTS: "tuple[str, ...]" = _row(
    *("outer race", "inner race", "ball", "cage"),
    *("unbalance", "misalignment", "looseness", "gear mesh", "resonance", "electrical"),
)
LINES: "tuple[str, ...]" = _row("bpfo", "bpfi", "bsf2", "ftf")

# What a configuration can set limits on, and an event of a level is about: the field that has its value.
LIMITED = {
    "rms": "rms_g",
    "peak": "peak_g",
    "crest": "crest",
    "kurtosis": "kurtosis",
    "velocity": "velocity_mm_s",
    "envelope": "envelope_g",
    "temperature": "temperature_c",
    "current": "current_a",
}

LEVELS: "tuple[str, ...]" = _row("ok", "warning", "alarm")
# The position is the event's code.
EVENTS: "tuple[str, ...]" = _row(
    "",
    "level",
    "sensor_failed",
    "sensor_recovered",
    "task_restarted",
    "config_invalid",
    "boot",
    "low_memory",
    "records_dropped",
    "fault",
    "baseline_learned",
    "flash_failed",
    "message_refused",
    "key_announced",
    "config_rejected",
    "value_absent",
    "hung",
    "update_confirmed",
    "update_rejected",
    "random_failed",
    "battery_low",
    "rule_acted",
    "rule_failed",
)
# The position is the bit in `quality`.
QUALITY: "tuple[str, ...]" = _row(
    *("dropped", "clipped", "vibration_failed", "temperature_failed", "energy_failed", "stuck", "current_failed"),
    "current_clipped",
)


class WireError(ValueError):
    """A value that the wire format can't carry, or bytes that are not of it."""
