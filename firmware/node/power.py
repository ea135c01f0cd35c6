"""The state machine of a node that sleeps between its measurements.

On a chip that sleeps deep each wake is a start of the firmware, and no boot: boot number, sequence, clock, votes of
n of m, trend, replay window and the records that wait come back from the memory that lives through it.

    wake --> measure --fewer records than N wait--> deep sleep until the next measurement is due
                     --the Nth, or an event-------> wake once more, at once, to send
    wake to send --> link --visited, or its window over--> deep sleep until then

A wake does one of both, for which its memory is enough and its start short; the first start of all does both.
Where memory lives through sleep as it is (light), the link's radio is off meanwhile, and the same node goes on:

    link --nothing left, or window over--> radio off, light sleep between measurements --the Nth, or an event--> link

A gateway that does not come costs a window of the link for each measurement while an event waits, and ever fewer
while nothing but telemetry does: after N, 2 N, 4 N, 8 N records more.
"""

import asyncio
import time

from micropython import const

from node import retained

_LOOK_MS = const(20)
_AWAKE_MS = const(60)  # shorter than that is no sleep worth its wake
_FAILS_MAX = const(3)
_HALF_MS = const(500)
_SURE_S = const(3600)  # before that a mean current says little
_TICKS_MS = const(1 << 28)  # well within half of the period of ticks

# What lives, as part and attribute: the order is the form. What is not there in a wake is handed on as it came.
_ROWS = (
    "power boot\npower sends\npower at_ms\npower clock_ms\npower asleep_ms\npower due_ms\npower goal\npower fails\n"
    "power early\npower start_ms\npower measured_ms\npower visited_ms\npower low\npower drawn_mas\n"
    "recorder _seq\nrecorder _aside\nuptime _offset\nuptime _news\nwaveform _saved_ms\n"
    "measuring _spectrum_age\nmeasuring _machine\nmeasuring _ordinary\n"
    "vibration _told\nvibration _fault\nvibration _unsaved\nvibration _unkept\nvibration _pulseless\n"
    "measurement _next\nengine _turn\ndiagnosis running_s\nmailbox _refused\n"
)


def _rows():
    """(part, attribute) of each row; a text in flash takes no heap, as a list would."""
    at = 0
    while at < len(_ROWS):
        end = _ROWS.find("\n", at)
        owner, attribute = _ROWS[at:end].split(" ")
        yield owner, attribute
        at = end + 1


def _votes(threshold):
    """Level and votes as one number; those are at most 15 bits each."""
    number = threshold.level
    for votes in threshold._votes:
        number = number << 15 | votes
    return number


def _vote(threshold, number):
    for i in range(3, -1, -1):
        threshold._votes[i] = number & 0x7FFF
        number >>= 15
    threshold.level = number & 3


