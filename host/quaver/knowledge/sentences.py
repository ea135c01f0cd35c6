"""What an event says, in one line for a person, in their language; the words are data, a file a language.

A node's own texts (why a sensor failed, why it names no fault) are English on the wire. What it can say is known, so
each is a row of the language's table too; what a later firmware says that is not there is shown as it came.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_UNITS = {"rms": "g", "peak": "g", "envelope": "g", "velocity": "mm/s", "temperature": "°C"}
_PLACE = re.compile(r"\\\{\\\}")  # of a value in a text, after re.escape


@dataclass(frozen=True)
class _Words:
    """level, event: heads. subject: what it is about. value: of an event's code, how its value is told. sentence: the
    other templates. refused: of a message's subject, what a person can do. text: of nodes, as pattern and template.
    """

    level: Mapping[str, str]
    event: Mapping[str, str]
    subject: Mapping[str, str]
    value: Mapping[str, str]
    sentence: Mapping[str, str]
    refused: Mapping[str, str]
    text: tuple[tuple[re.Pattern[str], str], ...]
    comma: bool

    def number(self, value: float, form: str) -> str:
        text = format(value, form)
        return text.replace(".", ",") if self.comma else text

    def told(self, text: str) -> str:
        """A name or a text of a node; as it is where it is not in the tables."""
        if text in self.subject:
            return self.subject[text]
        for pattern, told in self.text:
            if found := pattern.fullmatch(text):
                return told.format(*(self.subject.get(one, self._figure(one)) for one in found.groups()))
        return text

    def _figure(self, text: str) -> str:
        return text.replace(".", ",") if self.comma and re.fullmatch(r"-?\d+\.\d+", text) else text


@lru_cache
def _words(code: str) -> _Words:
    data = tomllib.loads(Path(__file__).with_name(f"sentences_{code}.toml").read_text("utf-8"))
    texts = tuple(
        (re.compile(_PLACE.sub(lambda _: "(.+?)", re.escape(said))), told) for said, told in data["text"].items()
    )
    tables = {name: data[name] for name in ("level", "event", "subject", "value", "sentence", "refused")}
    return _Words(**tables, text=texts, comma=data["decimal_separator"] == ",")


def event_sentence(values: Mapping[str, Any], language: str = "en") -> str:
    """An event's fields, as a Record has them: "ALARM kurtosis 9.31, limit 4.5; BPFO at 87.3 Hz, 21 dB of evidence"."""
    head, details = event_head(values, language), event_details(values, language)
    between = " " if values.get("code") == "level" else ": "
    return "; ".join([head + (between + details if details != "-" else ""), *evidence(values, language)])


def event_head(values: Mapping[str, Any], language: str = "en") -> str:
    """What it is: its level in capitals, or the words of its code."""
    words, code = _words(language), str(values.get("code", "event"))
    if code == "level":
        level = str(values.get("event_level", ""))
        return words.level.get(level, level.upper())
    return words.event.get(code, code.replace("_", " "))


def event_details(values: Mapping[str, Any], language: str = "en") -> str:
    """What it is about, e.g. "kurtosis 9.31, limit 4.5"; "-" when it does not say."""
    words, subject = _words(language), str(values.get("subject", ""))
    unit = _UNITS.get(subject, "")
    code = str(values.get("code", ""))
    details = words.told(subject)
    if "value" in values and code in words.value:
        told = words.value[code].format(value=words.number(values["value"], ".0f"))
        details += f", {told}" if details else told
    elif "value" in values:
        details += f" {words.number(values['value'], '.3g')} {unit}".rstrip()
    if "limit" in values:
        limit = f"{words.number(values['limit'], '.3g')} {unit}".rstrip()
        details += ", " + words.sentence["limit"].format(value=limit)
    if "count" in values:
        details += ", " + words.sentence["count"].format(value=values["count"])
    if values.get("text"):
        details += ("; " if {"value", "limit"} & values.keys() else " ") + words.told(str(values["text"]))
    if code == "message_refused" and subject in words.refused:
        details += f": {words.refused[subject]}"
    return details.strip() or "-"


def evidence(values: Mapping[str, Any], language: str = "en") -> list[str]:
    """What speaks for an alarm or a fault, and how sure it is."""
    words = _words(language)
    said = words.sentence
    found = []
    if "evidence_line" in values:
        line = said["line"].format(
            line=words.told(str(values["evidence_line"])), hz=words.number(values.get("evidence_hz", 0), ".1f")
        )
        there = sum(height is not None for height in values.get("harmonics_db", []))
        signs = [said["harmonics"].format(value=there)] if there > 1 else []
        signs += [said["sidebands"]] if "sidebands_db" in values else []
        seen = said["and"].join([line, *signs])
        found.append(said["evidence"].format(seen=seen, db=words.number(values.get("evidence_db", 0), ".0f")))
    if "velocity_share" in values:
        found.append(said["share"].format(value=words.number(100 * values["velocity_share"], ".0f")))
    if "shaft_confidence" in values and "shaft_hz" in values:
        sure = words.number(100 * values["shaft_confidence"], ".0f")
        found.append(said["speed"].format(rpm=words.number(values["shaft_hz"] * 60, ".0f"), sure=sure))
    if values.get("abstained"):
        found.append(said["abstained"].format(why=words.told(str(values["abstained"]))))
    if values.get("waveform"):
        found.append(said["waveform"])
    return found


def node_text(text: str, language: str = "en") -> str:
    """What a node or the ledger says in English, in a language; as it is where nobody has translated it."""
    return _words(language).told(text)
