"""Records of nodes on their way to the broker: on this gateway's flash before a node hears that it may forget them.

What is sealed stays so. Events, statuses and answers go before telemetry, each oldest first. Nothing is given up for
want of room: a full relay takes no more, and the nodes keep what they have. The numbers of its entries are its own.
"""

import asyncio

from node.entry import Entry
from node.journal import SEGMENT, event_and_telemetry

_ID = 8


class Relay:
    """boot: this boot's number; path: its folder; limit: bytes on flash.

    report(name, subject=, value=) makes an event. failed: how often flash could not be written.
    """

    def __init__(self, boot, report, path="/relay", limit=262144):
        self._boot = boot
        self._report = report
        self._most = max(limit // SEGMENT, 4)
        self._seq = 0
        self.failed = 0
        self.filled = asyncio.Event()
        self._events, self._telemetry = event_and_telemetry(path)

    def room(self):
        """Whether there is room for another record."""
        return self._events.segments() + self._telemetry.segments() < self._most

    def put(self, node_id, message_class, payload):
        """Keep a record of a node; True once a power cut leaves it there."""
        if not self.room():
            return False
        log = self._telemetry if message_class == "telemetry" else self._events
        entry = Entry(message_class, self._boot, self._seq, node_id + payload)
        log.ram.append(entry)
        try:
            log.persist((self._boot, self._seq + 1))
        except OSError:
            self.failed += 1
            if log.ram and log.ram[-1] is entry:  # else it is in a segment, and only the state is old
                log.ram.pop()
                return False
        self._seq += 1
        self.filled.set()
        return True

    def urgent(self):
        """Whether something waits that is no telemetry."""
        return self._first(self._events) is not None

    def first(self):
        """The entry to send next, or None; `split` tells what it is. It stays until `done`."""
        entry = self._first(self._events) or self._first(self._telemetry)
        if not entry:
            self.filled.clear()
        return entry

    @staticmethod
    def split(entry):
        """(node id, message class, message) of an entry."""
        return entry.payload[:_ID], entry.message_class, memoryview(entry.payload)[_ID:]

    def done(self, entry):
        """The broker has `entry`: it leaves."""
        log = self._telemetry if entry.message_class == "telemetry" else self._events
        first = log.first()
        if not first or first[1:3] != entry[1:3]:
            return
        try:
            log.done((self._boot, self._seq))
        except OSError:
            self.failed += 1  # it may be sent once more after a restart, under the number that it has

    def _first(self, log):
        entry = log.first()
        if log.damaged:
            size, log.damaged = log.damaged, 0
            self._report("flash_failed", subject="relay", value=float(size))
        log.gaps.clear()  # they are of this relay's own numbers, which nobody else knows
        return entry

    def __len__(self):
        return sum(log.count + len(log.ram) for log in (self._events, self._telemetry))
