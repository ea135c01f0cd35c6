"""A host gateway's own records, sealed as any node's: its status, its start, its health."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quaver import __version__
from quaver.errors import StoreBusy
from quaver.gateway.collector import Collector
from quaver.gateway.spool import Spool
from quaver.messages.sealing import Sealer
from quaver_wire import cbor
from quaver_wire.fields import EVENTS, VERSION
from quaver_wire.names import HOST, ROLES, STATES

_RECORD_MAX = 900
_ASIDE = 1 << 23  # statuses count from here on, as a node's
_BUSY_S = 1.0
_AGES_MAX = 64  # of an array, by the wire format


@dataclass(frozen=True)
class Identity:
    """Who the gateway is: its id of 8 bytes, its topic prefix, and the device key and generation that it seals with."""

    node_id: bytes
    prefix: str
    generation: int
    key: bytes = field(repr=False)


class Health:
    """unix_ms: the date, 0 when this machine does not know it: then the records bear none, as a node's.

    interval_s: between two health records. To be made in a running loop.
    """

    def __init__(
        self,
        identity: Identity,
        collector: Collector,
        spool: Spool,
        unix_ms: Callable[[], int],
        interval_s: float = 60.0,
    ) -> None:
        self._identity = identity
        self._collector = collector
        self._spool = spool
        self._unix_ms = unix_ms
        self._interval_s = interval_s
        self._sealer = Sealer(identity.key, identity.node_id, identity.generation, "uplink")
        self._seq = 0
        self._statuses = _ASIDE
        self._began = asyncio.get_running_loop().time()
        self._told: Counter[tuple[str, str]] = Counter()

    def _seal(self, message_class: str, seq: int, values: dict[str, Any]) -> bytes:
        uptime_ms = int((asyncio.get_running_loop().time() - self._began) * 1000)
        buffer = bytearray(_RECORD_MAX)
        about = {"version": VERSION, "uptime_ms": uptime_ms}
        if date_ms := self._unix_ms():
            about["time_ms"] = date_ms
        end = cbor.encode(buffer, {**about, **values}, message_class)
        return self._sealer.seal(message_class, self._spool.boot, seq, bytes(buffer[:end]))

    def _say(self, message_class: str, **values: Any) -> None:
        message = self._seal(message_class, self._seq, values)
        self._spool.put(self._identity.node_id, message_class, message)
        self._seq += 1  # what was not kept has left nowhere, and its number is free

    def status(self, state: str) -> bytes:
        """The status that the broker keeps of this gateway: "online", or "offline" as its last will."""
        self._statuses += 1
        about = {"firmware": __version__, "board": HOST, "interval_s": int(self._interval_s)}
        numbers = {"state": STATES.index(state), "role": ROLES.index("gateway")}
        return self._seal("status", self._statuses - 1, {**about, **numbers})

    def tell(self) -> None:
        """Make the health record, and an event for each refusal since the last one."""
        now = asyncio.get_running_loop().time()
        collector = self._collector
        for (why, who), count in (collector.counts.refused - self._told).items():
            self._say("event", code=EVENTS.index("message_refused"), subject=why, text=who, count=count)
            self._told[why, who] += count
        nodes = collector.nodes.values()
        ages = [None if node.collected is None else int(now - node.collected) for node in nodes]
        self._say(
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
        boot = {"text": f"quaver {__version__} on a host", "oldest_boot": self._spool.boot}
        await self._patiently(lambda: self._say("event", code=EVENTS.index("boot"), **boot))
        while True:
            await asyncio.sleep(self._interval_s)
            await self._patiently(self.tell)

    async def _patiently(self, action: Callable[[], None]) -> None:
        """Do `action`, once no other program holds the spool; the collecting side says that one does."""
        while True:
            try:
                return action()
            except StoreBusy:
                await asyncio.sleep(_BUSY_S)
