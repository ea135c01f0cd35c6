"""The provisioning room's report: what a technician reads once a node is in service, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEARNS = 10
"""From how many healthy measurements a node learns its machine; `machine.learn`, which provisioning leaves there."""

_BAR = 30  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉"
_STATES = {
    "stopped": f"the machine stands still; commissioning begins when it runs, and takes {LEARNS} healthy measurements",
    "watching": "commissioned: the baseline of this machine is learned",
}


def result(answers: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """What is known of a node that is in service, for machines. seconds: how long it took.

    dated, time_server, first: None of one that a gateway will be wired to.
    """
    return {
        "id": answers["id"],
        "place": answers["place"],
        "generation": answers["sent"]["generation"],
        "seconds": round(seconds, 1),
        "dated": answers.get("online", {}).get("dated"),
        "time_server": answers.get("time_server"),
        "wrong_codes": answers.get("wrong_codes", 0),
        "first": answers.get("spectrum"),
        "learns": LEARNS,
    }


def sentence(found: Mapping[str, Any]) -> str:
    """`result` in a line."""
    first = found["first"]
    if first is None:
        name = found["place"].rpartition("/")[2]
        return (
            f"{found['place']} is enrolled after {found['seconds']:.0f} s; wire it to its gateway, and run "
            f"quaver gateway grant GATEWAY {name}"
        )
    parts = [f"{found['place']} is in service after {found['seconds']:.0f} s"]
    if "rms_g" in first:
        parts[0] += f": {first['rms_g']:.3f} g RMS"
    peaks = [f"{frequency:.0f} Hz {height:.3f} g" for frequency, height in (first.get("peaks") or [])[:3]]
    if peaks:
        parts.append(", ".join(peaks))
    return "; ".join([*parts, commissioning(first)])


def warnings(found: Mapping[str, Any]) -> list[str]:
    """What of `result` is to be seen to, a line each."""
    lines = []
    if found["dated"] is False:
        time_server = found["time_server"]
        why = f"its time server {time_server} does not answer" if time_server else "it has no time server"
        lines.append(f"the node does not know the date, so it refuses every command: {why}")
    if found["wrong_codes"]:
        lines.append(f"wrong codes were tried on this node before, {found['wrong_codes']} in all")
    return lines


def commissioning(first: Mapping[str, Any]) -> str:
    """How far a node is with learning what is healthy for its machine, as its record tells."""
    state = str(first.get("machine", ""))
    if state == "learning":
        words = f"commissioning: {first.get('learned', 0)} of {LEARNS} healthy measurements"
        return (
            words if first.get("learned") else f"{words}; this one does not count, because of its zone or its quality"
        )
    return _STATES.get(state, "no vibration is measured, so there is nothing to learn")


def spectrum(first: Mapping[str, Any]) -> list[str]:
    """The spectrum of a record as lines with bars: RMS of each octave, then the strongest lines by frequency."""
    lines: list[str] = []
    bands, rate_hz = first.get("bands") or [], first.get("rate_hz", 0.0)
    if bands and rate_hz:
        lines.append("octaves, g RMS")
        edges = [rate_hz / 2 / 2 ** (len(bands) - i) for i in range(len(bands) + 1)]
        highest = max(height or 0.0 for height in bands)
        for low, high, height in zip(edges, edges[1:], bands, strict=False):
            lines.append(f"{low:6.0f} to {high:6.0f} Hz {height or 0.0:8.4f} {_bar(height, highest)}")
    peaks = sorted(first.get("peaks") or [])
    if peaks:
        lines.append("strongest lines, g")
        highest = max(height for _, height in peaks)
        lines += [f"{frequency:16.1f} Hz {height:8.4f} {_bar(height, highest)}" for frequency, height in peaks]
    return lines


def _bar(height: float | None, highest: float) -> str:
    eighths = round(8 * _BAR * (height or 0.0) / highest) if highest else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
