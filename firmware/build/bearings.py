"""From any description of a bearing to the four ratios of its lines. Needed when a node is set up only."""

import math

from quaver_wire.bearings import LIBRARY

_GEOMETRY = ("balls", "ball_mm", "pitch_mm", "angle_deg")


def from_geometry(
    balls: float, ball_mm: float, pitch_mm: float, angle_deg: float = 0.0
) -> tuple[float, float, float, float]:
    """(BPFO, BPFI, BSF, FTF) a turn of the shaft, outer ring at rest, for rolling without slip.

    Randall and Antoni, Mechanical Systems and Signal Processing 25 (2011), section 2. Raises ValueError.
    """
    if balls != int(balls) or not 3 <= balls <= 60:
        raise ValueError("bearing.balls: expected 3 to 60, found {}".format(balls))
    if not 0 < ball_mm < pitch_mm or math.pi * pitch_mm < 0.95 * balls * ball_mm:
        raise ValueError("bearing: {} balls of {} mm do not fit a pitch of {} mm".format(balls, ball_mm, pitch_mm))
    if not 0 <= angle_deg <= 60:
        raise ValueError("bearing.angle_deg: expected 0 to 60, found {}".format(angle_deg))
    part = ball_mm / pitch_mm * math.cos(math.radians(angle_deg))
    return (
        balls / 2 * (1 - part),
        balls / 2 * (1 + part),
        pitch_mm / ball_mm / 2 * (1 - part * part),
        (1 - part) / 2,
    )


def check_ratios(outer: float, inner: float, ball: float, cage: float) -> tuple[float, float, float, float]:
    """The ratios as they are, if they can be those of one bearing; else ValueError.

    BPFO + BPFI is the number of balls and BPFO / FTF too. With p = 1 - 2 * FTF, BSF is cos(angle) * (1 - p**2) / (2 p).
    """
    balls = outer + inner
    if not (3 <= balls <= 60 and abs(balls - round(balls)) <= 0.05 and outer < inner):
        raise ValueError(
            "bearing: BPFO {} and BPFI {}: expected their sum to be the number of balls".format(outer, inner)
        )
    if not 0.25 < cage < 0.5 or abs(outer / cage - balls) > 0.015 * balls:
        raise ValueError("bearing: FTF {}: expected BPFO / balls, {:.4f}".format(cage, outer / balls))
    part = (inner - outer) / balls
    most = (1 - part * part) / (2 * part)
    if not 0.5 * most <= ball <= 1.05 * most:
        raise ValueError("bearing: BSF {}: expected {:.3f}, half the rate at which a ball strikes".format(ball, most))
    return outer, inner, ball, cage


def ratios(given: str | dict) -> tuple[float, float, float, float]:
    """The ratios (BPFO, BPFI, BSF, FTF) of a bearing given by name, by {"ratios": [4]}, or by its geometry as a dict.

    Raises ValueError with one line that says what is wrong.
    """
    if isinstance(given, str):
        if given.lower() not in LIBRARY:
            raise ValueError("bearing {}: not in the library: {}".format(given[:16], ", ".join(sorted(LIBRARY))))
        return from_geometry(*LIBRARY[given.lower()])
    if not isinstance(given, dict):
        raise ValueError("bearing: expected a name, its geometry or its ratios")
    numbers = given.get("ratios")
    if numbers is None:
        numbers = [given.get(key, 0.0 if key == "angle_deg" else None) for key in _GEOMETRY]
        unknown = [key for key in given if key not in _GEOMETRY]
    else:
        unknown = [key for key in given if key != "ratios"]
    if unknown:
        raise ValueError("bearing.{}: unknown key".format(str(unknown[0])[:16]))
    if not isinstance(numbers, (list, tuple)) or len(numbers) != 4:
        raise ValueError("bearing.ratios: expected BPFO, BPFI, BSF and FTF")
    for value in numbers:
        if type(value) not in (int, float) or not 0 <= value < 1000:
            raise ValueError("bearing: expected four numbers, found {}".format(numbers))
    return from_geometry(*numbers) if given.get("ratios") is None else check_ratios(*numbers)
