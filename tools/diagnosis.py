"""Writes docs/diagnosis.md: what the device's code says of recordings of real machines, hits, abstentions and misses.

    python tools/diagnosis.py DIRECTORY [--mfpt] [-o docs/diagnosis.md]

DIRECTORY holds recordings of Case Western Reserve University's rig (cwru_*.npz; the healthy ones cwru_normal_*) and of
FEMTO-ST's PRONOSTIA (pronostia_*.npz). The truth is in the names: or, ir and b for outer race, inner race and ball.
With --mfpt also the recordings of the Machinery Failure Prevention Technology Society (`quaver recordings fetch mfpt`).
"""

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quaver.analysis.device import Analysis, Settings, Verdict, analyze, prepare
from quaver.recordings import load, mfpt_files, mfpt_path
from quaver.recordings.machine import Machine

_TRUTH = {"or": "outer race", "ir": "inner race", "b": "ball", "normal": "healthy"}
_LEARN_RIG = 10  # of the 14 measurements that the healthy recording gives; the rest is judged
_LEARN_LIFE = 20  # records: a bearing's first minutes
_LEARN_MFPT = 8  # of the 12 that the three healthy recordings give
_MFPT_RPM = 1500.0  # 25 Hz, as the recordings say
_SPEEDS = {"1": 1800.0, "2": 1650.0, "3": 1500.0}  # of PRONOSTIA's three conditions, 1/min
_HEADING = """# What the device says of real machines

Written by `tools/diagnosis.py` with the device's own code on MicroPython's unix port, whose whole numbers are those of
the RP2040. Constants are those of `firmware/dsp`, the same for every recording; their reasons stand there.

A **hit** names the right race. An **abstention** alarms and names none: the table says why. A **miss** is a fault
without an alarm, a healthy machine with one, or the wrong race named.
"""

_RIG_HEAD = (
    "| recording | truth | verdict | first alarm | alarmed by | named | line | score | margin | why not named |  |"
)
_RIG_RULE = "|---|---|---|---|---|---|---|---|---|---|---|"


def truth(name: str) -> str:
    kind = name.split("_")[1].rstrip("0123456789")
    return _TRUTH[kind]


def worst(verdicts: list[Verdict]) -> str:
    return max((v.level for v in verdicts), key=("ok", "warning", "alarm").index)


def judged(expected: str, verdicts: list[Verdict]) -> str:
    """hit, abstention or miss."""
    level = worst(verdicts)
    named = {v.fault for v in verdicts if v.fault}
    if expected == "healthy":
        return "hit" if level == "ok" else f"**miss**: {level}"
    if level != "alarm":
        return f"**miss**: {level}"
    if named - {expected}:
        return f"**miss**: named {', '.join(sorted(named))}"
    return "hit" if named else "abstention"


def rig_table(directory: Path) -> list[str]:
    """Case Western: learn on the healthy recording alone, then judge every recording."""
    settings = Settings(bearing="6205", learn=_LEARN_RIG)
    healthy = load(directory / "cwru_normal_0.npz")
    rate, samples, _ = prepare(healthy)
    settings = Settings(rpm=healthy.rpm, bearing="6205", learn=_LEARN_RIG)
    with Analysis(settings, rate, samples=samples) as analysis:
        own = list(analyze(healthy, analysis))
        baseline = analysis.baseline()
    lines = [
        "## Case Western Reserve University, drive end, SKF 6205, 12 kHz",
        "",
        f"Learned on the first {_LEARN_RIG} measurements of `cwru_normal_0` and nothing else (1.37 s each). An alarm"
        " needs 2 of 3 measurements, and so does a name. Line: the highest in the recording's median measurement;"
        " score: how far its first two harmonics stand above the background; margin: how much more evidence speaks for"
        " it than for the next line, both of eight harmonics.",
        "",
        _RIG_HEAD,
        _RIG_RULE,
    ]
    for path in sorted(directory.glob("cwru_*.npz")):
        recording = load(path)
        settings = Settings(rpm=recording.rpm or healthy.rpm, bearing="6205", learn=_LEARN_RIG)
        if path.stem == "cwru_normal_0":
            verdicts = own[_LEARN_RIG:]
        else:
            with Analysis(settings, rate, samples=samples, baseline=baseline) as analysis:
                verdicts = list(analyze(recording, analysis))
        lines.append(rig_row(path.stem, truth(path.stem), verdicts))
    return lines


