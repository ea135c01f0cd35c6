"""The measuring task: reads every sensor once an interval, judges the features, records the result.

A sensor that fails is told once, as an event, and shown in every record's quality until it answers again.
"""

import asyncio
import gc
import time

from micropython import const

from node import failure
from node.room import tidy
from quaver_wire.fields import LEVELS, LIMITED, QUALITY

_SLICE_MS = const(5000)
_ENERGY = const(7)  # values of a meter; behind them those of its phases
_HELD_MS = const(500)
_REASONS = const(16)  # why a value is absent, each told once: a part that names ever new ones is told of no longer
# what somebody is told who asks for a measurement; all of it is in the record
_MAIN = ("level", "quality", "rms_g", "peak_g", "crest", "kurtosis", "velocity_mm_s", "envelope_g", "temperature_c") + (
    "humidity_pct",
    "current_a",
    "shaft_hz",
    "machine",
    "learned",
    "class",
    "zone",
    "fault",
    "abstained",
)
_WHOLE = const(10)  # of this many ordinary records one is whole
_LEARNING = const(1)
_WATCHING = const(2)
# What says how a measurement came about, and the spectrum behind its features: two thirds of a record's bytes
_DETAIL = ("heap_free", "rate_hz", "jitter_us", "samples", "dropped", "peaks", "bands", "lines", "learned") + (
    "running_h",
    "class_learned",
)

# After these the spectra are another's than before: what rose, what it is called, what was healthy
_TURNS = ("level", "fault", "baseline_learned")

# of quaver_wire.reasons
_STUCK = const(204)
_OUT_OF_RANGE = const(205)


class Sensor:
    """A sensor with its health. read() is a coroutine that returns (fields of the record, names of quality bits,
    changes: what is to be told, each as an event's name, subject and values).

    `begin` is called before the first reading and again after each failure. part: what measures, for who asks more.
    absent: a list of which values the last reading went without, each as (reason, detail).
    """

    def __init__(self, name, begin, read, part=None, absent=()):
        self.name = name
        self.part = part
        self._absent = absent
        self._told: tuple = ()
        self._begin = begin
        self._read = read
        self._ready = False
        self._failed = False

    async def measure(self):
        """What `read` returns; a failure is a change and a quality bit, never an exception."""
        try:
            if not self._ready:
                self._begin()
                self._ready = True
            values, marks, changes = await self._read()
        except MemoryError:  # not the sensor's own
            raise
        except Exception as error:  # a driver may be somebody's own
            self._ready = False
            changes = () if self._failed else (("sensor_failed", self.name, {"error": error}),)
            self._failed = True
            failed = self.name + "_failed"
            return {}, (failed, "stuck") if error.args and error.args[0] == _STUCK else (failed,), changes
        changes = list(changes)
        if self._failed:
            self._failed = False
            changes.append(("sensor_recovered", self.name, {"error": None}))
        for reason in self._absent:
            if reason not in self._told and len(self._told) < _REASONS:
                self._told += (reason,)
                changes.append(("value_absent", self.name, {"error": OSError(*reason)}))
        return values, marks, changes


def vibration(measuring):
    """The vibration sensor: measuring is of node.vibration."""
    return Sensor("vibration", measuring.probe, measuring.read, measuring)


def temperature(sensor):
    """The temperature sensor; outside the part's own range is a failure, not a reading."""

    async def read():
        wait_ms = sensor.start()
        if wait_ms:
            await asyncio.sleep_ms(wait_ms)
        milli = sensor.read_milli()
        if not sensor.LOWEST_MILLI <= milli <= sensor.HIGHEST_MILLI:
            raise OSError(_OUT_OF_RANGE, milli)
        values = {"temperature_c": milli / 1000}
        if hasattr(sensor, "humidity_milli"):
            values["humidity_pct"] = sensor.humidity_milli / 1000
        return values, (), ()

    return Sensor("temperature", sensor.probe, read)


