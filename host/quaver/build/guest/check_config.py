"""Judges a configuration by the node's own rules. It comes by stdin: a process's arguments are anybody's to read."""

import json
import sys
from build import bearings, zones
from build import config

config, problems = config.parse(json.loads(sys.stdin.read()))
machine = config["machine"]
try:
    if machine["bearing"] is not None:
        bearings.ratios(machine["bearing"])
except ValueError as error:
    problems.append("machine.{}".format(error))
try:
    if machine["group"]:
        zones.limits(machine["group"], machine["mounting"])
except ValueError as error:
    problems.append(str(error))
print(json.dumps(problems))
