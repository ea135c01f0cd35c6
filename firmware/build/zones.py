"""Zones of vibration severity: RMS velocity on non-rotating parts, by machine group and mounting.

ISO 20816-3:2022 (as ISO 10816-3:2009 before), Annex A: table A.1 for group 1, large machines (above 300 kW, or
electrical machines with a shaft height of 315 mm and more), table A.2 for group 2, medium ones (15 to 300 kW, or a
shaft height from 160 to 315 mm). mm/s RMS, 10 (below 600 1/min: 2) to 1,000 Hz.

A: a new machine. B: fit for long-term operation. C: not fit for it. D: enough to do damage.
"""

# (group, mounting): upper ends of zones A, B and C
_LIMITS = {
    (1, "rigid"): (2.3, 4.5, 7.1),
    (1, "flexible"): (3.5, 7.1, 11.0),
    (2, "rigid"): (1.4, 2.8, 4.5),
    (2, "flexible"): (2.3, 4.5, 7.1),
}


def limits(group: int, mounting: str) -> tuple[float, float, float]:
    """The three boundaries in mm/s: A/B, B/C, C/D. Raises ValueError for a group or mounting the standard lacks."""
    if (group, mounting) not in _LIMITS:
        raise ValueError("machine: expected group 1 or 2, rigid or flexible, found {} {}".format(group, mounting))
    return _LIMITS[group, mounting]
