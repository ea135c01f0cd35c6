"""The measuring task: reads every sensor once an interval, judges the features, records the result.

A sensor that fails is told once, as an event, and shown in every record's quality until it answers again.
"""

import asyncio
import gc
import time

from micropython import const

from quaver_wire.fields import LEVELS, QUALITY

_SLICE_MS = const(5000)


class Sensor:
    """A sensor with its health. read(values) fills the record's fields and returns quality names to set.

    `begin` is called before the first reading and again after each failure.
    """

    def __init__(self, name, begin, read):
        self.name = name
        self._begin = begin
        self._read = read
        self._ready = False
        self._failed = False

    async def measure(self, values, recorder):
        """Read into `values`; return the names of quality bits. A failure is an event, never an exception."""
        try:
            if not self._ready:
                self._begin()
                self._ready = True
            marks = await self._read(values)
        except (OSError, ValueError) as error:
            self._ready = False
            if not self._failed:
                self._failed = True
                recorder.event("sensor_failed", self.name, text=_text(error))
            return (self.name + "_failed",)
        if self._failed:
            self._failed = False
            recorder.event("sensor_recovered", self.name)
        return marks


def _text(error):
    if isinstance(error, OSError) and error.args and isinstance(error.args[0], int):
        return "no answer (errno {})".format(error.args[0])
    return str(error) or type(error).__name__


def vibration(capture, features, quiet):
    """The vibration sensor: one block, its features, and how far they can be trusted.

    quiet: a lock that is held while nothing may take the processor for longer than the FIFO lasts.
    """
    sensor = capture.sensor

    async def read(values):
        async with quiet:
            capture.run()
            if capture.dropped:
                # The radio's driver may take the processor for longer than the FIFO lasts; rarely twice running.
                capture.run()
        samples = capture.samples
        features.run(samples, len(samples), sensor.UG_PER_LSB, capture.rate_hz)
        values["rate_hz"] = capture.rate_hz
        values["samples"] = len(samples)
        values["dropped"] = capture.dropped
        marks = []
        if capture.dropped:
            marks.append("dropped")
        if features.minimum == features.maximum:
            # A machine at rest still shows the noise of the part; the same number every time is a dead one.
            raise ValueError("stuck at {}".format(features.maximum))
        if features.maximum >= sensor.CLIP_LSB or features.minimum <= -sensor.CLIP_LSB:
            marks.append("clipped")
        values["rms_g"] = features.rms_g
        values["peak_g"] = features.peak_g
        values["crest"] = features.crest
        values["kurtosis"] = features.kurtosis
        values["peaks"] = features.peaks
        return marks

    return Sensor("vibration", sensor.probe, read)


def temperature(sensor):
    """The temperature sensor; outside the part's own range is a failure, not a reading."""

    async def read(values):
        milli = sensor.read_milli()
        if not sensor.LOWEST_MILLI <= milli <= sensor.HIGHEST_MILLI:
            raise ValueError("out of range: {} mC".format(milli))
        values["temperature_c"] = milli / 1000
        return ()

    return Sensor("temperature", sensor.probe, read)


def energy(meter):
    """The energy meter."""

    async def read(values):
        values["energy"] = [milli / 1000 for milli in await meter.read()]
        return ()

    return Sensor("energy", meter.probe, read)


class Judge:
    """Runs each limited feature through its threshold and tells each change of level as an event."""

    # the record's field for each feature that the configuration can limit
    _FIELDS = {
        "rms": "rms_g",
        "peak": "peak_g",
        "crest": "crest",
        "kurtosis": "kurtosis",
        "temperature": "temperature_c",
    }

    def __init__(self, thresholds, recorder):
        self._thresholds = thresholds
        self._recorder = recorder

    def run(self, values):
        """Judge the fields that are there; return the highest level, 0 ok, 1 warning, 2 alarm."""
        highest = 0
        for feature, threshold in self._thresholds.items():
            value = values.get(self._FIELDS[feature])
            before = threshold.level
            level = threshold.level if value is None else threshold.update(value)
            if level != before:
                limit = threshold.alarm if max(level, before) == 2 else threshold.warning
                self._recorder.event("level", feature, level=level, value=value, limit=limit)
                print("node: {} {} ({:.3f}, limit {:.3f})".format(feature, LEVELS[level], value, limit))
            highest = max(highest, level)
        return highest


class Measure:
    """sensors: of this module's makers; progress(name): tells the supervisor that the task lives."""

    def __init__(self, sensors, judge, recorder, interval_s, progress):
        self._sensors = sensors
        self._judge = judge
        self._recorder = recorder
        self._interval_ms = int(interval_s * 1000)
        self._progress = progress

    async def once(self):
        """Take one measurement of everything and record it."""
        gc.collect()  # now, so that none is due while the FIFO fills
        values = {"heap_free": gc.mem_free()}
        quality = 0
        for sensor in self._sensors:
            for mark in await sensor.measure(values, self._recorder):
                quality |= 1 << QUALITY.index(mark)
            self._progress("measure")
        values["quality"] = quality
        values["level"] = self._judge.run(values)
        self._recorder.telemetry(values)

    async def run(self):
        while True:
            due = time.ticks_add(time.ticks_ms(), self._interval_ms)
            await self.once()
            self._progress("measure")
            await asyncio.sleep_ms(0)
            left = time.ticks_diff(due, time.ticks_ms())
            while left > 0:
                await asyncio.sleep_ms(min(left, _SLICE_MS))
                self._progress("measure")
                left = time.ticks_diff(due, time.ticks_ms())
