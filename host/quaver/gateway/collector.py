"""The collecting side of a host's gateway: it listens for nodes and connects to those that have messages.

    listen --an alarm, or somebody and a moment has passed--> connection --over, or ended by its limits--> listen

An advertisement proves nothing, and a peer proves a link key and no more. So each connection is bounded, and an address
that wasted one is left alone for a while, longer each time. After a wasted connection the next goes to an address that
has served before, if there is one. And an alarm hastens nobody who says it from another address than the node's.
firmware/gateway/collector.py is the same on a constrained gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from quaver.errors import StoreBusy, StoreError
from quaver.gateway.connection import AirPeer, Collected, Content, LinkError, RefusedError, converse
from quaver.gateway.contents import Contents
from quaver.gateway.links import Links
from quaver.gateway.spool import Spool
from quaver_wire import gatt
from quaver_wire.cose import START as SEALED

_LISTEN_S = 2.0
_MOMENT_S = 0.3  # to hear who else is there, so that turns are fair: longer than nodes pause by default
_CONNECTION_S = 20.0
_CONNECT_S = 8.0
_RECORDS = 200  # of one connection: an alarm elsewhere waits no longer than this
_HOLD_S = 1.0  # after a wasted connection; for a stranger doubled each time, up to 64 times that
_HELD_MAX = 64
_WAITS = gatt.PENDING | gatt.ALARM
_FREE = (0.0, 0)  # an address that was never told to wait
_BUSY_S = 1.0  # before the spool is tried again that another program holds


@dataclass
class Node:
    """What is remembered of one node; times in the loop's seconds, None before the first."""

    address: str | None = None
    tried: float | None = None
    collected: float | None = None
    heard: float | None = None
    secret: bool = False  # has said that it wants link keys: it is never served without


@dataclass
class Counts:
    """Since the start; refused: {(why, who): how often}."""

    connections: int = 0
    failed: int = 0
    records: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Radio:
    """The backends that bleak is to use; None for the system's own."""

    scanner: Any = None
    client: Any = None


