"""Shocks and levels, together and alone; a machine that knocked when it was learned; one measurement alone;
short ones."""

import json

from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp_diagnosis.machine import lines, measured

answers = []
for rms, kurtosis, learned, times, stretch in (
    (0.5, 9.0, 3.0, 3, 1),
    (0.5, 3.0, 3.0, 3, 1),
    (0.3, 9.0, 3.0, 3, 1),
    (0.5, 9.0, 6.0, 3, 1),
    (0.5, 9.0, 3.0, 1, 1),
    (0.5, 9.0, 3.0, 3, 4),
):
    d = Diagnosis(Baseline(5))
    for _ in range(5):
        d.run(measured(kurtosis=learned), lines(), 60)
    for _ in range(times):
        d.run(measured(rms_g=rms, kurtosis=kurtosis, stretch=stretch), lines(), 60)
    answers.append([d.level, sorted(d.causes)])
print(json.dumps(answers))