def rig_at_48_khz(directory: Path) -> list[str]:
    """Case Western once more, the healthy recording taken at the rate that its own lines tell."""
    named = load(directory / "cwru_normal_0.npz")
    healthy = replace(named, rate_hz=4 * named.rate_hz)
    rate, samples, blocks = prepare(healthy, named.rate_hz)
    settings = Settings(rpm=healthy.rpm, bearing="6205", learn=len(blocks))
    with Analysis(settings, rate, samples=samples) as analysis:
        list(analyze(healthy, analysis))
        baseline = analysis.baseline()
    lines = [
        "## Case Western once more, learned at 48 kHz",
        "",
        "The healthy recording says 12 kHz, but its lines stand at multiples of 7.48 Hz, a quarter of the shaft's"
        " 29.95 Hz: it was sampled at 48 kHz. Above it is taken at its word, as a person would. Here it is taken at"
        f" 48 kHz and brought to 12; {len(blocks)} measurements are left, and all of them teach. Not counted above.",
        "",
        _RIG_HEAD,
        _RIG_RULE,
    ]
    for path in sorted(directory.glob("cwru_*.npz")):
        if truth(path.stem) != "healthy":
            with Analysis(settings, rate, samples=samples, baseline=baseline) as analysis:
                lines.append(rig_row(path.stem, truth(path.stem), list(analyze(load(path), analysis))))
    return lines


def mfpt_table() -> list[str]:
    """MFPT: learn on the first two healthy recordings, then judge the third and the damaged ones."""
    names = {"outer": "outer race", "inner": "inner race", None: "healthy"}
    settings = Settings(rpm=_MFPT_RPM, bearing="nice", learn=_LEARN_MFPT)
    lines = [
        "## Machinery Failure Prevention Technology Society, NICE bearing, brought to 26,667 Hz",
        "",
        f"Learned on the first {_LEARN_MFPT} measurements of `baseline_1` and `baseline_2` (1.23 s each). Some"
        " constants were decided on these recordings: below.",
        "",
        _RIG_HEAD,
        _RIG_RULE,
    ]
    healthy = [file for file in mfpt_files() if file.fault is None]
    rate, samples, _ = prepare(load(mfpt_path(healthy[0].name)))
    with Analysis(settings, rate, samples=samples) as analysis:
        own = [verdict for file in healthy for verdict in analyze(load(mfpt_path(file.name)), analysis)]
        baseline = analysis.baseline()
    lines.append(rig_row(healthy[-1].name, "healthy", own[_LEARN_MFPT:]))
    for file in mfpt_files():
        if file.fault is not None:
            recording = load(mfpt_path(file.name))
            with Analysis(settings, prepare(recording)[0], samples=samples, baseline=baseline) as analysis:
                lines.append(rig_row(file.name, names[file.fault], list(analyze(recording, analysis))))
    return lines


