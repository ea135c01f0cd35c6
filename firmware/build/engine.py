"""From a node's configuration to its signal path."""

from micropython import const

from dsp.alarm import Threshold
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp.engine import Engine
from dsp.lines import Lines
from dsp.measurement import Measurement
from node import room

_SLOW_RPM = const(600)  # below it velocity begins at 2 Hz (ISO 20816-3, 4.2.2)


def ratios(machine: dict, problems: list[str]) -> tuple[float, float, float, float] | None:
    """The bearing's ratios, or None; a bearing with a mistake is a problem, and none is looked for."""
    if machine["bearing"] is None:
        return None
    from build import bearings

    try:
        return bearings.ratios(machine["bearing"])
    except ValueError as error:
        problems.append("machine.{}".format(error))
        return None


def zones(machine: dict, problems: list[str]) -> tuple[float, float, float] | None:
    """The boundaries of the machine's zones, or None."""
    if not machine["group"]:
        return None
    from build import zones as iso20816

    try:
        return iso20816.limits(machine["group"], machine["mounting"])
    except ValueError as error:
        problems.append(str(error))
        return None


def thresholds(config: dict) -> dict[str, Threshold]:
    """{feature: dsp.alarm.Threshold} of the limits that a checked configuration sets."""
    rule = config["alarm"]
    return {
        feature: Threshold(warning, alarm, rule["hysteresis"], rule["count"], rule["of"])
        for feature, (warning, alarm) in config["limits"].items()
    }


def band(given: dict) -> tuple[float, float] | None:
    """(low, high) in Hz of the envelope's band, by the configuration's section "vibration"; None: by the rate."""
    return (given["band_low_hz"], given["band_high_hz"]) if given["band_high_hz"] else None


def engine(rate_hz: float, config: dict, problems: list[str]) -> Engine:
    """The dsp.engine.Engine for samples at rate_hz, by the sections "vibration", "machine" and "alarm" of a checked
    configuration; what of the machine can't be taken is added to `problems`. Raises ValueError."""
    given = config["vibration"]
    machine = config["machine"]
    rule = config["alarm"]
    rpm = machine["rpm"]
    bearing, limits = ratios(machine, problems), zones(machine, problems)
    room.drop("build.zones", "build.bearings", "quaver_wire.bearings")  # the measurement's buffers need their room
    room.spend()
    measurement = Measurement(
        rate_hz,
        band=band(given),
        n=given["samples"] or None,
        nominal_hz=rpm / 60 or None,
        slowest_hz=2 if 0 < rpm < _SLOW_RPM else 10,
    )
    diagnosis = Diagnosis(
        Baseline(machine["learn"]),
        zones=limits,
        count=rule["count"],
        of=rule["of"],
        hysteresis=rule["hysteresis"],
        running_g=machine["running_g"],
    )
    classes = None
    if machine["classes"]:
        from dsp.classes import Classes  # few machines have several

        classes = Classes(diagnosis, *machine["classes"])
    return Engine(measurement, Lines(bearing) if bearing else None, diagnosis, classes)
