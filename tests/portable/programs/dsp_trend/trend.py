"""The trend after each ratio."""

import json

from dsp.trend import Trend

trend = Trend(1, 1.6, 2.5)
print(json.dumps([trend.take([ratio], 3600.0) for ratio in argument]))
