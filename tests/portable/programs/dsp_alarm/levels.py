"""The levels of a series of values, for each setting of a threshold."""

import json

from dsp.alarm import Threshold

answers = []
for case in argument["cases"]:
    threshold = Threshold(2.0, 5.0, *case)
    answers.append([threshold.update(value) for value in argument["values"]])
print(json.dumps(answers))
