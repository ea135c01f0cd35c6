"""What each number of a record is: its title, its unit in UCUM, and how SenML and Home Assistant call it. One table.

UCUM: the Unified Code for Units of Measure, case sensitive codes. SenML: RFC 8428, section 12.1, base units alone, so a
number is multiplied by `factor` on its way. Home Assistant: device classes of its sensor entity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

STANDARD_GRAVITY = 9.80665  # m/s2, exact: CGPM 1901


class Quantity(NamedTuple):
    """device_class: Home Assistant's, "" where it has none; total: it only grows, as the energy of a meter does."""

    title: str
    ucum: str
    senml: str = ""  # "": RFC 8428 has no unit for it, and none is given
    factor: float = 1.0
    device_class: str = ""
    total: bool = False


_SHARE = ("1", "/")
_FREQUENCY = ("Hz", "Hz", 1.0, "frequency")
_ACCELERATION = ("[g]", "m/s2", STANDARD_GRAVITY)

# Of telemetry and status, by the names of protocols/quaver_wire/fields.py; inner names behind a dot.
QUANTITIES = {
    "rms_g": Quantity("vibration acceleration, RMS", *_ACCELERATION),
    "peak_g": Quantity("vibration acceleration, peak", *_ACCELERATION),
    "crest": Quantity("crest factor", *_SHARE),
    "kurtosis": Quantity("kurtosis", *_SHARE),
    "skew": Quantity("skewness", *_SHARE),
    "velocity_mm_s": Quantity("vibration velocity, RMS, 10 Hz to 1 kHz", "mm/s", "m/s", 1e-3, "speed"),
    "envelope_g": Quantity("acceleration envelope, RMS", *_ACCELERATION),
    "temperature_c": Quantity("temperature", "Cel", "Cel", 1.0, "temperature"),
    "humidity_pct": Quantity("relative humidity", "%", "%RH", 1.0, "humidity"),
    "shaft_hz": Quantity("shaft speed", *_FREQUENCY),
    "shaft_confidence": Quantity("how sure the shaft speed is, 0 to 1", *_SHARE),
    "energy.voltage_v": Quantity("voltage", "V", "V", 1.0, "voltage"),
    "energy.current_a": Quantity("current", "A", "A", 1.0, "current"),
    "energy.power_w": Quantity("active power", "W", "W", 1.0, "power"),
    "energy.apparent_va": Quantity("apparent power", "V.A", "VA", 1.0, "apparent_power"),
    "energy.power_factor": Quantity("power factor", "1", "/", 1.0, "power_factor"),
    "energy.frequency_hz": Quantity("mains frequency", *_FREQUENCY),
    "energy.energy_kwh": Quantity("active energy imported", "kW.h", "J", 3.6e6, "energy", total=True),
    **{
        f"phases.l{phase}_{name}": Quantity(f"{title} of phase L{phase}", unit, unit, 1.0, device_class)
        for name, title, unit, device_class in (
            ("voltage_v", "voltage", "V", "voltage"),
            ("current_a", "current", "A", "current"),
            ("power_w", "active power", "W", "power"),
        )
        for phase in (1, 2, 3)
    },
    "current_a": Quantity("motor current, RMS", "A", "A", 1.0, "current"),
    "line_hz": Quantity("supply frequency in the motor current", *_FREQUENCY),
    "sidebands.offset_hz": Quantity("distance of the line's sidebands in the motor current", *_FREQUENCY),
    "sidebands.level_db": Quantity("level of the line's sidebands in the motor current", "dB", "dB"),
    "sidebands.noise_db": Quantity("level that noise reaches beside the line in the motor current", "dB", "dB"),
    "rate_hz": Quantity("sample rate, measured", *_FREQUENCY),
    "jitter_us": Quantity("jitter of the samples' times, RMS", "us", "s", 1e-6),
    "samples": Quantity("samples of the measurement", "1"),
    "dropped": Quantity("samples that the sensor dropped", "1"),
    "running_h": Quantity("hours that the machine ran", "h", "s", 3600.0, "duration", total=True),
    "learned": Quantity("measurements of the baseline so far", "1"),
    "margin_db": Quantity("evidence of the fault over that of the next line", "dB", "dB"),
    "class": Quantity("class of speed or load, from 1 on", "1"),
    "heap_free": Quantity("free heap", "By", "B", 1.0, "data_size"),
    "battery_v": Quantity("battery voltage", "V", "V", 1.0, "voltage"),
    "battery_days": Quantity("days that the battery has left, by the charge counted", "d", "s", 86400.0, "duration"),
    "pulses": Quantity("pulses counted", "1", total=True),
    "nodes": Quantity("nodes on a gateway's list", "1"),
    "nodes_heard": Quantity("nodes that a gateway has heard", "1"),
    "visits": Quantity("connections of a gateway since its start", "1"),
    "visits_failed": Quantity("connections of a gateway that failed", "1"),
    "relayed": Quantity("records that a gateway has handed on", "1"),
    "backlog": Quantity("records that wait in a gateway", "1"),
    "commands_waiting": Quantity("commands that wait in a gateway", "1"),
    "interval_s": Quantity("interval between measurements", "s", "s", 1.0, "duration"),
    "spectrum_hz": Quantity("where the spectrum ends", "Hz", "Hz"),
    "envelope_spectrum_hz": Quantity("where the envelope's spectrum ends", "Hz", "Hz"),
    "band_low_hz": Quantity("where the envelope's band begins", "Hz", "Hz"),
    "band_high_hz": Quantity("where the envelope's band ends", "Hz", "Hz"),
}
# Numbers without a unit of their own: where a record stands, codes, and what an event is about.
PLAIN_NUMBERS = {
    "value": "what the event's subject was measured as, in its unit",
    "limit": "the limit that it passed, in the same unit",
    "count": "how many",
    "oldest_boot": "the oldest boot of which the node still holds records",
    "generation": "of the device key",
    "waveform": "1: the waveform of this moment is kept on the node",
    "uptime_ms": "since the node's boot",
    "time_ms": "by the node's clock, since 1970",
    "version": "of the wire format",
    "evidence_hz": "the line that stands out",
    "evidence_g": "its amplitude",
    "evidence_db": "its evidence",
    "signs": "independent signs of it",
    "sidebands_db": "the evidence of its sidebands",
    "velocity_share": "the part of the velocity's power in one line",
    "id": "of the command",
}