class Collector:
    """links: this gateway's link keys. old_links: whether nodes that know none are served: anybody near can be one.

    unix_ms: what nodes are told as the time. say: hears of each connection and refusal, a line each.
    contents: where chunks of releases come from; None for a gateway that has none.
    """

    def __init__(
        self,
        nodes: Iterable[bytes],
        links: Links,
        spool: Spool,
        unix_ms: Callable[[], int],
        say: Callable[[str], None],
        radio: Radio | None = None,
        contents: Contents | None = None,
        old_links: bool = False,
    ) -> None:
        self.nodes = {node_id: Node() for node_id in nodes}
        self._links = links
        self._old_links = old_links
        self.counts = Counts()
        self._spool = spool
        self._unix_ms = unix_ms
        self._say = say
        self._radio = radio or Radio()
        self._contents = contents
        self._held: dict[str, tuple[float, int]] = {}
        self._wasted = False

    async def run(self) -> None:
        """Collect over Bluetooth, until it is cancelled. Raises RadioError when the system has none, StoreError."""
        await self.repeat(self._turn)

    async def _turn(self) -> None:
        found = await self._listen()
        if found is not None:
            await self._collect(*found)

    async def repeat(self, turn: Callable[[], Awaitable[None]]) -> None:
        """`turn` again and again, also while another program holds the spool."""
        told = ""
        while True:
            try:
                await turn()
                told = ""
            except StoreBusy as busy:
                if not told:
                    told = f"{busy}; the nodes keep what they have until then"
                    self._say(told)
                await asyncio.sleep(_BUSY_S)
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # Python 3.11's wait_for may swallow it, in any Bluetooth stack
                raise asyncio.CancelledError

    async def _listen(self) -> tuple[Any, bytes] | None:
        """Whom to connect to next: (device, node id); None when nobody has anything."""
        from bleak import BleakScanner
        from bleak.exc import BleakError

        from quaver.errors import RadioError

        loop = asyncio.get_running_loop()
        began = loop.time()
        commanded = self._spool.commanded()
        best: tuple[Any, Any, bytes] | None = None
        enough = asyncio.Event()

        def heard(device: Any, advertisement: Any) -> None:
            nonlocal best
            about = gatt.parse_service_data(advertisement.service_data.get(gatt.SERVICE, b""))
            if about is None:
                return
            node_id, state, _ = about
            node = self.heard(node_id, state)
            if node is None:
                return
            if self.is_due(node_id, state, device.address, commanded):
                known = device.address == node.address
                alarm = bool(state & gatt.ALARM) and (known or node.tried is None)
                tried = -1.0 if node.tried is None else node.tried
                doubtful = self._wasted and not known
                rank = (doubtful, not alarm, tried, self._held.get(device.address, _FREE)[1])
                if best is None or rank < best[0]:
                    best = (rank, device, node_id)
                if alarm and not doubtful:
                    enough.set()
            if best is not None and not best[0][0] and loop.time() - began >= _MOMENT_S:
                enough.set()

        try:
            async with BleakScanner(heard, [gatt.SERVICE] if self._radio.scanner is None else None, **self._scanner()):
                for pause in (_MOMENT_S, _LISTEN_S):  # some systems tell of an advertiser once in a scan
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await enough.wait()
                    if enough.is_set() or (best is not None and not best[0][0]):
                        break
        except (BleakError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RadioError(
                f"Bluetooth can't be used ({reason}); check that this machine has it, switched on"
            ) from error
        return best[1:] if best else None

    def heard(self, node_id: bytes, state: int) -> Node | None:
        """Somebody says that this node is there, with these bits of gatt; None when it is not to be spoken with."""
        node = self.nodes.get(node_id)
        if node is None:
            self._refuse("unknown_node", node_id.hex())
            return None
        node.heard = asyncio.get_running_loop().time()
        return node if self._speaks(node, node_id, state) else None

    def is_due(self, node_id: bytes, state: int, address: str, commanded: Container[bytes] | None = None) -> bool:
        """Whether there is something to say to a node that was heard, and its address was not told to wait.

        commanded: the nodes for which a command waits, where that is known already.
        """
        until, _ = self._held.get(address, _FREE)
        if until > asyncio.get_running_loop().time():
            return False
        return bool(state & _WAITS) or node_id in (self._spool.commanded() if commanded is None else commanded)

    def _speaks(self, node: Node, node_id: bytes, state: int) -> bool:
        """Whether there is a way to speak with this node: both have the link key, or neither needs one."""
        why = ""
        if state & gatt.SECRET:
            node.secret = True
            if not self._links.has(node_id):
                why = "no_link_key"
        elif node.secret or not self._old_links:
            why = "old_link"
        if why:
            self._refuse(why, node_id.hex())
        return not why

    def _scanner(self) -> dict[str, Any]:
        return {} if self._radio.scanner is None else {"backend": self._radio.scanner}

    async def _collect(self, device: Any, node_id: bytes) -> None:
        from bleak import BleakClient
        from bleak.exc import BleakError

        backend = {} if self._radio.client is None else {"backend": self._radio.client}

        async def over_the_air(*arguments: Any, **limits: Any) -> Collected:
            try:
                async with BleakClient(device, timeout=_CONNECT_S, services=[gatt.SERVICE], **backend) as client:
                    return await converse(AirPeer(client), *arguments, **limits)
            except BleakError as error:
                raise ConnectionError(str(error)) from error

        await self.visit(node_id, device.address, over_the_air)

    async def visit(self, node_id: bytes, address: str, talk: Callable[..., Awaitable[Collected]]) -> None:
        """A connection to a node. talk: `converse` of the connection room, but for its peer.

        An OSError or TimeoutError of it is a connection that could not be made.
        """
        loop = asyncio.get_running_loop()
        node = self.nodes[node_id]
        name = node_id.hex()
        waiting = self._spool.commands(node_id)
        commands = [message for _, message in waiting]
        self.counts.connections += 1
        node.tried = loop.time()
        try:
            found = await talk(
                self._links.of(node_id) if node.secret else None,
                self._store(node_id),
                commands,
                self._content(node_id),
                unix_ms=self._unix_ms,
                limit_s=_CONNECTION_S,
                records=_RECORDS,
            )
        except (TimeoutError, OSError) as error:
            self._waste(node, address, f"{name}: no connection, or lost ({error})")
        except LinkError as error:
            self._waste(node, address, f"{name}: {error}")
            tries_another = isinstance(error, RefusedError) and not self._links.refused(node_id)
            if "connection" not in str(error) and not tries_another:
                self._refuse(error.kind, name)
        else:
            self._wasted = False
            self._held.pop(address, None)
            node.address = address
            node.collected = loop.time()
            self._say(f"{name}: {found.records} records, {found.commands} commands")
        finally:
            self._spool.sent(number for number, _ in waiting[: len(waiting) - len(commands)])

    def _store(self, node_id: bytes) -> Callable[[str, bytes], Awaitable[bool]]:
        async def store(message_class: str, message: bytes) -> bool:
            if message.startswith(SEALED) and message[8:16] != node_id:
                raise LinkError("a record of another node: it does not follow the protocol")
            try:
                self._spool.put(node_id, message_class, message)
            except StoreError as error:
                self._say(str(error))
                return False
            self.counts.records += 1
            return True

        return store

    def _content(self, node_id: bytes) -> Content:
        async def content(digest: bytes, number: int) -> bytes | None:
            try:
                return await self._contents.chunk(node_id, digest, number) if self._contents else None
            except StoreError as error:
                self._say(str(error))
                return None

        return content

    def _waste(self, node: Node, address: str, line: str) -> None:
        self.counts.failed += 1
        self._wasted = True
        times = self._held.pop(address, _FREE)[1]
        if len(self._held) >= _HELD_MAX:
            del self._held[min(self._held, key=lambda held: self._held[held][0])]
        pause = _HOLD_S if address == node.address else _HOLD_S * 2 ** min(times, 6)
        self._held[address] = (asyncio.get_running_loop().time() + pause, times + 1)
        self._say(line)

    def _refuse(self, why: str, who: str) -> None:
        if (why, who) not in self.counts.refused:
            if len(self.counts.refused) >= _HELD_MAX:
                who = "others"
            self._say(f"{who}: refused ({why})")
        self.counts.refused[why, who] += 1
