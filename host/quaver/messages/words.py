"""What an event says, in one line for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of a message that was refused: what a person can do about it.
_REFUSED = {
    "old_link": "has firmware of before link keys: update it",
    "no_link_key": "the gateway has no link key of it: quaver gateway grant",
    "link_refused": "refuses the gateway's link key: revoked, or of another device key",
    "wrong_link_key": "has not proved the link key",
    "revoked_gateway": "a gateway that was revoked",
}
_UNITS = {"rms": "g", "peak": "g", "temperature": "°C"}


def event_sentence(values: Mapping[str, Any]) -> str:
    """An event's fields, as a Record has them: "ALARM kurtosis 9.31, limit 4.5; bpfo at 87.3 Hz, 21 dB of evidence"."""
    more = "".join(f"; {words}" for words in evidence(values))
    return f"{event_head(values)} {event_details(values)}{more}"


def event_head(values: Mapping[str, Any]) -> str:
    """What it is: its level in capitals, or the words of its code."""
    code = str(values.get("code", "event"))
    return str(values.get("event_level", "")).upper() if code == "level" else code.replace("_", " ")


def event_details(values: Mapping[str, Any]) -> str:
    """What it is about, e.g. "kurtosis 9.31, limit 4.5"; "-" when it does not say."""
    unit = _UNITS.get(str(values.get("subject", "")), "")
    details = str(values.get("subject", ""))
    if "value" in values and values.get("code") == "fault":
        details += f", {values['value']:.0f} dB before the next line"
    elif "value" in values:
        details += f" {values['value']:.3g} {unit}".rstrip()
    if "limit" in values:
        details += f", limit {values['limit']:.3g} {unit}".rstrip()
    if "count" in values:
        details += f", {values['count']} in all"
    if values.get("text"):
        details += f" {values['text']}"
    if values.get("code") == "message_refused" and values.get("subject") in _REFUSED:
        details += f": {_REFUSED[values['subject']]}"
    return details.strip() or "-"


def evidence(values: Mapping[str, Any]) -> list[str]:
    """What speaks for an alarm or a fault, and how sure it is."""
    words = []
    if "evidence_line" in values:
        line = f"{values['evidence_line']} at {values.get('evidence_hz', 0):.1f} Hz"
        there = sum(height is not None for height in values.get("harmonics_db", []))
        signs = [f"{there} harmonics"] if there > 1 else []
        signs += ["sidebands"] if "sidebands_db" in values else []
        words.append(f"{' and '.join([line, *signs])}, {values.get('evidence_db', 0):.0f} dB of evidence")
    if "velocity_share" in values:
        words.append(f"{100 * values['velocity_share']:.0f} % of the velocity's power")
    if "shaft_confidence" in values and "shaft_hz" in values:
        words.append(f"{values['shaft_hz'] * 60:.0f} 1/min, {100 * values['shaft_confidence']:.0f} % certain")
    if values.get("abstained"):
        words.append(f"no fault named: {values['abstained']}")
    if values.get("waveform"):
        words.append("its waveform is kept")
    return words
