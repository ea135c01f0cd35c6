"""Units of acceleration: their names, how headers write them, and whether values can be what they are said to be."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from quaver.recordings.contents import UnitError

STANDARD_GRAVITY = 9.80665  # m/s², ISO 80000-3
# g a unit; None where only a scale can tell.
G_PER_UNIT: dict[str, float | None] = {
    "g": 1.0,
    "m/s2": 1 / STANDARD_GRAVITY,
    "mm/s2": 1e-3 / STANDARD_GRAVITY,
    "mg": 1e-3,
    "lsb": None,
}
# How headers write them, after `_plain`.
_WRITTEN = {
    **dict.fromkeys(("g", "gs", "gn", "g0", "gee", "grms", "gravity", "gravities", "earthgravity"), "g"),
    **dict.fromkeys(("mg", "milli-g", "millig", "mgs"), "mg"),
    **dict.fromkeys(
        ("m/s2", "m/s/s", "ms-2", "m/sec2", "mps2", "ms2", "m/ss", "m_s2", "m_s_2", "meterspersecondsquared",
         "m/(s2)", "m/sqs", "m/s/sec", "meters/second2", "metre/second2", "meter/s2", "metre/s2", "meters/s2",
         "m_per_s2", "m_s-2", "\u043c/\u04412", "米/秒2"),
        "m/s2",
    ),
    **dict.fromkeys(("mm/s2", "mm/s/s", "mms-2", "mm/sec2", "mmps2", "mms2", "mm_s2", "mm_s_2", "mm_per_s2"), "mm/s2"),
    **dict.fromkeys(("lsb", "lsbs", "count", "counts", "cnt", "cnts", "raw", "digit", "digits", "adc"), "lsb"),
}  # fmt: skip
# Units of other quantities. A voltage is a sensor's raw output: a scale makes acceleration of it.
_VOLTAGES = {"v": "V", "mv": "mV", "uv": "µV", "volt": "V", "volts": "V", "millivolt": "mV", "millivolts": "mV"}
_OTHERS = {
    **dict.fromkeys(("mm/s", "m/s", "in/s", "ips", "mm/sec", "um/s", "cm/s", "m/sec", "mm_s"), "a velocity"),
    **dict.fromkeys(("um", "mm", "mil", "mils", "micron", "microns", "nm"), "a displacement"),
    **dict.fromkeys(("dps", "deg/s", "rad/s", "deg/sec", "rad/sec", "mdps", "grad/s", "rad/s2"), "a rotation"),
    **dict.fromkeys(("c", "degc", "f", "degf", "k", "kelvin", "celsius"), "a temperature"),
    **dict.fromkeys(("deg", "rad", "degree", "degrees"), "an angle"),
    **dict.fromkeys(("rpm", "1/min", "hz", "khz", "u/min", "min-1", "cpm"), "a speed of rotation"),
    **dict.fromkeys(("a", "ma", "amp", "amps"), "a current"),
    **dict.fromkeys(("pc", "nc", "picocoulomb"), "a charge"),
    **dict.fromkeys(("w", "kw", "pa", "kpa", "hpa", "bar", "mbar", "psi", "%", "%rh", "%fs", "db", "n", "kn", "nm",
                     "ut", "gauss", "mgauss", "lx", "lux"), "another quantity"),
}  # fmt: skip
# Names without a unit that say another quantity.
_OTHER_NAMES = re.compile(
    r"(^|[^a-z])(gyro\w*|gyr|rot\w*|omega|ang(ular)?|angle|mag(net\w*)?|temp(erature?|eratur)?|humid\w*|press\w*|rpm|tacho\w*|"
    r"speed|drehzahl|current|strom|voltage|spannung|velocity|power|torque|battery|label|sound|mic(rophone)?|latitude|"
    r"longitude|altitude|roll|pitch|yaw|heading|quat\w*|load|vel|(schwing)?geschwindigkeit|velocidad|vitesse|prędkość|obroty|"
    r"disp(l\w*)?|weg|weight|(?<!加)速度|位移|変位|温度|回転数|转速|скорость|температура)($|[^a-z])"
)
# What is over a time, or over its square: a unit, whatever it is.
_OVER_TIME = re.compile(r"\S*/(?:s|sec|\u0441|秒)(?:\W{0,2}[²2])?(?:[\W_].*)?|\S+s(?:²|\^2|\^?-2|⁻²)", re.IGNORECASE)
# A gyroscope's axis in most logs, gravity's part in some.
_MAYBE_ROTATION = re.compile(r"[gwω][ _-]?[xyz]")
_MAGNITUDE = re.compile(
    r"\|.*\||(.*[^a-z])?(abs(olute)?|magnitude|norm|resultant|resultierende|betrag|total|vector_?sum|rss|amag|atotal)"
    r"([^a-z].*)?"
)
_TIMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sek", "sekunden"), 1.0),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds", "msek"), 1e-3),
    **dict.fromkeys(("us", "usec", "micros", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
_BRACKETS = re.compile(r"[\[({<]([^\[\](){}<>]*(?:\([^)]*\))?[^\[\](){}<>]*)[\])}>]")
# What stands in brackets without being a unit.
_NO_UNIT = re.compile(
    r"(?i)[xyz]([- ]?axis)?|axis|de|fe|ba|ch\w*|\d+|raw data|horizontal|vertical|axial|radial|top|bottom|left|right|"
    r"acc\w*|vib\w*|filtered|unfiltered|sensor.*"
)
_GRAVEST_RMS_G = 200.0
_FASTEST_MM_S = 1000.0
_GRAVITIES = {"m/s2": STANDARD_GRAVITY, "mg": 1e3, "mm/s2": STANDARD_GRAVITY * 1e3}
_GRAVITY_OFF = 0.04  # what a sensor's gain and zero may be off
_MOST_GRAVITY_G = 1.5  # gravity is 1 g; the rest is what a cheap sensor may be off


def _plain(text: str) -> str:
    text = text.strip().lower()
    for given, put in (("²", "2"), ("µ", "u"), ("μ", "u"), ("°", "deg"), ("⁻", "-"), ("·", ""), ("⋅", ""), ("*", ""),
                       ("^", ""), (" ", ""), (".", ""), ("{", ""), ("}", "")):  # fmt: skip
        text = text.replace(given, put)
    return text.replace("sec", "s") if text.endswith(("sec2", "sec-2")) else text


def unit_named(text: str) -> str | None:
    """The unit that a text is, alone: "m/s^2" -> "m/s2", "V" -> "V", "dps" -> "a rotation"; None if it is none."""
    plain = _plain(text)
    return _WRITTEN.get(plain) or _VOLTAGES.get(plain) or _OTHERS.get(plain)


def time_named(text: str) -> float | None:
    """Seconds in the unit of time that a text is, alone."""
    return _TIMES.get(_plain(text))


def _parts(name: str) -> tuple[str, list[str]]:
    """(the name without what stands in brackets, what stands in them)."""
    return _BRACKETS.sub(" ", name).strip(), [part.strip() for part in _BRACKETS.findall(name) if part.strip()]


def bare_name(name: str) -> str:
    """A column's name without its unit in brackets."""
    return _parts(name)[0]


