"""Measurements of given sensors, and a recorder that keeps them."""

import asyncio

from node.measure import Judge, Measure


class Recorder:
    def __init__(self):
        self.events = []
        self.records = []

    def event(self, name, subject="", level=None, value=None, limit=None, text=None, reason=None):
        self.events.append([name, subject, level, value, limit, text, reason])

    def telemetry(self, values):
        self.records.append(values)


class Step:  # a threshold that does as it is told
    warning, alarm, level = 1.0, 2.0, 0

    def update(self, value):
        self.level = int(value)
        return self.level


recorder = Recorder()


def measure(sensors, thresholds={}, interval_s=60):
    return Measure(sensors, Judge(thresholds), recorder, interval_s, lambda *_: None)


def times(measuring, count):
    for _ in range(count):
        asyncio.run(measuring.once())
