"""Makes records: gives each its node, boot, sequence number and uptime, encodes it, and puts it in the outbox."""

import sys

from quaver_wire import cbor
from quaver_wire.fields import EVENTS, KINDS, VERSION

_BUFFER = 640  # the longest telemetry, all fields present, takes 520 bytes; an event with two long texts 260


class Recorder:
    def __init__(self, node, boot, uptime, outbox):
        self._node = node
        self._boot = boot
        self._uptime = uptime
        self._outbox = outbox
        self._seq = 0
        self._identity = {}
        self._buffer = bytearray(_BUFFER)

    def encode(self, kind, values):
        """The encoded record of `kind` ("telemetry", "event", "status") with `values` added, as bytes."""
        values["version"] = VERSION
        values["kind"] = KINDS.index(kind)
        values["node"] = self._node
        values["boot"] = self._boot
        values["seq"] = self._seq
        values["uptime_ms"] = self._uptime.ms()
        end = cbor.encode(self._buffer, values)
        self._seq += 1  # not before: a number that no record has is a gap that nothing explains
        return bytes(memoryview(self._buffer)[:end])

    def introduce(self, firmware, board, interval_s):
        """Say once what every status record tells of this node."""
        self._identity = {"firmware": firmware, "board": board, "interval_s": int(interval_s)}

    def status(self, state):
        """The encoded status record: state 1 online, 0 offline."""
        values = dict(self._identity)
        values["state"] = state
        return self.encode("status", values)

    def telemetry(self, values):
        seq = self._seq
        self._outbox.put("telemetry", seq, self.encode("telemetry", values))

    def event(self, name, subject="", **values):
        """Queue the event that quaver_wire.fields.EVENTS calls `name`.

        values: level (of "level"), value, limit, text, drops, oldest_boot, lost_from.
        """
        seq = self._seq
        values["code"] = EVENTS.index(name)
        values["subject"] = subject
        values["event_level"] = values.pop("level", None)
        self._outbox.put("event", seq, self.encode("event", values))

    def death(self, task, error):
        """Tell of a task that the supervisor is about to restart.

        An OSError is the world's doing (a broker that is away) and there may be no link to tell it over; anything
        else is a mistake of ours, and is an event.
        """
        if isinstance(error, OSError):
            print("node: {}: {}".format(task, error))
        else:
            sys.print_exception(error)
            self.event("task_restarted", task, text=repr(error))