OWN = "quantities."  # begins the name of what has no field, and is called by its record alone
# What such a quantity has, by its unit: SenML's unit, what a value is multiplied by, and Home Assistant's device class.
# None stands with K, which may be a difference, nor where Home Assistant knows the class and not the unit (MPa).
_BY_UNIT = {quantity.ucum: (quantity.senml, quantity.factor, "") for quantity in QUANTITIES.values()} | {
    "Pa": ("Pa", 1.0, "pressure"),
    "mbar": ("Pa", 1e2, "pressure"),
    "kPa": ("Pa", 1e3, "pressure"),
    "bar": ("Pa", 1e5, "pressure"),
    "MPa": ("Pa", 1e6, ""),
    "m3/s": ("m3/s", 1.0, "volume_flow_rate"),
    "m3/h": ("m3/s", 1 / 3600, "volume_flow_rate"),
    "l/min": ("m3/s", 1e-3 / 60, "volume_flow_rate"),
    "m3": ("m3", 1.0, ""),
    "l": ("m3", 1e-3, ""),
    "m": ("m", 1.0, "distance"),
    "mm": ("m", 1e-3, "distance"),
    "m/s": ("m/s", 1.0, "speed"),
    "mm/s": ("m/s", 1e-3, "speed"),
    "kg": ("kg", 1.0, "weight"),
    "N": ("N", 1.0, ""),
    "K": ("K", 1.0, ""),
    "Cel": ("Cel", 1.0, "temperature"),
    "Hz": ("Hz", 1.0, "frequency"),
    "V": ("V", 1.0, "voltage"),
    "A": ("A", 1.0, "current"),
    "W": ("W", 1.0, "power"),
    "kW": ("W", 1e3, "power"),
    "%": ("/", 1e-2, ""),
}
_NUMBERS = {int, float}
_GROUPS: dict[str, dict[str, str]] = {}  # of a field that is a group: inner name -> name in QUANTITIES
for _name in QUANTITIES:
    if "." in _name:
        _GROUPS.setdefault(_name.partition(".")[0], {})[_name.partition(".")[2]] = _name


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record's fields, by their names in QUANTITIES; what has no field, by OWN and its name."""
    found = {name: value for name, value in values.items() if type(value) in _NUMBERS and name in QUANTITIES}
    for group, names in _GROUPS.items():
        inside = values.get(group)
        if isinstance(inside, dict):
            found |= {names[name]: value for name, value in inside.items() if type(value) in _NUMBERS and name in names}
    if "quantities" in values:
        found |= {f"{OWN}{name}": own["value"] for name, own in _own(values).items()}
    return found


def units_of(values: Mapping[str, Any]) -> dict[str, str]:
    """The units in UCUM of a record's numbers that have no field, by name, as in `numbers_of`."""
    return {f"{OWN}{name}": own["unit"] for name, own in _own(values).items()} if "quantities" in values else {}


def quantity_of(name: str, ucum: str) -> Quantity:
    """What a number is; ucum: its unit, for what has no field. `name`: as in `numbers_of`."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    return Quantity(name.removeprefix(OWN).replace("_", " "), ucum, *_BY_UNIT.get(ucum, ()))


def _own(values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    own = values["quantities"]
    if isinstance(own, dict) and all(isinstance(one, dict) for one in own.values()):
        return own
    return {}  # of a later version, which this one could not read


def numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, Quantity, float]]:
    """The numbers of a record: (name as in `numbers_of`, what it is, value)."""
    units = units_of(values)
    for name, value in numbers_of(values).items():
        yield name, quantity_of(name, units.get(name, "")), value