def _candidates(name: str) -> list[str]:
    """What may be a unit at the end of a name without brackets: "a / m/s2", "accel_m_s2", "acc in g", "x_mg"."""
    rest = name.strip()
    found = []
    if match := re.search(r"(?:^|\s)in\s+(\S+(?:\s\S+)?)$", rest, re.IGNORECASE):
        found.append(match[1])
    if "/" in rest:
        found.append(rest.partition("/")[2])
    pieces = re.split(r"[_\s,;:]+", rest)
    for count in (3, 2, 1):
        if len(pieces) > count:
            found += ["_".join(pieces[-count:]), "".join(pieces[-count:])]
    found.append(rest)
    camel = re.search(r"[a-z](Ms2|MS2|Mps2|Mg|MilliG|InG|LSB)$", rest)
    if camel:
        found.append(camel[1].removeprefix("In"))
    return found


def unit_in(name: str) -> str | None:
    """The unit that a column's name says; "?…" for one in brackets that is not known; None if it says none."""
    _, brackets = _parts(name)
    for text in brackets:
        if unit := unit_named(text):
            return unit
    for text in _candidates(_parts(name)[0]):
        if (unit := unit_named(text)) and _plain(text) not in ("a", "c", "f", "k", "n", "w", "min", "deg", "rad"):
            return unit
    for text in reversed(_candidates(_parts(name)[0])):
        if not brackets and _OVER_TIME.fullmatch(text):
            return f"?{text}"
    if _OTHER_NAMES.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare_name(name)).lower()):
        return "another quantity"
    unknown = [text for text in brackets if not _NO_UNIT.fullmatch(text)]
    return f"?{unknown[-1]}" if unknown else None


def time_unit_in(name: str) -> float | None:
    """Seconds in the unit that a time column's name says, None if it says none."""
    rest, brackets = _parts(name)
    for text in (*brackets, *_candidates(rest), rest):
        if (seconds := time_named(text)) is not None:
            return seconds
    return None


def _plain_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare_name(name)).lower().strip()


