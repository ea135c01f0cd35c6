"""Judges measurements of nodes, as their records tell them, by a node's own code, restart by restart.

Answers each line of stdin, [verb, what it is about]:

open     [name, what `Replay` is given]    begins a node
judge    [[name, boot, …], …]              as `Replay.one`, of each measurement
parse    a config.json                     what a node makes of it
measure  what `measure` is given           its features and what they say by themselves
lines    what `lines` is given             how the bearing's lines stand in spectra
"""

import io
import json
import sys
from array import array
from binascii import a2b_base64, unhexlify

from build import config, engine
from command import reconfigure
from dsp import lines as dsp_lines
from dsp.baseline import OCTAVES
from node.condition import Condition
from node.measure import Judge
from node.vibration import Vibration
from quaver_wire.fields import LINES


_AROUND = 24  # bins of background on each side, as dsp.lines has it; a const is no name there


def configured(given):
    """The settings of a node with a "config" and its "changes". Raises ValueError for what a node refuses."""
    settings, before = config.parse(given["config"])
    settings, problems = config.parse(reconfigure.merged(given["config"], given["changes"]))
    problems = [problem for problem in problems if problem not in before]
    if problems:
        raise ValueError(problems[0])
    return settings


class Orders:
    fault = None
    share = 0.0


class Recorded:
    """Of dsp.measurement what a diagnosis reads, as a record tells it."""

    away = False
    marked = 0
    orders = Orders


class Path:
    """Of dsp.engine what node.vibration tells changes by."""

    found = None

    def __init__(self, diagnosis, classes):
        self.measurement = Recorded
        self.diagnosis = diagnosis
        self.classes = classes


class Replay:
    """given: {"config": a node's config.json, "changes": path -> value, "rate": in Hz, "folder": for what is learned,
    "teach": whether the baseline is learned from these records}. Raises ValueError for what a node refuses."""

    def __init__(self, given):
        self.settings = configured(given)
        self.given = given
        self.boot = None
        self.start()

    def start(self):
        """As a node starts."""
        settings = self.settings
        self.judge = Judge(engine.thresholds(settings))
        self.vibration = self.condition = None
        if settings["vibration"]:
            path = engine.engine(self.given["rate"], settings, [])
            self.stretch = path.measurement.stretch
            self.path = Path(path.diagnosis, path.classes)
            self.vibration = Vibration(None, self.path, None, None, None)
            if self.given["teach"]:
                self.condition = Condition(
                    path.diagnosis, self.given["folder"] + "/condition.json", classes=path.classes
                )
                self.condition.restore()

    def one(self, boot, values, since_s, trusted, relearned):
        """(level, baseline's count, changes) after a measurement; trusted: it may teach."""
        if boot != self.boot:
            self.boot = boot
            self.start()
        level, changes, learned = 0, [], None
        if self.vibration and values.get("rms_g") is not None:
            d = self.path.diagnosis
            if relearned:
                d.relearn()
            self.take(values)
            if self.path.classes:
                power = (values.get("energy") or [None] * 3)[2]
                level = self.path.classes.run(Recorded, None, since_s, trusted, power)
            else:
                level = d.run(Recorded, None, since_s, trusted)
            learned = d.baseline.count()
            changes = [one for one in self.vibration._changes() if one[0] == "level"] if d.state else []
            if self.condition:
                self.condition.save()
        found, more = self.judge.run(values)
        told = [
            (source, subject, one["level"], one["value"], one["limit"])
            for source, those in (("machine", changes), ("limits", more))
            for _, subject, one in those
        ]
        return max(level, found), learned, told

    def take(self, values):
        m = Recorded
        for name in ("rms_g", "crest", "kurtosis"):
            setattr(m, name, values[name])
        for name in ("velocity_mm_s", "envelope_g", "shaft_hz"):
            setattr(m, name, values.get(name))
        m.shaft_confidence = values.get("shaft_confidence") or 0.0
        m.bands = values.get("bands") or [0.0] * OCTAVES
        m.stretch = self.stretch


def measure(given):
    """given: {"config", "changes", "rate" in Hz, "ug" a count, "data": counts in base64}.

    What one measurement says by itself: nothing is learned, and one of one agrees.
    """
    settings = configured(given)
    data = a2b_base64(given["data"])
    settings["vibration"]["samples"] = len(data) // 2
    settings["machine"]["classes"] = None
    settings["alarm"]["count"] = settings["alarm"]["of"] = 1
    problems = []
    path = engine.engine(given["rate"], settings, problems)
    if problems:
        raise ValueError(problems[0])
    m, source = path.measurement, io.BytesIO(data)
    m.begin()
    wanted = m.n
    while wanted:
        source.readinto(memoryview(m.target)[m.at : m.at + m.left])
        wanted = m.take(m.left)
    path.measure(given["ug"], given["rate"])
    path.judge(m.n / given["rate"])
    d = path.diagnosis
    names = ("rms_g", "peak_g", "crest", "kurtosis", "velocity_mm_s", "envelope_g", "shaft_hz")
    features = {name: getattr(m, name) for name in names}
    thresholds = engine.thresholds(settings)
    levels = dict(d.causes)
    Judge(thresholds).run(features)
    for feature, threshold in thresholds.items():
        if threshold.level > levels.get(feature, 0):
            levels[feature] = threshold.level
    found = path.found
    rows = [(LINES[i], found.hz[i], found.evidence[i]) for i in range(4)] if found else []
    return {"state": d.state, "features": features, "levels": levels, "zone": d.zone, "lines": rows}


def lines(given):
    """given: {"config", "changes", "spectra": [levels in hexadecimal, Hz of the last, Hz of the shaft]}.

    Of each spectrum of an envelope, [Hz, height over the background] of each line of the bearing; None without one.
    """
    problems = []
    ratios = engine.ratios(configured(given)["machine"], problems)
    if problems:
        raise ValueError(problems[0])
    return ratios and [spread(ratios, *row) for row in given["spectra"]]


def spread(ratios, levels, last_hz, shaft_hz):
    levels = unhexlify(levels)
    bins, top = len(levels), max(levels)
    # Half decibels; the kernels take words of 30 bits.
    powers = array("i", (int((1 << 29) * 10 ** ((level - top) / 20)) for level in levels))
    width = last_hz / bins
    places = [ratio * shaft_hz for ratio in ratios]
    # A bin has the level of the highest of the lines that it stands for, so the place is as wide as it.
    return [(hz, dsp_lines._tallest(powers, hz / width - 0.5, 1.0, bins, _AROUND)[1]) for hz in places]


replays = {}


def answer(verb, about):
    if verb == "open":
        name, given = about
        replays[name] = Replay(given)
        return None
    if verb == "parse":
        return config.parse(about)[0]
    if verb == "measure":
        return measure(about)
    if verb == "lines":
        return lines(about)
    return [replays[row[0]].one(*row[1:]) for row in about]


for line in sys.stdin:
    try:
        print(json.dumps(answer(*json.loads(line))))
    except (ValueError, TypeError) as error:
        print("refused", error)
