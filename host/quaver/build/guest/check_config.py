"""Judges a configuration by the node's own rules. It comes by stdin: a process's arguments are anybody's to read."""

import json
import sys
from build import config, engine, sensors

config, problems = config.parse(json.loads(sys.stdin.read()))
if config["vibration"]:
    try:
        engine.engine(sensors.rate_hz(config["vibration"]), config, problems)
    except ValueError as error:
        problems.append("vibration: {}".format(error))
else:
    engine.ratios(config["machine"], problems)
    engine.zones(config["machine"], problems)
print(json.dumps(problems))
