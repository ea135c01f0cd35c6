"""The limits of features that scatter, that hardly do, and that are zero."""

import json

from dsp.baseline import Baseline

baseline = Baseline(5)
for value in (1.0, 2.0, 1.5, 0.5, 3.0):
    baseline.learn([value, 0.1, 1.0, 0.001, 0.001, 0.001, 0.0, 0.1, 0.1, 0.0, 3.0])
print(json.dumps([baseline.limits(0), baseline.limits(3), baseline.limits(6)]))