def energy(meter):
    """The energy meter."""

    async def read():
        found = [None if milli is None else milli / 1000 for milli in await meter.read()]
        values = {"energy": found[:_ENERGY]}
        if found[_ENERGY:]:
            values["phases"] = found[_ENERGY:]
        return values, (), ()

    return Sensor("energy", meter.probe, read, absent=meter.absent)


def pulses(counter):
    """The pulse counter."""

    async def read():
        return {"pulses": counter.total()}, (), ()

    return Sensor("pulses", counter.probe, read)


def level_change(feature, threshold, before, level, value):
    """The change of a feature's level, from `before` to `level`."""
    limit = threshold.alarm if max(level, before) == 2 else threshold.warning
    return "level", feature, {"level": level, "value": value, "limit": limit}


def _tell(recorder, changes):
    """An event for each change, and a line on the console for what was learned of the machine.

    Returns whether one of them is about the machine.
    """
    turned = False
    for name, subject, values in changes:
        if "error" in values:
            failure.tell(recorder, name, subject, values["error"])
            continue
        turned = turned or name in _TURNS
        recorder.event(name, subject, **values)
        if name == "level" and "limit" in values:
            line = "{} {} ({:.3f}, limit {:.3f})"
            print("node:", line.format(subject, LEVELS[values["level"]], values["value"], values["limit"]))
        elif name == "fault":
            print("node: {} ({:.1f} dB)".format(subject, values["value"]))
        elif name == "baseline_learned":
            print("node: baseline learned")
    return turned


_POWER = const(2)  # of what the energy meter reads

# of build.hang
_PLACES = ["", "vibration", "temperature", "energy", "battery", "pulses", "current"]


class Judge:
    """Runs each feature that the configuration limits through its threshold."""

    def __init__(self, thresholds):
        self._thresholds = thresholds

    def run(self, values):
        """Judge the fields that are there; return (highest level, 0 ok, 1 warning, 2 alarm; changes of level)."""
        highest = 0
        changes = []
        for feature, threshold in self._thresholds.items():
            value = values.get(LIMITED[feature])
            before = threshold.level
            if value is not None and threshold.update(value) != before:
                changes.append(level_change(feature, threshold, before, threshold.level, value))
            highest = max(highest, threshold.level)
        return highest, changes


