"""Makes records: gives each its boot, sequence number and time, encodes and seals it, and puts it in the outbox."""

import sys

from micropython import const

from quaver_wire import cbor
from quaver_wire.cose import OVERHEAD
from quaver_wire.fields import EVENTS, MESSAGE_CLASSES, VERSION, WireError

# Statuses have numbers of their own: a last will that was not needed is no gap among the records.
_ASIDE = const(1 << 23)
# a spectrum takes 582 bytes, and 616 where nobody seals it; a records_dropped with 16 runs 570
_BUFFER = const(640)


class Recorder:
    """node, boot: whose records they are; uptime: of node.clock; channel: the uplink's, of node.seal, or None.

    With a channel each record is sealed, and names its node, boot and number openly in its frame alone. A boot that
    was not counted, 0, can't seal: then nothing is recorded, and `mute` says so. Raises WireError when a boot has no
    numbers left: the tasks die then, the watchdog is no longer fed, and the next boot has all of them.
    """

    def __init__(self, node, boot, uptime, outbox, channel=None):
        self._node = node
        self._boot = boot
        self._uptime = uptime
        self._outbox = outbox
        self._channel = channel
        self._sealed = bytearray(_BUFFER + OVERHEAD) if channel else None
        self.seals = channel is not None
        self.mute = channel is not None and not boot
        self._seq = 0
        self._aside = _ASIDE
        self._identity = {}
        self._buffer = bytearray(_BUFFER)

    def encode(self, message_class, values):
        """The encoded record of `message_class` ("telemetry", "event", "status") with `values` added, as bytes."""
        seq = self._aside if message_class == "status" else self._seq
        if seq == _ASIDE and message_class != "status":
            raise WireError("no sequence numbers are left in this boot")  # a status had it: the nonce would come twice
        values["version"] = VERSION
        values["uptime_ms"] = self._uptime.ms()
        # of telemetry, eight bytes less: the reader dates it by the one that has the time
        values["time_ms"] = self._uptime.news() if message_class == "telemetry" else self._uptime.time_ms()
        data = self._buffer
        if self._channel:
            end = cbor.encode(data, values, message_class)
            end = self._channel.seal(self._sealed, message_class, self._boot, seq, data, end)
            data = self._sealed
        else:
            values["kind"] = MESSAGE_CLASSES.index(message_class)
            values["node"] = self._node
            values["boot"] = self._boot
            values["seq"] = seq
            end = cbor.encode(data, values)
        # not before: a number that no record has is a gap that nothing explains
        if message_class == "status":
            self._aside += 1
        else:
            self._seq += 1
        return bytes(memoryview(data)[:end])

    def moment(self):
        """(boot, uptime in ms, milliseconds since 1970 or None), as of now."""
        return self._boot, self._uptime.ms(), self._uptime.time_ms()

    def introduce(self, firmware, board, interval_s, role=0):
        """Say once what every status record tells of this node; role: 1 for a gateway."""
        self._identity = {"firmware": firmware, "board": board, "interval_s": int(interval_s), "role": role}

    def status(self, state):
        """The encoded status record: state 1 online, 0 offline, 2 heard through a gateway."""
        values = dict(self._identity)
        values["state"] = state
        return self.encode("status", values)

    def telemetry(self, values):
        if self.mute:
            return
        seq = self._seq
        self._outbox.put("telemetry", seq, self.encode("telemetry", values))

    def answer(self, values):
        """Queue the answer to a command: "id", and "result" or "error". Raises WireError when it is too long."""
        if self.mute:
            return
        seq = self._seq
        self._outbox.put("answer", seq, self.encode("answer", values))

    def event(self, name, subject="", **values):
        """Queue the event that quaver_wire.fields.EVENTS calls `name`.

        values: level (of "level"), value, limit, text, drops, oldest_boot, lost_from, count, generation,
        reason, waveform, and the evidence of an alarm.
        """
        if self.mute:
            return
        seq = self._seq
        values["code"] = EVENTS.index(name)
        values["subject"] = subject
        values["event_level"] = values.pop("level", None)
        self._outbox.put("event", seq, self.encode("event", values))

    def account(self):
        """An event for each loss of the outbox: to be called by the task that empties it, before it looks for more."""
        for name, values in self._outbox.losses():
            self.event(name, **values)

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
