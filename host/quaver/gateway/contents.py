"""Chunks of releases on their way to nodes: read from the broker when the first node asks, kept in the spool.

A node refuses what is not as it was signed, and asks for it from its beginning once more: what is kept of it is given
back then, unless it is whole and right, and read from the broker anew. firmware/gateway/contents.py is the same on a
constrained gateway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from quaver.gateway.spool import Spool

Ask = Callable[[str], Awaitable[bytes | None]]
"""What the broker retains at a topic: b"" for nothing, None when it can't be asked."""


class Contents:
    """prefixes: {node id: topic prefix}, of which the first level is the site. ask: set once there is a broker."""

    def __init__(self, spool: Spool, prefixes: Mapping[bytes, str]) -> None:
        self._spool = spool
        self._prefixes = prefixes
        self._begun: dict[bytes, bytes] = {}
        self.ask: Ask | None = None

    async def chunk(self, node_id: bytes, digest: bytes, number: int) -> bytes | None:
        """Chunk `number` of the content whose SHA-256 begins with `digest` (8 bytes), for that node.

        b"" when the broker has none, None when it can't be asked. Raises StoreError.
        """
        if not number and self._begun.get(node_id) == digest:
            self._spool.check(digest)
        self._begun[node_id] = digest
        found = self._spool.chunk(digest, number)
        if found is None and self.ask is not None:
            site = self._prefixes[node_id].partition("/")[0]
            found = await self.ask(f"{site}/release/{digest.hex()}/{number}")
            if found:
                self._spool.keep(digest, number, found)
        return found