def maybe_rotation(name: str) -> bool:
    """Whether a name may be a gyroscope's axis as well as gravity's part: "gx", "g_y", "wz"."""
    return bool(_MAYBE_ROTATION.fullmatch(_plain_name(name)))


def is_magnitude(name: str) -> bool:
    """Whether a name says the length of a vector, which is no vibration: it never changes its sign."""
    return bool(_MAGNITUDE.fullmatch(_plain_name(name)))


def is_acceleration(unit: str | None) -> bool:
    """Whether numbers of this unit are acceleration, or may become it by a scale."""
    return unit is None or unit in G_PER_UNIT or unit in _VOLTAGES.values() or unit.startswith("?")


def is_voltage(unit: str | None) -> bool:
    return unit in _VOLTAGES.values()


def check_plausible(
    what: str, acceleration: NDArray[np.floating[Any]], rate_hz: float, unit: str, assumed: bool
) -> None:
    """Raise UnitError for what no machine does: then the numbers are in another unit.

    acceleration: (n,) in g. Its mean is left out: gravity, and a sensor's zero, are no vibration.
    """
    mean = float(acceleration.mean(dtype=np.float64))
    rms = float(np.std(acceleration, dtype=np.float64))
    said = f"{unit} (assumed)" if assumed else unit
    if not rms <= _GRAVEST_RMS_G:
        raise UnitError(
            f"{what}: in {said} its RMS would be {rms:.4g} g, more than {_GRAVEST_RMS_G:g} g: {_suggestion(mean, rms)}"
        )
    if assumed and abs(mean) > max(_MOST_GRAVITY_G, rms):
        raise UnitError(
            f"{what}: in {said} its mean would be {mean:.4g} g beside an RMS of {rms:.4g} g, and gravity is 1 g: "
            f"{_suggestion(mean, rms)}"
        )
    velocity = velocity_mm_s(acceleration, rate_hz)
    if velocity > _FASTEST_MM_S:
        raise UnitError(
            f"{what}: in {said} at {rate_hz:g} Hz its velocity would be {velocity:.4g} mm/s, more than "
            f"{_FASTEST_MM_S:g} mm/s: {_suggestion(mean, rms)}, and check the rate"
        )


def check_gravity(what: str, means: NDArray[np.floating[Any]]) -> None:
    """Raise UnitError where the mean of an assumed g is as long as gravity is in another unit.

    means: (axes,), of all axes of one sensor, whichever way it lies.
    """
    length = float(np.linalg.norm(means))
    unit = next((unit for unit, gravity in _GRAVITIES.items() if abs(length / gravity - 1) < _GRAVITY_OFF), None)
    if unit is not None:
        raise UnitError(
            f"{what}: in g (assumed) its mean would be {length:.4g} g, and gravity is 1 g: give its unit, by the mean "
            f"{unit}"
        )


def _suggestion(mean: float, rms: float) -> str:
    gravity = abs(mean)
    for unit, one in _GRAVITIES.items():
        if abs(gravity / one - 1) < 0.1:
            return f"give its unit, by the mean {unit}"
    if gravity > max(_MOST_GRAVITY_G, rms):
        return "give its unit (m/s2, mg, …), or, of a sensor's raw voltage or counts, the scale"
    return "give its unit (mg, mm/s2, m/s2), or the scale"


def velocity_mm_s(acceleration: NDArray[np.floating[Any]], rate_hz: float) -> float:
    """RMS of the velocity from 10 to 1,000 Hz (ISO 20816-1) in mm/s, from the power spectral density.

    acceleration: shape (n,), in g. The density is Welch's: Hann windows of about a second, half over each other, each
    without its linear trend.
    """
    length = min(len(acceleration), 1 << max(6, math.ceil(math.log2(rate_hz))))
    hz = np.fft.rfftfreq(length, 1 / rate_hz)
    band = (hz >= 10) & (hz <= 1000)
    if not band.any():
        return 0.0
    at = np.arange(length) - (length - 1) / 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    pieces = sliding_window_view(acceleration, length)[:: length - length // 2]
    power = np.zeros(len(hz))
    for piece in pieces:
        signal = piece - piece.mean(dtype=np.float64)
        power += np.abs(np.fft.rfft((signal - at * (at @ signal / (at @ at))) * window)) ** 2
    power *= 2 / (rate_hz * float(window @ window) * len(pieces))  # one side; 0 Hz is in no band
    if length % 2 == 0:
        power[-1] /= 2  # half of the rate has one side alone
    square = float(np.sum(power[band] / (2 * np.pi * hz[band]) ** 2)) * rate_hz / length
    return math.sqrt(square) * STANDARD_GRAVITY * 1e3
