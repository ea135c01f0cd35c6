"""What waits for the link: RAM in front of the journal, events before telemetry, oldest first, bounded.

Events are on flash before anybody can send them. Telemetry is held in RAM while the link is up, and on flash while it
is down, when RAM is full, or always. When flash is full the oldest telemetry goes first, events last. An entry leaves
when it is acknowledged, and every record that was given up is told in a `records_dropped` event.
"""

import asyncio

from micropython import const

from node.entry import Entry
from node.journal import SEGMENT, event_and_telemetry

_NO_SPACE = const(28)
_STAMP = const(64)  # records between two notes of how far RAM was emptied
_RUNS = const(16)  # in one event
_PAYLOAD_MAX = const(640)


class Outbox:
    """boot: this boot's number; path: the journal's folder; length: records held in RAM; limit: bytes on flash.

    always: telemetry goes to flash at once, link or not. oldest_boot: the lowest boot of which something is left.
    lost_from: boot, seq, boot, seq …: for each earlier boot whose losses are not yet told, the first record that may
    have been in RAM alone; what came before it was acknowledged, given up and told, or is on flash. The first record
    of this boot must be the event that tells oldest_boot and lost_from. report(name, drops=) makes an event of what was
    given up, where it can't wait for `losses`; set it before the first record. filled: an event, set by each `put`;
    whoever waits for it clears it first. failed: how often flash could not be written.
    """

    def __init__(self, boot, path="/journal", length=16, limit=262144, always=False):
        self._boot = boot
        self._length = length
        self._most = max(limit // SEGMENT, 4)
        self._always = always
        self._up = False
        self._newest = -1
        self._acknowledged = 0
        self._telling = False
        self._dropping = False
        self.report = None
        self.failed = 0
        self.filled = asyncio.Event()
        self._logs = self._events, self._telemetry = event_and_telemetry(path)
        self._begun = max(self._events.floor, self._telemetry.floor, (1, 0))
        self.lost_from: list = []
        for before in range(max(self._begun[0], boot - _RUNS), boot):
            self.lost_from += (before, self._begun[1] if before == self._begun[0] else 0)
        boots = [entry.boot for entry in (log.first() for log in self._logs) if entry]
        self.oldest_boot = min(boots) if boots else boot

    def put(self, message_class, seq, payload):
        """Queue `payload` (at most 640 bytes) of the message class `message_class`; never raises for flash."""
        if len(payload) > _PAYLOAD_MAX:
            raise ValueError("a payload of {} bytes: at most {}".format(len(payload), _PAYLOAD_MAX))
        log = self._telemetry if message_class == "telemetry" else self._events
        log.ram.append(Entry(message_class, self._boot, seq, payload))
        self._newest = max(self._newest, seq)
        if log is self._events or self._always or not self._up or len(log.ram) > self._length:
            self._persist(log)
        while self._held() > 2 * self._length:  # flash does not take them
            (self._telemetry if self._telemetry.ram else self._events).forget()
        self.filled.set()

    def first(self):
        """The entry to send next (entry.message_class, entry.payload), or None. It stays until `done`."""
        return self._events.first() or self._telemetry.first()

    def losses(self):
        """What was lost and nobody was told of yet: yields (event's name, its values).

        The task that sends tells each before it asks for the next: what is told is then no longer kept here.
        """
        for log in self._logs:
            if log.first() is None and log.torn:
                log.bridge(self._boot, self._newest + 1)
            if log.damaged:
                size, log.damaged = log.damaged, 0
                yield "flash_failed", {"subject": log.name, "value": float(size)}
            if log.gaps and self._up and self._held() < 2 * self._length:  # else to tell of one would cost another
                for loss in self._gaps(log):
                    yield loss

    def done(self, entry):
        """Take `entry` out for good; it may have been given up meanwhile."""
        log = self._telemetry if entry.message_class == "telemetry" else self._events
        first = log.first()
        if not first or first[1:3] != entry[1:3]:
            return
        try:
            log.done(self._floor())
            self._acknowledged += 1
            if self._acknowledged % _STAMP == 0 and log is self._telemetry:
                log.stamp(self._floor())
        except OSError:
            self.failed += 1

    def link(self, up):
        """Say whether the other side is there."""
        self._up = up
        if not up and len(self._telemetry.ram) > self._telemetry.staged:
            self._persist(self._telemetry)

    def __len__(self):
        return sum(log.count + len(log.ram) for log in self._logs)

    def _held(self):
        return len(self._events.ram) + len(self._telemetry.ram)

    def _floor(self, keeping=None):
        """(boot, seq) of the first record that is in RAM alone, once `keeping` has been written."""
        events, telemetry = self._logs
        if self._newest < 0 or (events is not keeping and len(events.ram) > events.staged):
            return self._begun  # nothing has yet told, on flash, of what the boots before this one lost
        if telemetry is not keeping and len(telemetry.ram) > telemetry.staged:
            return self._boot, telemetry.ram[telemetry.staged].seq
        return self._boot, self._newest + 1

    def _persist(self, log):
        """Put what `log` has in RAM on flash, and make room where there is none."""
        while True:
            try:
                log.persist(self._floor(log))
                break
            except OSError as error:
                self.failed += 1
                if error.args[0] != _NO_SPACE or not self._drop(log):
                    return
        while self._events.segments() + self._telemetry.segments() > self._most and self._drop(log):
            pass

    def _drop(self, log):
        """Give up the oldest segment: of telemetry, or if there is none of `log`. False when there is none."""
        victim = self._telemetry if self._telemetry.segments() else log
        if self._dropping or not victim.segments():
            return False
        self._dropping = True
        victim.give_up()
        while len(victim.gaps) > 3 * _RUNS and self.report and not self._telling:
            for name, values in self._gaps(victim):  # more than its state holds:
                self.report(name, **values)  # an event is on flash before what it tells of is gone
        try:
            victim.drop(self._floor())
            return True
        except OSError:
            self.failed += 1
            return False
        finally:
            self._dropping = False

    def _gaps(self, log):
        """The oldest gaps of `log` as a loss, which leaves it when it was told."""
        if self._telling:
            return
        self._telling = True
        try:
            log.told = min(len(log.gaps), 3 * _RUNS)
            yield "records_dropped", {"drops": log.gaps[: log.told]}
            del log.gaps[: log.told]
        finally:
            log.told = 0
            self._telling = False
        try:
            log.stamp(self._floor())
        except OSError:
            self.failed += 1
