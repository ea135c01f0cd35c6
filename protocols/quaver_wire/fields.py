"""The one table of every field that a payload can carry: integer key, name, type. Both sides read it.

Types: "u" unsigned integer, "f" float, "t" text, "a" array of floats. A key never changes its meaning; a new
field takes a new key, and a reader passes over keys that it does not know.
"""

VERSION = 1

FIELDS = (
    # every payload
    (0, "version", "u"),
    (1, "kind", "u"),
    (2, "node", "t"),
    (3, "boot", "u"),
    (4, "seq", "u"),
    (5, "uptime_ms", "u"),
    # telemetry: one measurement
    (6, "quality", "u"),
    (7, "rate_hz", "f"),
    (8, "samples", "u"),
    (9, "dropped", "u"),
    (10, "rms_g", "f"),
    (11, "peak_g", "f"),
    (12, "crest", "f"),
    (13, "kurtosis", "f"),
    (14, "peaks", "a"),
    (15, "temperature_c", "f"),
    (16, "energy", "a"),
    (17, "level", "u"),
    (18, "heap_free", "u"),
    (40, "jitter_us", "f"),
    (41, "skew", "f"),
    (42, "velocity_mm_s", "f"),
    (43, "zone", "u"),
    (44, "envelope_g", "f"),
    (45, "bands", "a"),
    (46, "lines", "a"),
    (47, "shaft_hz", "f"),
    (48, "shaft_confidence", "f"),
    (49, "machine", "u"),
    (50, "learned", "u"),
    (51, "running_h", "f"),
    (52, "fault", "u"),
    (53, "margin_db", "f"),
    (54, "abstained", "t"),
    # event
    (20, "code", "u"),
    (21, "event_level", "u"),
    (22, "subject", "t"),
    (23, "value", "f"),
    (24, "limit", "f"),
    (25, "text", "t"),
    # status
    (30, "state", "u"),
    (31, "firmware", "t"),
    (32, "board", "t"),
    (33, "interval_s", "u"),
)

KINDS = ("telemetry", "event", "status")
MACHINE = ("stopped", "learning", "watching")
ZONES = "ABCD"
FAULTS = ("outer race", "inner race", "ball", "cage")
# The four lines in `lines`, and what each has: frequency, amplitude, signal to background, and that of two harmonics.
LINES = ("bpfo", "bpfi", "bsf2", "ftf")
LINE = ("hz", "g", "score", "second", "third")
LEVELS = ("ok", "warning", "alarm")
STATES = ("offline", "online")
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
    "fault",
    "baseline_learned",
    "flash_failed",
)
# The position is the bit in `quality`.
QUALITY = ("dropped", "clipped", "vibration_failed", "temperature_failed", "energy_failed", "stuck")
# The order of the values in `energy`.
ENERGY = ("voltage_v", "current_a", "power_w", "apparent_va", "power_factor", "frequency_hz", "energy_kwh")
