"""What a person sets beside an alarm, as tables: how urgent a subject is, what it belongs to, which causes to name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

Priority = Literal["high", "medium", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "medium", "low")
Trouble = Literal["machine", "sensor", "node"]

# (level, subject, priority): the first row that fits. Three priorities, the highest for the fewest alarms:
# ISA-18.2-2016, clause 16, names 5, 15 and 80 % of all as a target. High: what may end in damage within days, or blinds
# many nodes.
_PRIORITIES: tuple[tuple[str, str, Priority], ...] = (
    ("alarm", "level zone", "high"),  # ISO 20816-3, zone D: severe enough to cause damage
    ("alarm", "fault", "high"),
    ("alarm", "level temperature", "high"),
    ("*", "gateway gone", "high"),
    ("alarm", "*", "medium"),
    ("*", "gone", "medium"),
    ("*", "sensor *", "medium"),
    ("*", "*", "low"),
)

# (subject, what is in trouble): the first row that fits. Alarms of one of them are one row of the list.
_TROUBLES: tuple[tuple[str, Trouble], ...] = (
    ("level *", "machine"),
    ("fault", "machine"),
    ("sensor *", "sensor"),
    ("*", "node"),  # gone, records of it missing, its key: the node, its radio, its broker
)

# What turned out to be behind an alarm, as the person says who looked: for the Pareto. (code, English, German)
CAUSES: dict[str, tuple[str, str]] = {
    "bearing": ("bearing", "Lager"),
    "lubrication": ("lubrication", "Schmierung"),
    "unbalance": ("unbalance", "Unwucht"),
    "alignment": ("misalignment", "Ausrichtung"),
    "looseness": ("looseness", "Lockerung"),
    "gears": ("gears or belt", "Getriebe oder Riemen"),
    "electrical": ("electrical", "elektrisch"),
    "process": ("load or speed of the process", "Last oder Drehzahl des Prozesses"),
    "sensor": ("sensor or its cable", "Sensor oder Kabel"),
    "network": ("radio or network", "Funk oder Netz"),
    "power": ("power supply", "Stromversorgung"),
    "limit": ("limit not fitting", "Grenzwert passt nicht"),
    "work": ("work at the machine", "Arbeit an der Maschine"),
    "unknown": ("not found", "nicht gefunden"),
}


def priority(level: str, subject: str, gateway: bool = False) -> Priority:
    """How urgent an alarm of that level and subject is. gateway: its node is one."""
    name = f"gateway {subject}" if gateway and subject == "gone" else subject
    return next(how for its, of, how in _PRIORITIES if its in ("*", level) and fnmatchcase(name, of))


def trouble(subject: str) -> Trouble:
    """What an alarm of that subject says is in trouble."""
    return next(what for its, what in _TROUBLES if fnmatchcase(subject, its))
