"""Octaves that rise: one of the upper three, a lower one, one that scattered when it was learned, one
unlearned, and one of a short measurement."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured

OLD = {"median": [0.3, 0.1, 1.0, 0.001, 0.001, 0.001, 0.001], "mad": [0.0] * 7}
answers = []
for octave, level, scatter, old, stretch in (
    (5, 2.6, 0, False, 1),
    (4, 9.0, 0, False, 1),
    (6, 2.6, 0.5, False, 1),
    (5, 9.0, 0, True, 1),
    (5, 9.0, 0, False, 4),
):
    d = Diagnosis(Baseline(5))
    if old:
        d.restore(OLD)
    for sign in () if old else (0, 1, -1, 1, -1):
        d.run(measured(bands=[0.1] * 6 + [0.1 * (1 + scatter * sign), 0.1]), lines(), 60)
    told = []
    for height in (level - 0.9, level):
        for _ in range(3):
            bands = [0.1 * (height if i == octave else 1) for i in range(8)]
            d.run(measured(bands=bands, stretch=stretch), lines(), 60)
        told.append([d.level, sorted(d.causes)])
    answers.append(told + [d.values["octave"]])
print(json.dumps(answers))
