"""Rules: what a measurement, an input or the time says, for how long, and what is then done.

Each rule has one condition, which holds, does not, or is unknown, and one action. A rule acts when its condition has
held for long enough, and until the condition ends or, where it trips, until a person resets it: a trip is on flash.

    output                     state, the first line that is true
    a rule that acts on it asks for the safe state                                safe, at once
    what a rule of it looks at was not known for too long, or never since boot    safe, at once
    a rule that acts on it asks for the other state                               that, as far as it may
    none of these                                                                 normal, as far as it may

As far as it may: never to the other state while a condition of its rules is unknown, not before its minimum time, and
not on while an output is on that it is interlocked with. Time is what `tick` is told: a dry run is as fast as it likes.
What is done for a measurement or a tick allocates nothing; making an event does, and reading the time of the day.
"""

import asyncio
import time
from binascii import crc32

from micropython import const

from node import store

NO, YES, UNKNOWN = const(0), const(1), const(2)

_LONG = const(1 << 29)  # ms; where times end, so that they stay small integers
_BLINK_MS = const(500)
_FAST_MS = const(50)  # from one look at the inputs to the next
_SLOW_MS = const(500)
_QUIET_MS = const(10_000)  # from one event of a rule to its next: an input that flutters wears no flash out
_HOUR_MS = const(3_600_000)


