"""Runs a node's rules dry, in a time of its own: what each would have done for measurements that are given.

By stdin: the configuration and what is known of the measurements, one line; then each measurement, a line of
{"at_ms", "clock": whether that is the time of the day, "starts": whether the node started before it,
"sensors": [name, values, marks], "level", "quality", "changes": of levels}.
"""

import json
import sys

from build import config, rules

_HOUR_MS = 3_600_000
_NEVER = 1 << 60


class Clock:
    """The time of the day, and events as they come."""

    def __init__(self):
        self.at_ms = 0
        self.known = False
        self.events = []

    def time_ms(self):
        return self.at_ms if self.known else None

    def event(self, name, subject, **values):
        self.events.append([self.at_ms, name, subject, values["text"], values["value"], values["limit"]])


class Pins:
    """Of hal: nothing hangs on them."""

    def output(pin, level):
        return lambda level: None

    def input(pin):
        return lambda: 0


def at_rest(rule):
    """An input as the rule does not want it."""
    return lambda: 1 - rule.at


class Dry:
    """settings: a configuration, checked. path: where trips are kept over the node's starts."""

    def __init__(self, settings, path):
        self.settings = settings
        self.path = path
        self.clock = Clock()
        self.on_ms = {row["name"]: 0 for row in settings["outputs"]}
        self.held = {row["name"]: 0 for row in settings["outputs"]}

    def start(self):
        """As a node starts."""
        self.waits = {}  # outputs, by name
        self.acting = rules.build(Pins, self.settings, self.path)
        for rule in self.acting.rules:
            if rule.pin:
                rule.pin = at_rest(rule)
        self.acting.attach(self.clock, self.clock, None, lambda: True)

    def passes(self, ms):
        """Let so much time pass, in steps that miss nothing."""
        while ms > 0:
            step = min(ms, self.soon())
            for output in self.acting.outputs:
                self.on_ms[output.name] += output.on and step
            self.clock.at_ms += step
            self.acting.tick(step)
            self.settled()
            ms -= step

    def soon(self):
        """ms until something can change by itself."""
        soon = _NEVER
        for output in self.acting.outputs:
            soon = min(soon, self.left(output._least[output.on] - output.age_ms))
        for rule in self.acting.rules:
            if rule.output:
                soon = min(soon, self.left(rule.output.patience_ms - rule.blind_ms))
            if rule.kind == "uptime_s":
                soon = min(soon, self.left((rule.at - self.acting._up_s) * 1000 - self.acting._ms))
            elif rule.kind == "hours":
                soon = min(soon, max(1000, _HOUR_MS - self.clock.at_ms % _HOUR_MS))
        return soon

    def left(self, ms):
        return ms if ms > 0 else _NEVER

    def settled(self):
        """Tell what was done; and as a person would, let go what has tripped and is over."""
        for rule in self.acting.rules:
            if rule.news:
                rule.quiet_ms = 0  # what flutters is shown each time
        self.acting.tell()
        for rule in self.acting.rules:
            if rule.trips and rule.acting and rule.state == 0:
                self.acting.reset(rule.name)
        for output in self.acting.outputs:
            waits = output.held == "minimum time"
            self.held[output.name] += waits and not self.waits.get(output.name)
            self.waits[output.name] = waits

    def measured(self, given):
        self.clock.known = given["clock"]
        if given["starts"]:
            self.clock.at_ms = given["at_ms"]
            self.start()
        else:
            self.passes(given["at_ms"] - self.clock.at_ms)
        for name, values, marks in given["sensors"]:
            self.acting.take(name, values, marks, ())
        self.acting.conclude(given["level"], given["quality"], given["changes"])
        self.settled()


given = json.loads(sys.stdin.readline())
settings, problems = config.parse(given["config"])
left = [row for row in settings["rules"] if row["sensor"] and row["sensor"] not in given["sensors"]]
settings["rules"] = [row for row in settings["rules"] if row not in left]
used = [row["output"] for row in settings["rules"]]
settings["outputs"] = [row for row in settings["outputs"] if row["name"] in used]
for row in settings["outputs"]:
    row["not_with"] = [name for name in row["not_with"] if name in used]
dry = Dry(settings, given["folder"] + "/rules.tripped")
for line in sys.stdin:
    dry.measured(json.loads(line))
said = {"events": dry.clock.events, "on_ms": dry.on_ms, "held": dry.held}
said["left_out"] = [row["name"] for row in left]
said["inputs"] = [row["name"] for row in settings["rules"] if row["kind"] == "input"]
print(json.dumps(said))
