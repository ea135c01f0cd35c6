"""Records that a host makes itself, sealed as any node's, under an identity and a key of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quaver import __version__
from quaver.errors import StoreBusy
from quaver.gateway.spool import Spool
from quaver.messages import host_fields
from quaver.messages.sealing import Sealer
from quaver_wire.fields import EVENTS, VERSION

_RECORD_MAX = 900
_ASIDE = 1 << 23  # statuses count from here on, as a node's
_BUSY_S = 1.0


@dataclass(frozen=True)
class Identity:
    """Who such a node is: its id of 8 bytes, its topic prefix, and the device key and generation that it seals with."""

    node_id: bytes
    prefix: str
    generation: int
    key: bytes = field(repr=False)


class OwnRecords:
    """unix_ms: the date, 0 when this machine does not know it: then the records bear none, as a node's.

    To be made in a running loop. The spool's count of its starts is the boot of each.
    """

    def __init__(self, identity: Identity, spool: Spool, unix_ms: Callable[[], int]) -> None:
        self._identity = identity
        self._spool = spool
        self._unix_ms = unix_ms
        self._sealer = Sealer(identity.key, identity.node_id, identity.generation, "uplink")
        self._seq = 0
        self._statuses = _ASIDE
        self._began = asyncio.get_running_loop().time()

    def _seal(self, message_class: str, seq: int, values: dict[str, Any]) -> bytes:
        uptime_ms = int((asyncio.get_running_loop().time() - self._began) * 1000)
        buffer = bytearray(_RECORD_MAX)
        about = {"version": VERSION, "uptime_ms": uptime_ms}
        if date_ms := self._unix_ms():
            about["time_ms"] = date_ms
        end = host_fields.encode(buffer, {**about, **values}, message_class)
        return self._sealer.seal(message_class, self._spool.boot, seq, bytes(buffer[:end]))

    def seal_status(self, values: dict[str, Any]) -> bytes:
        """The next status."""
        self._statuses += 1
        return self._seal("status", self._statuses - 1, values)

    def say(self, message_class: str, **values: Any) -> None:
        """Have a record wait for the broker."""
        message = self._seal(message_class, self._seq, values)
        self._spool.put(self._identity.node_id, message_class, message)
        self._seq += 1  # what was not kept has left nowhere, and its number is free

    def say_boot(self) -> None:
        """Tell this start."""
        about = {"text": f"quaver {__version__} on a host", "oldest_boot": self._spool.boot}
        self.say("event", code=EVENTS.index("boot"), **about)

    async def patiently(self, action: Callable[[], None]) -> None:
        """Do `action`, once no other program holds the spool; the collecting side says that one does."""
        while True:
            try:
                return action()
            except StoreBusy:
                await asyncio.sleep(_BUSY_S)
