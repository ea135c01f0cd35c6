"""What each verdict means, what to check first, what to do and how urgent: data, a file a language.

Nothing is diagnosed here: an entry is chosen by what a node said, and where it named no part, none is named.
"""

from __future__ import annotations

import os
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "de")
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # in the order of POSIX

# The bearing's lines and what a node limits, the more telling first: the entry of a rise where no fault is named.
_CAUSES = {
    **dict.fromkeys(("bpfo", "bpfi", "bsf2", "ftf"), "line_rise"),
    "impacts": "impacts",
    "envelope": "envelope_rise",
    "octave": "octave_rise",
    "velocity": "velocity_rise",
    "rms": "level_rise",
    "peak": "level_rise",
    "trend": "slow_rise",
    "crest": "shocks",
    "kurtosis": "shocks",
}
# Those of a node's marks of quality that have an entry of another name.
_QUALITY = {"vibration_failed": "silent"}
_ABSTAINED = {
    "the speed is not certain": "speed_uncertain",
    "the speed changed while it was measured": "speed_uncertain",
    "no line of the bearing is there": "no_line",
    "no bearing or no speed": "no_bearing",
    "the class is not known: limits alone": "class_unknown",
}


@dataclass(frozen=True)
class Advice:
    """One entry in one language. check: in the order in which to look; urgency: in words; words: the headings."""

    key: str
    title: str
    means: str
    check: tuple[str, ...]
    act: str
    urgency: str
    source: str
    words: Mapping[str, str]

    def lines(self, width: int) -> list[str]:
        """The entry as text, its title first, wrapped at `width` columns."""
        found = textwrap.wrap(self.title, width)
        for name in ("means", "check", "act", "urgency", "source"):
            heading, text = f"  {self.words[name]}: ", getattr(self, name)
            if isinstance(text, str):
                found += textwrap.wrap(text, width, initial_indent=heading, subsequent_indent="    ")
                continue
            found.append(heading.rstrip())
            for number, item in enumerate(text, 1):
                found += textwrap.wrap(item, width, initial_indent=f"    {number}. ", subsequent_indent="       ")
        return found


def language(environment: Mapping[str, str] | None = None) -> str:
    """The user's language by LC_ALL, LC_MESSAGES or LANG if there are entries in it, else English."""
    environment = os.environ if environment is None else environment
    named = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    code = named[:2].lower()
    return code if code in LANGUAGES else "en"


@lru_cache
def entries(code: str) -> dict[str, Advice]:
    """All entries of a language, by key."""
    data: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name(f"{code}.toml").read_text("utf-8"))
    words, urgency = data.pop("words"), data.pop("urgency")
    return {
        key: Advice(key, **entry | {"check": tuple(entry["check"]), "urgency": urgency[entry["urgency"]]}, words=words)
        for key, entry in data.items()
    }


def keys_of(
    *,
    fault: str | None = None,
    causes: Iterable[str] = (),
    zone: str | None = None,
    quality: Iterable[str] = (),
    machine: str | None = None,
    abstained: str | None = None,
) -> list[str]:
    """The entries for what a node said, the gravest first; each argument as in its record.

    causes: the features at warning or alarm. Without a fault named the most telling of them comes, and the reason.
    """
    known = entries("en")
    found: list[str] = [f"zone_{zone.lower()}"] if zone in ("C", "D") else []
    if fault:
        found.append(fault.replace(" ", "_"))
    found += [_QUALITY.get(mark, mark) for mark in quality]
    if machine in ("stopped", "learning"):
        found.append(machine)
    risen = set(causes)
    found += [own for own in ("temperature", "current") if own in risen]
    if not fault:
        found += [entry for cause, entry in _CAUSES.items() if cause in risen][:1]
        if abstained:
            found.append(_ABSTAINED.get(abstained, "learning" if abstained.startswith("class ") else "not_named"))
    return [key for key in dict.fromkeys(found) if key in known]


def keys_told(kind: str, values: Mapping[str, Any]) -> list[str]:
    """The entries that a record calls for: alarm, zone C, trend, named fault, a sensor that failed.

    kind, values: as of a quaver.messages.record.Record.
    """
    level = values.get("event_level")
    if kind == "telemetry":
        if values.get("level") != "alarm":
            return []
        quality = [mark for mark in values.get("quality", ()) if mark == "clipped"]
        return keys_of(quality=quality, fault=values.get("fault"), abstained=values.get("abstained"))
    subject, code = str(values.get("subject", "")), values.get("code")
    if code == "fault":
        return keys_of(fault=subject)
    if code == "level" and subject == "zone" and level in ("warning", "alarm"):
        # the standard's boundaries: C begins at the warning, D at the alarm
        return keys_of(zone="D" if level == "alarm" else "C")
    # a trend is told while there is time: it warns, whatever else is well
    if code == "level" and (level == "alarm" or (subject == "trend" and level == "warning")):
        return keys_of(causes=[subject])
    if code == "sensor_failed":
        return keys_of(quality=["stuck" if "stuck" in str(values.get("text", "")) else f"{subject}_failed"])
    return []
