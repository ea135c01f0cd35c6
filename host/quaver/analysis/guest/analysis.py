"""A node's analysis of samples that come from elsewhere: its signal path by a node's own settings."""

import json
from binascii import b2a_base64

from build import config, engine
from dsp.lines import droop
from node.measure import Judge
from quaver_wire.fields import LINES


class Analysis:
    """given: {"rate": in Hz, "config": sections of a node's configuration, checked by whoever made them, "baseline":
    what an earlier one learned, or None}. Raises ValueError for what a node can't take."""

    def __init__(self, given):
        settings, _ = config.parse({})
        for section, values in given["config"].items():
            settings[section].update(values)
        problems = []
        path = engine.engine(given["rate"], settings, problems)
        for problem in problems:
            raise ValueError(problem[8:] if problem.startswith("machine.") else problem)
        if given["baseline"]:
            path.diagnosis.restore(given["baseline"])
        self.path = path
        self.thresholds = engine.thresholds(settings)
        self.judge = Judge(self.thresholds)
        self.rate = given["rate"]

    def one(self, source, ug, clipped):
        """The verdict on the next measurement, as JSON; source: has readinto, and gives what the sensor had."""
        m = self.path.measurement
        m.begin()
        wanted = m.n
        while wanted:
            source.readinto(memoryview(m.target)[m.at : m.at + m.left])
            wanted = m.take(m.left)
        self.path.measure(ug, self.rate)
        self.path.judge(m.n / self.rate, not clipped)
        d = self.path.diagnosis
        names = ("rms_g", "peak_g", "crest", "kurtosis", "skew", "velocity_mm_s", "envelope_g", "peaks", "shaft_hz")
        features = {name: getattr(m, name) for name in names + ("shaft_confidence",)}
        level, _ = self.judge.run(features)
        features["bands_g"] = m.bands
        features["samples"] = m.n
        features["clipped"] = clipped
        features["stuck"] = m.minimum == m.maximum
        answer = {name: getattr(d, name) for name in ("state", "fault", "margin_db", "abstained", "zone")}
        answer["features"] = features
        answer["level"] = max(level, d.level)
        answer["causes"] = dict(d.causes)
        for feature, threshold in self.thresholds.items():
            if threshold.level > d.causes.get(feature, 0):
                answer["causes"][feature] = threshold.level
        answer["line"] = None if d.line is None else LINES[d.line]
        answer["lines"] = []
        lines = self.path.found
        for i in range(4) if lines else ():
            line = {"name": LINES[i], "hz": lines.hz[i], "g": lines.g[i], "score": lines.score[i]}
            line["evidence_db"] = lines.evidence[i]
            line["heights"] = lines.heights[3 * i : 3 * i + 3]
            answer["lines"].append(line)
        return json.dumps(answer)

    def baseline(self):
        """What was learned so far."""
        return self.path.diagnosis.baseline.state()

    def spectra(self):
        """Print what the last measurement's features were read from: scales, then words in base64."""
        m = self.path.measurement
        lines = self.path.found
        levels = {"spectrum": m.spectrum, "envelope": m.envelope_spectrum}
        levels = {name: b2a_base64(values).decode().strip() for name, values in levels.items()}
        levels["spectrum_hz"] = self.rate / 2
        levels["envelope_hz"] = len(m.powers) // 2 * m.line_hz
        levels["band_hz"] = m.band
        levels["marks_hz"] = [m.shaft_hz] + (lines.hz if lines else [])
        droops = [droop(min(0.45, i / 64), m.decimation, 3) for i in range(33)]
        print(json.dumps({"envelope_hz": m.line_hz, "line_g": m.line_g, "droops": droops, "levels": levels}), end="|")
        for words in (m.powers, m.joined):
            for at in range(0, len(words), 384):  # in threes of bytes, so that the pieces make one whole
                print(b2a_base64(words[at : at + 384]).decode().strip(), end="")
            print(end="|")
        print()