class Power:
    """sleep: of hal.sleep. records: N. currents: mA (awake, asleep), by which the charge drawn is counted. pin: the
    GPIO that wakes the chip, once an interval, or -1. wake_g: at which the accelerometer is to raise it, or 0.

    boot: the number that goes on, where `awoken`; sends: whether this start has a link; measures: whether it has
    sensors.
    """

    def __init__(self, sleep, records, currents, pin=-1, wake_g=0.0):
        self._sleep = sleep
        self._records = records
        self._currents = currents
        self._pin = pin
        self._wake_g = wake_g
        self._progress = None
        self._outbox = None
        self._parts: dict = {"power": self}
        self._values: list = []
        self._mailbox_state = self._random = None
        self._sensors: dict = {}
        self._floats: list = []
        self._votes: list = []
        self._entries: list = []
        self._resting = self._linked = False
        self._measuring = self._trial = None
        self.boot = self.at_ms = self.clock_ms = self.asleep_ms = self.due_ms = self.start_ms = self.fails = 0
        self.measured_ms = self.visited_ms = None
        self.goal = records
        self.sends = True
        self.low = False
        self.drawn_mas = 0.0
        self.early = False
        self.slept_ms = 0
        self._began = time.ticks_ms()
        self.awoken = self._read()
        self.measures = not (self.awoken and self.sends)

    # --- waking ---

    def _read(self):
        found = retained.unpack(self._sleep.retained())
        if found is None:
            return False
        values, self._floats, self._entries = found
        self._values, self._votes, self._sensors, self._mailbox_state, self._random = values
        self._give("power")
        slept = self._sleep.clock_ms() - self.clock_ms
        planned = self.asleep_ms
        if not 0 <= slept <= planned + planned // 8 + 5000:
            slept = planned  # somebody has set the clock, or it has stood still
        self.slept_ms = slept
        if planned > _HALF_MS:
            self.early = slept < planned - planned // 8 - _HALF_MS
        self.drawn_mas += slept * 1e-3 * self._currents[1]
        return True

    def _give(self, name):
        """Have a part's attributes as they were; None: it was not there before the sleep."""
        part = self._parts[name]
        for (owner, attribute), value in zip(_rows(), self._values):
            if owner == name and value is not None:
                setattr(part, attribute, value)

    def resume(self, outbox, uptime, recorder):
        """After a deep sleep: what makes records goes on where it was."""
        self._parts["recorder"] = recorder
        self._parts["uptime"] = uptime
        self._give("recorder")
        self._give("uptime")
        uptime._ms += self.at_ms + self.slept_ms
        outbox._newest = recorder._seq - 1
        for entry in self._entries:
            log = outbox._telemetry if entry.message_class == "telemetry" else outbox._events
            log.ram.append(entry)
        self._entries = []

    def attach(self, outbox, uptime, recorder, measuring, judge, supervisor, trial):
        """All that measures was built, or `Resting`; trial: of node.trial while one runs, else None."""
        self._outbox = outbox
        self._progress = supervisor.progress
        self._supervisor = supervisor
        self._measuring = measuring
        self._trial = trial
        self._judge = judge
        self._parts["uptime"] = uptime
        self._parts["recorder"] = recorder
        outbox.link(True)  # records wait in memory, not on flash
        if not self.measures:
            return
        self._parts["measuring"] = measuring
        vibration = measuring.part("vibration")
        if vibration:
            self._parts["vibration"] = vibration
            self._parts["engine"] = vibration._engine
            self._parts["measurement"] = vibration.measurement
            self._parts["diagnosis"] = vibration._diagnosis
            self._parts["waveform"] = vibration.alarm_waveform
        if self.awoken:
            for name in ("measuring", "vibration", "engine", "measurement", "diagnosis", "waveform"):
                if name in self._parts:
                    self._give(name)
            self._restore(vibration)
            self.start_ms = time.ticks_ms()  # what the chip takes from its wake to here
        if self.low:
            self.stretch()

    def join(self, mailbox, gateways, link):
        """So was a link; each may be None."""
        for name, part in (("mailbox", mailbox), ("gateways", gateways), ("link", link)):
            if part:
                self._parts[name] = part
                if self.awoken:
                    self._give(name)
        state = self._mailbox_state
        if state and mailbox:
            mailbox._state = (bytes.fromhex(state[0]), state[1])
        if self._random and gateways:
            gateways._random = _woken(self._random)

    def _restore(self, vibration):
        measuring = self._measuring
        now = self._parts["uptime"].ms()
        for sensor in measuring._sensors:
            kept = self._sensors.get(sensor.name)
            if kept:
                sensor._failed, told = kept
                sensor._told = tuple([tuple(reason) for reason in told])
        if vibration:
            self._restore_vibration(vibration, now)
        thresholds = self._thresholds()
        if len(thresholds) == len(self._votes):
            for threshold, number in zip(thresholds, self._votes):
                _vote(threshold, number)
        left = self.due_ms - now
        if left > _HALF_MS and not (self.early and self.asleep_ms > _HALF_MS):
            measuring.hold(left)

    def _restore_vibration(self, vibration, now):
        since = None if self.measured_ms is None else now - self.measured_ms
        try:
            vibration._capture.sensor.probe()
        except OSError:
            pass  # the measurement says so
        else:
            for sensor in self._measuring._sensors:
                if sensor.part is vibration:
                    sensor._ready = True  # to begin it would forget when it measured last
            if since is not None and since < _TICKS_MS:
                vibration._measured = time.ticks_add(time.ticks_ms(), -since)
        trend = vibration._diagnosis.trend
        numbers = self._floats
        try:
            rest = 4 + 2 * trend.count
            each = (len(numbers) - rest - 2) // trend.count
            rows = [numbers[rest + 2 + i * each : rest + 2 + (i + 1) * each] for i in range(trend.count)]
            trend.restore({"means": rows, "passed": numbers[:rest]})
            trend._turn, trend._furthest = int(numbers[rest]), numbers[rest + 1]
        except (ValueError, IndexError, TypeError):
            pass  # that of the last hour, from flash

    def _thresholds(self):
        """All that have votes, in an order that a wake finds again."""
        vibration = self._parts.get("vibration")
        found = [self._judge._thresholds[name] for name in sorted(self._judge._thresholds)]
        if vibration:
            diagnosis = vibration._diagnosis
            found += [diagnosis.thresholds[name] for name in sorted(diagnosis.thresholds)]
            found += diagnosis.named
        return found

    def resting(self):
        """What stands in for node.measure in a wake that is to send alone."""
        return Resting(time.ticks_add(time.ticks_ms(), max(0, self.due_ms - self.at_ms - self.slept_ms)))

    def days(self, capacity_mah):
        """Days that a battery of so much has left, by the charge drawn since it was put in; None where not known."""
        seconds = self._parts["uptime"].ms() * 1e-3
        drawn_mas = self.drawn_mas + self._awake_mas()
        if not capacity_mah or seconds < _SURE_S or drawn_mas <= 0:
            return None
        return max(0.0, capacity_mah * 3600 - drawn_mas) / drawn_mas * seconds / 86400

    # --- the link ---

    def linked(self, name, task):
        """What starts the task of a link for the supervisor: once the measurement that is due is taken."""
        self._linked = True

        async def later():
            while self._measuring.due is None:
                self._progress(name)
                await asyncio.sleep_ms(_LOOK_MS)
            await task()

        return later

    def urgent(self):
        """Whether more waits than telemetry."""
        entry = self._outbox.first()
        return entry is not None and entry.message_class != "telemetry"

    async def nap(self, name, radio=None):
        """The link `name` has nothing more to do, or nobody came: returns when it is to begin again.

        radio(on): takes its power, and gives it back, where the node goes on in a light sleep.
        """
        outbox = self._outbox
        urgent, waiting = self.urgent(), len(outbox)
        if waiting < self._records and not urgent:
            self.fails, self.goal = 0, self._records
        else:
            self.goal = waiting + (1 if urgent else self._records << self.fails)
            self.fails = min(self.fails + 1, _FAILS_MAX)
        outbox.link(True)
        if not self._sleep.deep and radio:
            radio(False)
            self._sleep.radio_off()
        self._resting = True
        while (urgent or not self.urgent()) and (self._sleep.deep or len(outbox) < self.goal):
            self._progress(name)
            if not self._sleep.deep and self._still():
                self._light()
            await asyncio.sleep_ms(_LOOK_MS)
            urgent = urgent and self.urgent() and len(outbox) < self.goal
        self._resting = False
        if not self._sleep.deep and radio:
            radio(True)

    def start(self, begin):
        """Call `begin`, which starts a radio that had no power."""
        self._sleep.radio_on(begin, self._supervisor.alive)

    # --- sleeping ---

    def stretch(self):
        """The battery is low: from now on measurements are four times as far apart."""
        self.low = True
        recorder = self._parts["recorder"]
        self._measuring._interval_ms *= 4
        recorder._identity["interval_s"] *= 4
        self.visited_ms = None  # the next visit takes a status that says so
        if "link" in self._parts:
            self._parts["link"]._told = None

    def _still(self):
        """Whether nothing is under way, but for a link that works."""
        mailbox, trial = self._parts.get("mailbox"), self._trial
        if self._measuring.due is None or (trial and trial.running):
            return False
        if mailbox and (mailbox.working() or mailbox.on_trial or mailbox.wanted):
            return False
        service = mailbox and mailbox._service
        return not (service and (service.ending or service.wave or service.blinking))

    async def run(self):
        """A task for the supervisor: puts the chip to a deep sleep once all is done."""
        while True:
            self._progress("power")
            if self._sleep.deep and (self._resting or not self._linked) and self._still():
                self._deep()
            await asyncio.sleep_ms(_LOOK_MS)

    def _left(self):
        return time.ticks_diff(self._measuring.due, time.ticks_ms())

    def _light(self):
        """Sleep light until something is due; what it takes to be awake is counted in between."""
        left = self._left()
        if left <= _AWAKE_MS:
            return
        self._supervisor.alive()
        self.drawn_mas += self._awake_mas()
        began = time.ticks_ms()
        self._sleep.sleep_light(left - _LOOK_MS)
        self._began = time.ticks_ms()
        self.drawn_mas += time.ticks_diff(self._began, began) * 1e-3 * self._currents[1]

    def _awake_mas(self):
        return time.ticks_diff(time.ticks_ms(), self._began) * 1e-3 * self._currents[0]

    def _deep(self):
        """Does not return: the chip wakes in a reset."""
        left = self._left()
        self.due_ms = self._parts["uptime"].ms() + left
        self.sends = not self._linked and (self.urgent() or len(self._outbox) >= self.goal)
        self.asleep_ms = 1 if self.sends else max(left - self.start_ms, 1)
        # a pin that has just woken the node may do so at once again: not before the next measurement in its turn
        pin = -1 if self.early else self._pin
        if self._wake_g and pin >= 0:
            self._watch()
        self.drawn_mas += self._awake_mas()
        self._sleep.sleep_deep(self._keep(), self.asleep_ms, pin)

    def _watch(self):
        vibration = self._parts.get("vibration")
        sensor = vibration and vibration._capture.sensor
        if sensor and hasattr(sensor, "watch"):
            try:
                sensor.watch(self._wake_g)
            except OSError as error:  # it is told by the next measurement
                print("node: no wake-up by vibration:", error)

    def _keep(self):
        """All that lives, packed; what there is no room for is put on flash."""
        parts = self._parts
        vibration = parts.get("vibration")
        uptime = parts["uptime"]
        self.boot = parts["recorder"]._boot
        if vibration and vibration._measured is not None:
            self.measured_ms = uptime.ms() - time.ticks_diff(time.ticks_ms(), vibration._measured)
        if self.measures:
            self._votes = [_votes(threshold) for threshold in self._thresholds()]
            self._floats = _trend(vibration._diagnosis.trend) if vibration else []
            self._sensors = {}
            for sensor in self._measuring._sensors:
                if sensor._failed or sensor._told:
                    self._sensors[sensor.name] = sensor._failed, sensor._told
        mailbox = parts.get("mailbox")
        if mailbox:
            state = mailbox._service.state() if mailbox._service else mailbox._state
            self._mailbox_state = state and (state[0].hex(), state[1])
        self.at_ms, self.clock_ms = uptime.ms(), self._sleep.clock_ms()
        before, self._values = self._values, []
        for i, (owner, attribute) in enumerate(_rows()):
            part = parts.get(owner)
            value = getattr(part, attribute) if part else before[i] if i < len(before) else None
            self._values.append(value)
        gateways = parts.get("gateways")
        if gateways:
            self._random = _slept(gateways._random)
        values = (self._values, self._votes, self._sensors, self._mailbox_state, self._random)
        buffer = bytearray(self._sleep.room())
        logs = self._outbox._events, self._outbox._telemetry
        entries = [entry for log in logs for entry in log.ram[log.staged :]]
        end = retained.pack(buffer, values, self._floats, entries, self.sends)
        if not end:
            self._outbox.link(False)
            end = retained.pack(buffer, values, self._floats, [], self.sends)
        if not end:  # the trend of the last hour is on flash
            end = retained.pack(buffer, values, [], [], self.sends)
        return memoryview(buffer)[:end]


def _slept(state):
    """The state of node.entropy, as JSON has it: no bytes."""
    found: dict = {}
    for name in state or ():
        if name in ("", "slept"):
            found["slept"] = [half.hex() for half in state[name]]
        else:
            failed, run, first, seen, equal = state[name]
            found[name] = failed, run.hex(), first.hex(), seen, equal
    return found


def _woken(found):
    """What `_slept` gave, as node.entropy goes on from it."""
    state: dict = {}
    for name, values in found.items():
        if name == "slept":
            state[name] = tuple([bytes.fromhex(half) for half in values])
        else:
            failed, run, first, seen, equal = values
            state[name] = failed, bytes.fromhex(run), bytes.fromhex(first), seen, equal
    return state


class Resting:
    """Stands in for node.measure in a wake that has no sensors. due: the moment at which the next measurement is."""

    has_measured = False

    def __init__(self, due):
        self.due = due
        self._interval_ms = 0

    def part(self, name):
        raise ValueError(
            "a node that sleeps takes this for a minute after its power came, and not between measurements"
        )

    now = hold = relearn = part


def _trend(trend):
    state = trend.state()
    numbers = list(state["passed"]) + [float(trend._turn), trend._furthest]
    for row in state["means"]:
        numbers += row
    return numbers