class Output:
    """A pin, in its safe state from the start. pin(level): sets it; row: as build.rules checked it."""

    def __init__(self, pin, row):
        self._pin = pin
        self._active = row["active"] == "high"
        self.name = row["name"]
        self.safe = self.on = row["safe"] == "on"
        self.normal = row["normal"] == "on"
        self._least = int(row["min_off_s"] * 1000), int(row["min_on_s"] * 1000)
        self.patience_ms = int(row["unknown_s"] * 1000)
        self.others: list = []  # never on together with these
        self.age_ms = 0  # since it was switched; a start counts
        self.blinks = False
        self.held = ""  # what keeps it from the state that is asked for
        self.cause = None  # the rule that turned last

    def switch(self, on, blinks):
        """Set the pin, where it is not so already."""
        if on != self.on:
            self.on = on
            self.age_ms = 0
        elif blinks == self.blinks:
            return
        self.blinks = blinks
        self._pin(on == self._active)

    def age(self, ms):
        self.age_ms = min(self.age_ms + ms, _LONG)
        if self.blinks and self.on:
            self._pin((self.age_ms // _BLINK_MS & 1 == 0) == self._active)

    def obstacle(self, on):
        """Why it may not be switched now."""
        if self.age_ms < self._least[self.on]:
            return "minimum time"
        if on:
            for other in self.others:
                if other.on:
                    return "interlock"
        return ""


class Rule:
    """row: as build.rules checked it; output: of this module, or None; pin(): the level of its input, or None."""

    def __init__(self, row, output=None, pin=None):
        self.name = row["name"]
        self.text = row["text"]
        self.kind = row["kind"]
        self.sensor = row["sensor"]
        self.of = row["of"]
        self.about = row["about"]
        self.at = row["at"]
        self.low, self.high = row["low"], row["high"]
        self._back = row["hysteresis"]
        self._for_ms = int(row["for_s"] * 1000)
        self.trips = row["trips"]
        self.interval_ms = int(row["interval_s"] * 1000)
        self.does = row["does"]
        self.output = output
        self.on = row["to"] != "off"
        self.blinks = row["to"] == "blink"
        self.safe = output is not None and self.on == output.safe
        self.pin = pin
        self.state = UNKNOWN
        self.blind_ms = _LONG  # since the condition was known
        self._held_ms = -1  # since it holds; -1: it does not
        self.acting = self.kept = False  # kept: on flash, of one that trips
        self.value = None
        self.levels = [0, 0]  # of a feature: by what was learned, by limits
        self.news = 0  # to be told: 1 that it acted, 2 that it could not know
        self.count = 0
        self.quiet_ms = 0
        self.why = ""

    def age(self, ms):
        self.blind_ms = min(self.blind_ms + ms, _LONG)
        self.quiet_ms = max(self.quiet_ms - ms, 0)
        if self._held_ms >= 0:
            self._held_ms = min(self._held_ms + ms, _LONG)

    def observe(self, state):
        """Take what the condition is now."""
        if state != self.state:
            if self.output and self.state == UNKNOWN:
                self.output.cause = self
            self.state = state
        if state == YES:
            self.blind_ms = 0
            if self._held_ms < 0:
                self._held_ms = 0
            if not self.acting and self._held_ms >= self._for_ms:
                self._turn(True)
        elif state == NO:
            self.blind_ms = 0
            self._held_ms = -1
            if self.acting and not self.trips:
                self._turn(False)
        elif not self.safe:  # to the safe state the wait goes on; to the other one it begins again
            self._held_ms = -1

    def compare(self, value):
        """Observe a number, or None for one that is not known."""
        self.value = value
        if value is None:
            self.observe(UNKNOWN)
        elif self.high is not None:
            self.observe(YES if value > (self.high - self._back if self.acting else self.high) else NO)
        else:
            self.observe(YES if value < (self.low + self._back if self.acting else self.low) else NO)

    def lose(self):
        """Nothing is known from here on."""
        self.blind_ms = _LONG
        self.observe(UNKNOWN)

    def reset(self):
        self._turn(False)
        self.why = "reset by command"

    def _turn(self, acts):
        self.acting = acts
        self.why = ""
        if self.output:
            self.output.cause = self
        if acts or self.interval_ms:
            self.tell(1)

    def tell(self, news):
        self.news = news
        self.count += 1


class Rules:
    """outputs, rules: of this module. path: where trips are kept."""

    def __init__(self, outputs, rules, path):
        self.outputs = outputs
        self.rules = rules
        self._path = path
        self._recorder = self._uptime = self._progress = self.keep = None
        self._pause_ms = _SLOW_MS
        self._ms = 0
        self._up_s = 0
        self._flash = True
        for rule in rules:
            if rule.pin:
                self._pause_ms = _FAST_MS
        self._restore()

    def attach(self, recorder, uptime, progress, keep=None):
        """recorder: of node.record; uptime: of node.clock; progress(name): of the supervisor; keep(): keeps the last
        waveform, as node.vibration has it, or None."""
        self._recorder = recorder
        self._uptime = uptime
        self._progress = progress
        self.keep = keep

    # Of node.measure

    def take(self, sensor, values, marks, changes):
        """A sensor was measured: its values, its quality marks, and what it told, as node.measure has them."""
        for rule in self.rules:
            if rule.sensor != sensor:
                continue
            value = None
            if not marks:
                value = values.get(rule.of)
            if rule.kind == "feature":
                if value is not None and rule.at >= 0:
                    value = value[rule.at]
                rule.compare(value)
            elif rule.kind == "fault":
                if marks or not values:
                    rule.observe(UNKNOWN)
                else:
                    rule.observe(YES if value is not None and rule.at in (-1, value) else NO)
            else:
                rule.value = value
                self._levels(rule, 0, changes)
        self._decide()

    def conclude(self, level, quality, changes):
        """The measurement is complete: its level, its quality bits, and what limits told."""
        for rule in self.rules:
            if rule.kind == "level":
                if rule.sensor:
                    self._levels(rule, 1, changes)
                    known, stands = rule.value is not None, max(rule.levels[0], rule.levels[1])
                else:
                    known, stands = not quality, level
                rule.observe(YES if stands >= rule.at else NO if known else UNKNOWN)
        self._decide()

    def interval_ms(self, given):
        """The interval that the rules ask for, of one that is given."""
        for rule in self.rules:
            if rule.acting and rule.interval_ms:
                given = min(given, rule.interval_ms)
        return given

    def lose(self):
        """A task has ended that knew: what it knew is unknown, and each output is in its safe state."""
        for rule in self.rules:
            rule.lose()
        self._decide()

    def _levels(self, rule, source, changes):
        for change in changes:
            if change[0] == "level" and change[1] == rule.about:
                rule.levels[source] = change[2]["level"]

    # By itself

    async def run(self):
        last = time.ticks_ms()
        try:
            while True:
                now = time.ticks_ms()
                self.tick(time.ticks_diff(now, last))
                last = now
                self.tell()
                self._progress("rules")
                await asyncio.sleep_ms(self._pause_ms)
        finally:
            self.lose()

    def tick(self, ms):
        """So much time has passed: look at inputs and time."""
        for output in self.outputs:
            output.age(ms)
        self._ms += ms
        seconds = self._ms // 1000
        self._ms -= seconds * 1000
        self._up_s = min(self._up_s + seconds, _LONG)
        for rule in self.rules:
            rule.age(ms)
            if rule.pin:
                rule.observe(YES if rule.pin() == rule.at else NO)
            elif rule.kind == "uptime_s":
                rule.observe(YES if self._up_s >= rule.at else NO)
            elif rule.kind == "hours" and seconds:
                rule.observe(self._hour(rule))
        self._decide()

    def _hour(self, rule):
        now = self._uptime.time_ms()
        if now is None:
            return UNKNOWN
        hour = now // _HOUR_MS % 24
        if rule.low < rule.high:
            return YES if rule.low <= hour < rule.high else NO
        return YES if hour >= rule.low or hour < rule.high else NO

    def _decide(self):
        """Bring each output where it belongs: those that go off first, for others may wait for it."""
        for on in (False, True):
            for output in self.outputs:
                self._settle(output, on)

    def _settle(self, output, on):
        must = other = unknown = blinks = False
        news, cause = 1, output.cause
        for rule in self.rules:
            if rule.output is not output:
                continue
            if rule.state == UNKNOWN:
                unknown = True
            if rule.blind_ms >= output.patience_ms and not must:
                must, news, cause = True, 2, rule
            if rule.acting:
                if rule.safe:
                    must, news, cause = True, 1, rule
                else:
                    other = True
                    blinks = blinks or rule.blinks
        wanted = output.safe if must else not output.safe if other else output.normal
        if wanted == output.on:
            output.held = ""
            output.switch(wanted, blinks)
            return
        if wanted != on:
            return
        output.held = ""
        if not must:
            output.held = "unknown" if unknown and wanted != output.safe else output.obstacle(wanted)
            if output.held:
                return
        output.switch(wanted, blinks)
        if cause and not cause.news:
            cause.tell(news)

    # What is told and kept

    def tell(self):
        """Make the events that are due, after all outputs are where they belong, and keep the trips."""
        for rule in self.rules:
            if rule.trips and rule.acting != rule.kept:
                self._keep_trips()
        for rule in self.rules:
            if not rule.news or rule.quiet_ms:
                continue
            news, count = rule.news, rule.count
            rule.news = rule.count = 0
            if news == 2:
                rule.why = ""
            rule.quiet_ms = _QUIET_MS
            waveform = None
            if rule.does == "waveform" and rule.acting and self.keep:
                try:
                    waveform = 1 if self.keep() else None
                except (OSError, ValueError) as error:
                    print("node: rule {}: {}".format(rule.name, error))
            text = "{}: {}".format(self._done(rule, waveform), self._cause(rule, rule.state if news == 1 else UNKNOWN))
            feature = rule.kind == "feature"
            self._recorder.event(
                "rule_acted" if news == 1 else "rule_failed",
                rule.name,
                text=text[:96],
                value=rule.value if feature else None,
                limit=(rule.low if rule.high is None else rule.high) if feature else None,
                count=count if count > 1 else None,
                waveform=waveform,
            )
            print("node: rule {}: {}".format(rule.name, text))

    def _done(self, rule, waveform):
        output = rule.output
        if not output:
            if rule.interval_ms:
                return "interval {} s".format(rule.interval_ms // 1000) if rule.acting else "interval as before"
            return "waveform kept" if waveform else "no waveform kept" if rule.does == "waveform" else "event"
        state = "{} {}".format(output.name, ("blinks" if output.blinks else "on") if output.on else "off")
        return "{}, waits ({})".format(state, output.held) if output.held else state

    def _cause(self, rule, state):
        return rule.why or "{}{}".format(("not ", "", "not known: ")[state], rule.text)

    def reset(self, name):
        """A person lets go a rule that has tripped. Raises ValueError where there is none, or its condition holds."""
        for rule in self.rules:
            if rule.name == name:
                if not (rule.acting and rule.trips):
                    raise ValueError("{} has not tripped".format(name))
                if rule.state != NO:
                    raise ValueError("{}: {}; mend that first".format(name, self._cause(rule, rule.state)))
                rule.reset()
                self._decide()
                rule.quiet_ms = 0
                if not rule.news:
                    rule.tell(1)
                self.tell()
                return
        raise ValueError("no rule {}".format(name[:16]))

    def _keep_trips(self):
        names = " ".join(rule.name for rule in self.rules if rule.trips and rule.acting).encode()
        for rule in self.rules:
            rule.kept = rule.acting  # or flash would be tried at each tick
        try:
            store.replace(self._path, b"%s %d" % (names, crc32(names)))
            self._flash = True
        except OSError as error:
            if self._flash:
                self._flash = False
                self._recorder.event("flash_failed", "rules", text=str(error))

    def _restore(self):
        """What has tripped stays so; of a file that makes no sense, everything that can."""
        names: list | None = []
        try:
            with open(self._path, "rb") as file:
                data, _, check = file.read(200).rpartition(b" ")
            names = data.decode().split(" ") if int(check) == crc32(data) else None
        except OSError:
            pass
        except ValueError:
            names = None
        for rule in self.rules:
            if rule.trips and (names is None or rule.name in names):
                rule.acting = rule.kept = True
