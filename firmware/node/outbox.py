"""What waits for the link: events before telemetry, oldest first, bounded; an entry leaves when it is acknowledged."""

import asyncio


class Outbox:
    """Holds at most `length` payloads. When full the oldest telemetry goes first, events last; `dropped` counts."""

    def __init__(self, length):
        self._length = length
        self._events = []
        self._telemetry = []
        self.dropped = 0
        self.filled = asyncio.Event()

    def put(self, leaf, payload):
        """Queue `payload` (bytes) for the topic that ends in `leaf` ("telemetry" or "event")."""
        if len(self._events) + len(self._telemetry) >= self._length:
            (self._telemetry or self._events).pop(0)
            self.dropped += 1
        (self._events if leaf == "event" else self._telemetry).append((leaf, payload))
        self.filled.set()

    def first(self):
        """The entry to send next, (leaf, payload), or None. It stays until `done`."""
        if self._events:
            return self._events[0]
        if self._telemetry:
            return self._telemetry[0]
        self.filled.clear()
        return None

    def done(self, entry):
        """Take `entry` out; it may have been dropped meanwhile."""
        for queue in (self._events, self._telemetry):
            if queue and queue[0] is entry:
                queue.pop(0)

    def __len__(self):
        return len(self._events) + len(self._telemetry)
