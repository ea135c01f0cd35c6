"""The gateway's own record: whom it hears, when it was where, what waits, what it refused, and its heap."""

import asyncio
import gc

from micropython import const

_SLICE_MS = const(5000)


class Health:
    """collector, relay, commands, contents: of this package; told every interval_s."""

    def __init__(self, collector, relay, commands, contents, recorder, clock, interval_s, progress):
        self._collector = collector
        self._relay = relay
        self._commands = commands
        self._contents = contents
        self._recorder = recorder
        self._clock = clock
        self._interval_ms = int(max(interval_s, 1.0) * 1000)
        self._progress = progress

    def tell(self):
        """Make the health record, and an event for each kind of refusal since the last one."""
        collector = self._collector
        now = self._clock.ms()
        ages = []
        for node in collector.nodes.values():
            ages.append(None if node.collected is None else (now - node.collected) // 1000)
        self._contents.tidy()
        refused = collector.refused
        collector.refused = {}
        for why, (count, who) in refused.items():
            self._recorder.event("message_refused", why, count=count, text=who)
        gc.collect()
        counts = collector.counts
        self._recorder.telemetry(
            {
                "heap_free": gc.mem_free(),
                "nodes": len(collector.nodes),
                "nodes_heard": sum(node.heard is not None for node in collector.nodes.values()),
                "visits": counts["visits"],
                "visits_failed": counts["failed"],
                "relayed": counts["records"],
                "backlog": len(self._relay),
                "commands_waiting": len(self._commands),
                "visit_ages_s": ages,
            }
        )

    async def run(self):
        while True:
            left = self._interval_ms
            while left > 0:
                await asyncio.sleep_ms(min(left, _SLICE_MS))
                left -= _SLICE_MS
                self._progress("health")
            self.tell()
