"""Judges a configuration by the node's own rules. It comes by stdin: a process's arguments are anybody's to read."""

import json
import sys
from build import config, engine

config, problems = config.parse(json.loads(sys.stdin.read()))
engine.ratios(config["machine"], problems)
engine.zones(config["machine"], problems)
print(json.dumps(problems))
