"""Judges measurements of nodes, as their records tell them, by a node's own code, restart by restart.

Answers each line of stdin, [verb, what it is about]:

open   [name, what `Replay` is given]    begins a node
judge  [[name, boot, …], …]              as `Replay.one`, of each measurement
parse  a config.json                     what a node makes of it
"""

import json
import sys

from build import config, engine
from command import reconfigure
from dsp.baseline import OCTAVES
from node.condition import Condition
from node.measure import Judge
from node.vibration import Vibration


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
        settings, before = config.parse(given["config"])
        settings, problems = config.parse(reconfigure.merged(given["config"], given["changes"]))
        problems = [problem for problem in problems if problem not in before]
        if problems:
            raise ValueError(problems[0])
        self.settings = settings
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


replays = {}


def answer(verb, about):
    if verb == "open":
        name, given = about
        replays[name] = Replay(given)
        return None
    if verb == "parse":
        return config.parse(about)[0]
    return [replays[row[0]].one(*row[1:]) for row in about]


for line in sys.stdin:
    try:
        print(json.dumps(answer(*json.loads(line))))
    except (ValueError, TypeError) as error:
        print("refused", error)
