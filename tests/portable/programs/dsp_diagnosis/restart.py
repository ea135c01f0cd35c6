"""A baseline is restored after each count of learned rows."""

import json

from dsp.baseline import Baseline

rows = [[0.3 + 0.01 * i, 0.1, 1.0, 0.001, 0.002, 0.003, 0.004, 0.1, 0.2, 0.05, 3.0] for i in range(4)]
answers = []
for cut in range(5):
    baseline = Baseline(4)
    for row in rows[:cut]:
        baseline.learn(row)
    again = Baseline(4)
    again.restore(json.loads(json.dumps(baseline.state())))
    for row in rows[cut:]:
        again.learn(row)
    answers.append([again.learned, list(again.median), list(again.mad)])
bad = Baseline(4)
refused = 0
for state in (
    {},
    {"rows": 3},
    {"rows": [[1, 2]]},
    {"median": [1] * 11},
    {"median": [1] * 11, "mad": ["x"] * 11},
    {"median": [1] * 11, "mad": [-1] * 11},
):
    try:
        bad.restore(state)
    except ValueError:
        refused += 1
print(json.dumps([answers, refused, bad.learned]))
