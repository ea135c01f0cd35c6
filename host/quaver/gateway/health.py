"""A host gateway's own records, sealed as any node's: its status, its start, its health."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from quaver import __version__
from quaver.gateway.collector import Collector
from quaver.gateway.own import Identity, OwnRecords
from quaver.gateway.spool import Spool
from quaver_wire.fields import EVENTS
from quaver_wire.names import HOST, ROLES, STATES

_AGES_MAX = 64  # of an array, by the wire format


class Health(OwnRecords):
    """interval_s: between two health records. unix_ms: as of OwnRecords."""

    def __init__(
        self,
        identity: Identity,
        collector: Collector,
        spool: Spool,
        unix_ms: Callable[[], int],
        interval_s: float = 60.0,
    ) -> None:
        super().__init__(identity, spool, unix_ms)
        self._collector = collector
        self._interval_s = interval_s
        self._told: Counter[tuple[str, str]] = Counter()

    def status(self, state: str) -> bytes:
        """The status that the broker keeps of this gateway: "online", or "offline" as its last will."""
        about = {"firmware": __version__, "board": HOST, "interval_s": int(self._interval_s)}
        return self.seal_status({**about, "state": STATES.index(state), "role": ROLES.index("gateway")})

    def tell(self) -> None:
        """Make the health record, and an event for each refusal since the last one."""
        now = asyncio.get_running_loop().time()
        collector = self._collector
        for (why, who), count in (collector.counts.refused - self._told).items():
            self.say("event", code=EVENTS.index("message_refused"), subject=why, text=who, count=count)
            self._told[why, who] += count
        nodes = collector.nodes.values()
        ages = [None if node.collected is None else int(now - node.collected) for node in nodes]
        self.say(
            "telemetry",
            nodes=len(nodes),
            nodes_heard=sum(node.heard is not None for node in nodes),
            visits=collector.counts.connections,
            visits_failed=collector.counts.failed,
            relayed=collector.counts.records,
            backlog=len(self._spool),
            commands_waiting=sum(self._spool.commanded().values()),
            visit_ages_s=ages[:_AGES_MAX],
        )

    async def run(self) -> None:
        await self.patiently(self.say_boot)
        while True:
            await asyncio.sleep(self._interval_s)
            await self.patiently(self.tell)
