"""Measures each block as the sampling loop does: in pieces, into the target."""

import json
from array import array

from dsp.lines import Lines
from dsp.measurement import Measurement

settings = argument["settings"]
measurement = Measurement(*settings[:1], **settings[1])
lines = Lines(argument["ratios"])
answers = []
for block in argument["blocks"]:
    samples = memoryview(array("h", block))
    measurement.begin()
    at, wanted = 0, measurement.n
    while wanted:
        count = min(measurement.left, 173)
        measurement.target[measurement.at : measurement.at + count] = samples[at : at + count]
        at += count
        wanted = measurement.take(count)
        assert wanted == measurement.n - at
    if "marks" in argument:
        measurement.marks = array("i", argument["marks"])
        measurement.marked = len(measurement.marks)
        measurement.tachometer_hz = argument["turns_hz"]
    measurement.finish(argument["ug"], settings[0])
    m = measurement
    if m.shaft_hz:
        lines.run(m)
    answers.append(
        dict(
            rms=m.rms_g,
            peak=m.peak_g,
            crest=m.crest,
            kurtosis=m.kurtosis,
            skew=m.skew,
            velocity=m.velocity_mm_s,
            envelope=m.envelope_g,
            peaks=list(m.peaks),
            bands=list(m.bands),
            range=[m.minimum, m.maximum],
            n=m.n,
            shaft=[m.shaft_hz, m.shaft_confidence],
            hz=list(lines.hz),
            g=list(lines.g),
            heights=list(lines.heights),
            score=list(lines.score),
            evidence=list(lines.evidence),
            signs=list(lines.signs),
            changed=lines.changed,
            tracked=measurement.tracked,
            kept=list(m.samples) == block[: len(m.samples)],
            stage=m.stage(),
            spectrum=list(m.spectrum),
            envelope_spectrum=list(m.envelope_spectrum),
            envelope_top=1024 * m.line_hz,
        )
    )
print(json.dumps(answers))
