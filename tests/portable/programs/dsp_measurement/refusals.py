"""Settings that make no sense."""

import json

from dsp.measurement import Measurement

answers = []
for rate, settings in (
    (10, {}),
    (26667, {"n": 3000}),
    (26667, {"n": 65536}),
    (26667, {"band": (5000, 2000)}),
    (3200, {"band": (2000, 5000)}),
    (26667, {"n": 512}),
):
    try:
        Measurement(rate, **settings)
    except ValueError as error:
        answers.append(str(error))
measurement = Measurement(3200, (400, 1200))
try:
    measurement.finish(488, 3200.0)
except ValueError as error:
    answers.append(str(error))
print(json.dumps(answers))
