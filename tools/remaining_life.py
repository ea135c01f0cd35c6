"""Measures the remaining life of quaver.reports on PRONOSTIA's bearings, run to failure, and prints tables.

    quaver recordings fetch pronostia
    .venv/bin/python tools/remaining_life.py

Each bearing is judged by the device's code, record by record (one each 10 s), on both axes. After every tenth record
the remaining life is asked for by the records so far, until the feature's median of five passes the limit. The time
that is told held when that moment lies behind it. The limit is a multiple of the healthy level, the median of the first
20 records.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

from quaver.analysis.device import Analysis, Settings, analyze, prepare
from quaver.benchmark import groups
from quaver.recordings.pronostia import lives
from quaver.reports.life import remaining

LEARN = 20
EVERY = 10
STEP_MS = 10_000
FEATURES = ("rms_g", "envelope_g")
LIMITS = ((10, 10 ** (10 / 20)), (14, 5.0))  # dB and as a factor
FAILED_BY = 5  # the median of so many records passes the limit


def features(axis: str, name: str) -> dict[str, list[float]]:
    """What the device measures of a bearing, record by record."""
    group = replace(next(group for group in groups() if group.name == "pronostia"), channel=axis)
    place = group.place(name)
    recording = group.load(place)
    rate, samples, _ = prepare(recording, group.bring_to)
    settings = Settings(rpm=place.rpm, bearing=group.bearing, learn=LEARN)
    found: dict[str, list[float]] = {feature: [] for feature in FEATURES}
    with Analysis(settings, rate, samples=samples) as analysis:
        for verdict in analyze(recording, analysis):
            for feature in FEATURES:
                found[feature].append(verdict.features[feature])
    return found


def judged(values: list[float], factor: float) -> dict[str, object]:
    """How often a time was asked for, told, and right; passed: the record at which the limit was passed."""
    healthy = median(values[:LEARN])
    limit = factor * healthy
    smooth = [median(values[max(0, i - FAILED_BY + 1) : i + 1]) for i in range(len(values))]
    passed = next((i for i, value in enumerate(smooth) if value > limit), None)
    last = len(values) if passed is None else passed
    times = [i * STEP_MS for i in range(len(values))]
    said: dict[str, int] = {}
    asked = held = sooner = open_ = 0
    shares = []
    for count in range(60, last + 1, EVERY):
        asked += 1
        found = remaining(times[:count], values[:count], limit, healthy)
        if found.early_ms is None:
            key = found.why.key if found.why else ""
            said[key] = said.get(key, 0) + 1
            continue
        if passed is None:  # the rig was stopped before: what lies behind that is not known
            held += found.early_ms <= times[-1] - times[count - 1]
            open_ += found.early_ms > times[-1] - times[count - 1]
            continue
        truth = times[passed] - times[count - 1]
        held += found.early_ms <= truth
        sooner += found.early_ms > truth
        shares.append(found.early_ms / max(truth, STEP_MS))
    return {
        "records": len(values), "passed": passed, "asked": asked, "given": held + sooner + open_,
        "held": held, "sooner": sooner, "open": open_, "share": median(shares) if shares else None, "why": said,
    }  # fmt: skip


def main() -> None:
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None  # what was measured, to print the tables again
    measured = json.loads(kept.read_text()) if kept and kept.exists() else {}
    for axis in ("horizontal", "vertical"):
        for life in lives():
            if not life.cached:
                sys.exit("quaver recordings fetch pronostia")
            if f"{axis} {life.name}" not in measured:
                measured[f"{axis} {life.name}"] = features(axis, life.name)
                print(f"{axis} {life.name}: measured", file=sys.stderr, flush=True)
                if kept:
                    kept.write_text(json.dumps(measured))
    for axis in ("horizontal", "vertical"):
        for feature in FEATURES:
            for db, factor in LIMITS:
                table(axis, feature, db, factor, measured)


def table(axis: str, feature: str, db: int, factor: float, measured: dict[str, dict[str, list[float]]]) -> None:
    print(f"\n### {axis}, {feature}, limit {factor:.3g} x the healthy level ({db} dB)\n")
    print("| bearing | records | passed at | asked | refused | given | held | passed sooner | not known | share |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    sums = dict.fromkeys(("asked", "given", "held", "sooner", "open"), 0)
    why: dict[str, int] = {}
    for life in lives():
        one = judged(measured[f"{axis} {life.name}"][feature], factor)
        for key in sums:
            sums[key] += one[key]  # type: ignore[operator]
        for key, count in one["why"].items():  # type: ignore[attr-defined]
            why[key] = why.get(key, 0) + count
        share = "-" if one["share"] is None else f"{one['share']:.2f}"
        passed = "-" if one["passed"] is None else one["passed"]
        refused = one["asked"] - one["given"]  # type: ignore[operator]
        name = life.name.removeprefix("Bearing")
        counts = " | ".join(str(one[key]) for key in ("given", "held", "sooner", "open"))
        print(f"| {name} | {one['records']} | {passed} | {one['asked']} | {refused} | {counts} | {share} |")
    print(f"| all | | | {sums['asked']} | {sums['asked'] - sums['given']} | {sums['given']} | {sums['held']} "
          f"| {sums['sooner']} | {sums['open']} | |")  # fmt: skip
    print(
        "\nRefused because: " + ", ".join(f"{key.removeprefix('life_')} {count}" for key, count in sorted(why.items()))
    )


if __name__ == "__main__":
    main()