class Measure:
    """sensors: of this module's makers; progress(name): tells the supervisor that the task lives.

    spectrum_every: measurements from one spectrum record to the next, while nothing turns; 0 for never.
    due: the moment (ticks in ms) at which the next measurement begins; None while one is taken.
    rules: of node.rules, or None.
    """

    def __init__(self, sensors, judge, recorder, interval_s, progress, spectrum_every=0):
        self._sensors = sensors
        self._judge = judge
        self._recorder = recorder
        self._interval_ms = int(interval_s * 1000)
        self._progress = progress
        self._spectrum_every = spectrum_every
        self._spectrum_age = 0
        self._machine = -1
        self._ordinary = 0
        self._asked = asyncio.Event()
        self._done = asyncio.Event()
        self._values = None
        self._held = time.ticks_ms()
        self.due = None
        self.rules = None
        self.has_measured = False

    def hold(self, ms):
        """Begin no measurement for so long: somebody reads what the last one left. A machine that is watched over does
        not wait for that."""
        if self.rules and self.rules.outputs:
            return
        self._held = time.ticks_add(time.ticks_ms(), ms)

    def relearn(self, number=None):
        """Forget what is healthy for the machine, or in its class of that number, also on flash. Raises ValueError on a
        node that learns nothing, or has no such class."""
        part = self.part("vibration")
        if part is None:
            raise ValueError("no vibration sensor")
        changes = part.relearn(number)
        if self.rules:
            self.rules.take("vibration", {}, ("relearned",), changes)  # what was measured before says nothing now
        _tell(self._recorder, part.save())
        _tell(self._recorder, changes)

    def part(self, name):
        """What measures behind the sensor of that name, or None."""
        for sensor in self._sensors:
            if sensor.name == name:
                return sensor.part
        return None

    async def now(self):
        """Have the task measure at once; returns the main fields of its record."""
        self.hold(0)
        self._done.clear()
        self._asked.set()
        await self._done.wait()
        values, self._values = self._values, None
        return {name: values[name] for name in _MAIN if values.get(name) is not None}

    async def once(self):
        """Take one measurement of everything and record it."""
        asked = self._asked.is_set()
        tidy()  # now, so that no collection is due while the FIFO fills
        values: dict = {"heap_free": gc.mem_free()}
        quality = 0
        turned = False
        measured = None
        for sensor in self._sensors:
            self._progress("measure", _PLACES.index(sensor.name))
            if sensor.part:
                sensor.part.power_w = values["energy"][_POWER] if "energy" in values else None
            found, marks, changes = await sensor.measure()
            if self.rules:
                self.rules.take(sensor.name, found, marks, changes)
            values.update(found)
            for mark in marks:
                quality |= 1 << QUALITY.index(mark)
            if sensor.part:
                if found:
                    measured = sensor.part
                    _tell(self._recorder, measured.attest(changes))
            turned = _tell(self._recorder, changes) or turned
            if sensor.part:
                _tell(self._recorder, sensor.part.save())
        self._progress("measure")
        values["quality"] = quality
        level, changes = self._judge.run(values)
        values["level"] = max(values.get("level", 0), level)
        if self.rules:
            self.rules.conclude(values["level"], quality, changes)
            self.rules.tell()
        if measured:
            _tell(self._recorder, measured.attest(changes))
        turned = _tell(self._recorder, changes) or turned
        spectrum = self._spectrum(measured, turned, values)
        self._shorten(values, spectrum is not None)
        self._recorder.telemetry(values)
        if spectrum:
            self._recorder.telemetry(spectrum)
        self.has_measured = True
        if asked:
            self._asked.clear()
            self._values = values
            self._done.set()

    def _spectrum(self, measured, turned, values):
        """The fields of a spectrum record, where one is due: when the machine has turned, and now and then."""
        if measured is None:
            return None
        self._spectrum_age += 1
        if not turned and not 0 < self._spectrum_every <= self._spectrum_age:
            return None
        self._spectrum_age = 0
        spectrum = measured.spectrum()
        spectrum["level"] = values["level"]
        spectrum["quality"] = values["quality"]
        return spectrum

    def _shorten(self, values, whole):
        """Take the detail out of an ordinary record: of a machine that is as it was, and well, with nothing to mark.

        whole: the record stays so, whatever it says.
        """
        machine = values.get("machine")
        if whole or values["level"] or values["quality"] or machine != self._machine or machine == _LEARNING:
            self._ordinary = -1
        self._machine = machine
        self._ordinary = (self._ordinary + 1) % _WHOLE
        if self._ordinary:
            for name in _DETAIL:
                values.pop(name, None)
            if machine == _WATCHING:
                del values["machine"]

    async def run(self):
        try:
            await self._run()
        finally:
            self.has_measured = False
            if self.rules:
                self.rules.lose()

    async def _run(self):
        while True:
            while time.ticks_diff(self._held, time.ticks_ms()) > 0:
                self.due = self._held
                await asyncio.sleep_ms(_HELD_MS)
                self._progress("measure")
            self.due = None
            began = time.ticks_ms()
            await self.once()
            interval_ms = self.rules.interval_ms(self._interval_ms) if self.rules else self._interval_ms
            self.due = due = time.ticks_add(began, interval_ms)
            self._progress("measure")
            await asyncio.sleep_ms(0)
            left = time.ticks_diff(due, time.ticks_ms())
            while left > 0:
                try:
                    await asyncio.wait_for_ms(self._asked.wait(), min(left, _SLICE_MS))
                    break
                except asyncio.TimeoutError:
                    pass
                self._progress("measure")
                left = time.ticks_diff(due, time.ticks_ms())