def rig_row(name: str, expected: str, verdicts: list[Verdict]) -> str:
    alarmed = [v for v in verdicts if v.level == "alarm"]
    named = Counter(v.fault for v in verdicts if v.fault)
    reasons = Counter(v.abstained for v in verdicts if v.abstained)
    causes = sorted({cause for v in verdicts for cause, level in v.causes.items() if level == 2})
    middle = sorted(verdicts, key=lambda v: max((line["score"] for line in v.lines), default=0.0))[len(verdicts) // 2]
    line = max(middle.lines, key=lambda line: line["score"])
    seen = line["score"] > 0
    cells = [
        name,
        expected,
        worst(verdicts),
        f"{verdicts.index(alarmed[0]) + 1} of {len(verdicts)}" if alarmed else "-",
        ", ".join(causes) or "-",
        ", ".join(f"{fault} ({count})" for fault, count in named.items()) or "-",
        f"{line['name']}, {line['hz']:.1f} Hz" if seen else "none",
        f"{line['score']:.1f}" if seen else "-",
        f"{middle.margin_db:.1f} dB" if seen else "-",
        "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)) or "-",
        judged(expected, verdicts),
    ]
    return "| " + " | ".join(cells) + " |"


def life_table(directory: Path) -> list[str]:
    """PRONOSTIA: each bearing learns on its own first records and is then followed to its end."""
    lines = [
        "## PRONOSTIA, run to failure",
        "",
        f"Learned on the bearing's own first {_LEARN_LIFE} records (0.1 s each; the first 2,048 samples are a"
        " measurement). Records are too short to tell lines apart, so no race is named: levels alone.",
        "",
        "| recording | axis | records | first warning | first alarm | alarm at the end | by | early alarms |  |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(directory.glob("pronostia_*.npz")):
        with np.load(path) as file:
            axes = [axis for axis in ("horizontal", "vertical") if axis in file.files]
        for axis in axes:
            recording = load(path, channel=axis)
            rate, samples, blocks = prepare(recording)
            speed = _SPEEDS[path.stem.split("_")[1]]
            settings = Settings(rpm=speed, bearing="pronostia", learn=_LEARN_LIFE)
            with Analysis(settings, rate, samples=samples) as analysis:
                verdicts = list(analyze(recording, analysis))
            lines.append(life_row(path.stem, axis, verdicts, len(blocks)))
    return lines


def life_row(name: str, axis: str, verdicts: list[Verdict], count: int) -> str:
    def first(levels: tuple[str, ...]) -> int | None:
        return next((v.index for v in verdicts if v.level in levels), None)

    def place(index: int | None) -> str:
        return "-" if index is None else f"{index} ({100 * index / count:.0f} %)"

    early = sum(v.level == "alarm" for v in verdicts[: count // 2])
    alarm = first(("alarm",))
    last = verdicts[-1]
    good = alarm is not None and not early
    cells = [
        name,
        axis,
        str(count),
        place(first(("warning", "alarm"))),
        place(alarm),
        "yes" if last.level == "alarm" else "no",
        ", ".join(sorted(cause for cause, level in last.causes.items() if level == 2)) or "-",
        str(early),
        "hit" if good else "**miss**",
    ]
    return "| " + " | ".join(cells) + " |"


def knocked(directory: Path) -> list[str]:
    """What is said of the same recordings of damaged races when something else knocks, from the first day on."""
    lines = [
        "## Beside other knocks",
        "",
        "The recordings of Case Western (learned at 48 kHz) and of MFPT once more, with"
        f" {_KNOCKS} knocks a second added to what is learned and to what is judged. They have no beat, ring at"
        " 3.2 kHz, and the mean one is as high as the highest sample of the recording."
        f" {_KNOCKED} measurements each, the recording again and again. Not counted above."
        " Without the limit of the envelope (`_KNOCK` in `firmware/dsp/measurement.py`) 7 of the 23 faults"
        " alarmed, and 12 of the 21 races were named.",
        "",
        "| truth | recordings | alarmed | right race named | another fault named |",
        "|---|--:|--:|--:|--:|",
    ]
    normal = load(directory / "cwru_normal_0.npz")
    rig = [(truth(path.stem), load(path)) for path in sorted(directory.glob("cwru_*.npz"))]
    rig = [(expected, recording) for expected, recording in rig if expected != "healthy"]
    names = {"outer": "outer race", "inner": "inner race", None: "healthy"}
    teachers = [load(mfpt_path(name)) for name in ("baseline_1", "baseline_2")]
    judged = [file for file in mfpt_files() if file.name not in ("baseline_1", "baseline_2")]
    taught = prepare(replace(normal, rate_hz=4 * normal.rate_hz), normal.rate_hz)[2]
    jobs = [(Settings(normal.rpm, "6205"), taught, *one) for one in rig]
    taught = [block for recording in teachers for block in prepare(recording)[2]]
    jobs += [(Settings(_MFPT_RPM, "nice"), taught, names[file.fault], load(mfpt_path(file.name))) for file in judged]
    counts: dict[str, list[int]] = {}
    for settings, taught, expected, recording in jobs:
        rate, samples, blocks = prepare(recording)
        highest = float(max(np.abs(block).max() for block in blocks))
        with Analysis(replace(settings, learn=len(taught)), rate, samples=samples) as analysis:
            for number, block in enumerate(taught):
                analysis.run(_with_knocks(block, rate, highest, 1000 + number))
            blocks = [blocks[i % len(blocks)] for i in range(_KNOCKED)]
            said = [analysis.run(_with_knocks(block, rate, highest, 2000 + i)) for i, block in enumerate(blocks)]
        named = {verdict.fault for verdict in said if verdict.fault}
        alarmed = any(verdict.level == "alarm" for verdict in said)
        row = counts.setdefault(expected, [0, 0, 0, 0])
        for place, more in enumerate((True, alarmed, expected in named, bool(named - {expected}))):
            row[place] += more
    return lines + [f"| {expected} | {' | '.join(map(str, row))} |" for expected, row in counts.items()]


def _with_knocks(block: NDArray[np.float32], rate_hz: float, height_g: float, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    blows = np.zeros(len(block))
    count = int(len(block) / rate_hz * _KNOCKS)
    blows[rng.integers(0, len(block), count)] = rng.exponential(1.0, count)
    time = np.arange(200) / rate_hz
    ring = np.exp(-1500 * time) * np.sin(2 * np.pi * 3200 * time)
    return np.asarray(block + height_g * np.convolve(blows, ring)[: len(block)], np.float32)


def decided() -> list[str]:
    lines = ["## What was decided, and on which recordings", "", "| question | recordings | what they say | so |"]
    return [*lines, "|---|---|---|---|", *(f"| {' | '.join(cells)} |" for cells in _DECIDED)]


def other_faults() -> list[str]:
    """Faults that are no bearing's, on the modelled machine: there is no recording of one."""
    lines = [
        "## Faults that are no bearing's, modelled",
        "",
        "No recording at hand is of such a fault: the modelled machine of `host/quaver/recordings/machine.py` stands"
        f" for one: it learns {_LEARN_MODEL} times healthy, then has the fault. Nothing of it counts above. What is not"
        " clear alarms and has no name; where it is so, the last column says why. In the recordings above none is named"
        " so.",
        "",
        "| fault | 1/min | verdict | named | why not |",
        "|---|---|---|---|---|",
    ]
    rate, samples = 12000.0, 16384
    for fault, rpm, why in _MODELLED:
        with Analysis(Settings(rpm * 1.01, "6205", learn=_LEARN_MODEL), rate) as analysis:
            for capture in range(2 * _LEARN_MODEL):
                model = Machine(rpm, fault=None if capture < _LEARN_MODEL else fault, severity=1.0)
                last = analysis.run(model.samples(capture, rate, 0, samples)[:, 2])
        if (last.fault == fault) != (not why):
            raise SystemExit(f"{fault} at {rpm:g} 1/min: named {last.fault}: the table is out of date")
        lines.append(f"| {fault} | {rpm:g} | {last.level} | {last.fault or '-'} | {why or '-'} |")
    return lines


def two_speeds() -> list[str]:
    """A modelled machine of two speeds, learned as one and by classes (`machine.classes`)."""
    lines = [
        "## A machine of two speeds, modelled",
        "",
        "At 2,400 1/min it shakes four times as much as at 1,200. It learns, runs 12 times healthy at both speeds in"
        " turn, and then 12 times with a damaged outer race that shows at the lower speed alone. Right is no alarm of"
        " 12, then 10 of 12: an alarm needs two measurements that see it, and then holds at the other speed.",
        "",
        "| learned | healthy: alarms | damaged: alarms | with RMS or envelope | named |",
        "|---|---|---|---|---|",
    ]
    slow, fast = (1200.0, 0.0), (2400.0, 0.0)
    then = [slow, fast] * 6 + [(1200.0, 0.1), fast] * 6
    for words, classes, taught in (
        ("at the lower speed", None, [slow] * 4),
        ("at both, as one", None, [slow, fast] * 2),
        ("by class", ("rpm", [1800.0]), [slow] * 4 + [fast] * 4),
    ):
        settings = Settings(None, "6205", learn=4, node={"machine": {"classes": classes}} if classes else {})
        with Analysis(settings, 26667.0) as analysis:
            found = []
            for capture, (rpm, severity) in enumerate(taught + then):
                model = Machine(rpm, fault="outer" if severity else None, severity=severity)
                found.append(analysis.run(model.samples(capture, 26667.0, 0, 32768)[:, 2] * (rpm / 1200) ** 2))
        healthy, damaged = found[len(taught) : -12], found[-12:]
        levels = sum(bool({"rms", "envelope"} & set(verdict.causes)) for verdict in damaged)
        named = Counter(verdict.fault for verdict in damaged if verdict.fault)
        cells = [
            words,
            f"{sum(v.level == 'alarm' for v in healthy)} of 12",
            f"{sum(v.level == 'alarm' for v in damaged)} of 12",
            f"{levels} of 12",
            ", ".join(f"{fault} ({count})" for fault, count in named.items()) or "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


_KNOCKS = 15  # a second
_KNOCKED = 8  # measurements of each recording beside other knocks
_DECIDED = (
    (
        "where the envelope's band begins",
        "MFPT, 17 damaged",
        "from 2 kHz on there is 5 dB more evidence in the mean than from 1 kHz on",
        "2 to 5 kHz",
    ),
    (
        "the band at commissioning, by spectral kurtosis",
        "the healthy ones of both rigs",
        "it lies within 0.3 of 0 in each octave",
        "fixed",
    ),
    (
        "the band on alarm, by spectral kurtosis",
        "MFPT, 17 damaged",
        "it is highest where the evidence is in 6",
        "others are heard in turn",
    ),
    (
        "the band on alarm: the octave that rose most",
        "MFPT, 17 damaged, and Case Western, 4",
        "it has the most evidence in 9 of 21, and more than 2 to 5 kHz in 10, which has enough in all",
        "others are heard in turn",
    ),
    ("to whiten the spectrum by its cepstrum", "the same 21", "evidence falls in all", "no"),
    (
        "to square the envelope",
        "the same 21, with noise or knocks added",
        "in noise of twice their RMS 8 have enough evidence for a name, not 2, beside knocks fewer; at the envelope's"
        " rate squares alias, and a modelled machine's speed was found where there was none",
        "no",
    ),
    (
        "to hold the envelope to some times its mean",
        "the same 21, with knocks added",
        "the table above; without knocks 21 are named, as before. From 5 times downwards what aliases is taken for a"
        " modelled machine's speed",
        "6 times",
    ),
)
_LEARN_MODEL = 3
_MODELLED = (
    ("unbalance", 1480.0, ""),
    ("unbalance", 2950.0, ""),
    ("misalignment", 1480.0, ""),
    ("misalignment", 2950.0, "twice the speed is 98.3 Hz, which may be the mains"),
    ("looseness", 1797.0, ""),
    ("looseness", 900.0, "its halves and harmonics are low"),
    ("gear mesh", 1480.0, ""),
    ("gear mesh", 2950.0, "the teeth mesh above the band of velocity"),
    ("resonance", 2950.0, ""),
    ("resonance", 900.0, "the rotor vibrates more"),
    ("electrical", 1797.0, ""),
    ("electrical", 1480.0, "the fourth harmonic is 98.7 Hz, which may be the mains"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parents[1] / "docs/diagnosis.md")
    parser.add_argument("--mfpt", action="store_true")
    options = parser.parse_args()
    rows = [*rig_table(options.directory), "", *life_table(options.directory)]
    again = rig_at_48_khz(options.directory)
    if options.mfpt:
        rows += ["", *mfpt_table()]
        again += ["", *knocked(options.directory), "", *decided()]
    results = Counter(row.rsplit("|", 2)[1].split(":")[0].strip(" *") for row in rows if row.startswith("| "))
    summary = ", ".join(f"{results[kind]} {word}" for kind, word in _COUNTED)
    options.output.write_text(
        "\n".join([_HEADING, f"In all: {summary}.", "", *rows, "", *again, "", *other_faults(), "", *two_speeds(), ""])
    )
    print(f"{options.output}: {summary}")


_COUNTED = (("hit", "hits"), ("abstention", "abstentions"), ("miss", "misses"))

if __name__ == "__main__":
    main()
