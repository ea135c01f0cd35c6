"""Checks drivers of one's own by what a node does with them. Their names come by stdin."""

import json
import sys
from build import config, sensors

problems = []
for name in json.loads(sys.stdin.read()):
    path = name + ".py: "
    try:
        __import__("own." + name)
        own = sys.modules["own." + name]
        measures = own.MEASURES.split(" ")
        lines = [line.split(" ") for line in own.SETTINGS.split("\n")]
        if any(one not in sensors.DRIVERS for one in measures):
            problems.append(path + "MEASURES: expected one of " + ", ".join(sorted(sensors.DRIVERS)))
        elif not callable(own.make):
            problems.append(path + "make: expected a function of the port and the section of the configuration")
        elif any("" in line or (len(line) < 2 and line[0] in ("bus", "rate_hz")) for line in lines):
            problems.append(path + "SETTINGS: expected lines of a setting and the values that it takes")
        else:
            for one in measures:
                known = [row[0] for row in config._fields()]
                # those that have to be given
                given = {line[0]: 1 for line in lines if len(line) == 1 and one + "." + line[0] in known}
                whole = {"vibration": None, one: dict(given, driver=name)}
                problems += [path + line for line in config.parse(whole)[1]]
    except Exception as error:
        problems.append("{}{}: {}".format(path, type(error).__name__, error))
print(json.dumps(problems))
