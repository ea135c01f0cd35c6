"""One connection to a node: receive records, acknowledge the stored ones, send time and commands.

The protocol is quaver_wire/gatt.py's, with the tags of quaver_wire/link.py, over anything that carries messages; over
Bluetooth any bleak client does. The node may be anybody: each step has a limit, each message is bounded, and the first
one out of the protocol ends it. What was acknowledged before stays so.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from quaver.errors import RadioError
from quaver.gateway.links import Link
from quaver_wire import chunks, gatt
from quaver_wire.link_session import Session

if TYPE_CHECKING:
    from bleak import BleakClient

SILENCE_S = 5.0
"""Between two messages of the node."""

_MAX_WAITING = 64  # chunks that may wait for us; the longest message has 35 at the smallest MTU

Store = Callable[[str, bytes], Awaitable[bool]]
"""Takes (message class, sealed record); true once it survives a power cut. False refuses it: the connection ends."""

Content = Callable[[bytes, int], Awaitable[bytes | None]]
"""Gives chunk `number` of the content whose SHA-256 begins so: b"" for none, None when it can't be had now."""


class LinkError(RadioError):
    """A connection that ended before its end: what the node did, or did not do. kind: by which it is counted."""

    kind = "protocol"


class SilentError(LinkError):
    """A node that is connected and sends nothing."""

    kind = "silent"


class RefusedError(LinkError):
    """The node does not take this gateway's link key."""

    kind = "link_refused"


class UnprovenError(LinkError):
    """The node does not prove that it has the link key."""

    kind = "wrong_link_key"


@dataclass
class Collected:
    """What a connection brought: records taken, their bytes; commands and chunks that the node has got."""

    records: int = 0
    size: int = 0
    commands: int = 0
    chunks: int = 0


class Peer(Protocol):
    """The way to the node of a connection, a message at a time. Every verb raises LinkError when it is lost."""

    async def begin(self) -> None:
        """Hear what the node says from here on."""

    async def send(self, message: bytes, confirmed: bool) -> None:
        """confirmed: return once the node's radio has it, where the link can tell."""

    async def receive(self) -> bytes:
        """The node's next message. Raises SilentError after SILENCE_S without one."""


class AirPeer:
    """A node that a bleak client is connected to. Raises LinkError when it is none."""

    def __init__(self, client: BleakClient) -> None:
        self._client = client
        up = client.services.get_characteristic(gatt.UPLINK)
        down = client.services.get_characteristic(gatt.DOWNLINK)
        if up is None or down is None:
            raise LinkError("the peer has no such service: it is not a node")
        self._up, self._down = up, down
        self._size = min(max(down.max_write_without_response_size, chunks.SIZE_MIN), chunks.SIZE_MAX)
        self._buffer = bytearray(chunks.SIZE_MAX)
        self._assembler = chunks.Assembler()
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(_MAX_WAITING)
        self._flooded = False

    def _heard(self, _characteristic: object, data: bytearray) -> None:
        if self._inbox.full():
            self._flooded = True
        else:
            self._inbox.put_nowait(bytes(data))

    async def begin(self) -> None:
        with _lost():
            await self._client.start_notify(self._up, self._heard)

    async def send(self, message: bytes, confirmed: bool) -> None:
        with _lost():
            for length in chunks.split(message, self._size, self._buffer, gatt.CONTENT_MAX):
                await self._client.write_gatt_char(self._down, bytes(self._buffer[:length]), response=confirmed)

    async def receive(self) -> bytes:
        while True:
            if self._flooded:
                raise LinkError("the node sends faster than it is read: it does not follow the protocol")
            try:
                async with asyncio.timeout(SILENCE_S):
                    chunk = await self._inbox.get()
            except TimeoutError:
                again = "the gateway connects again at its next turn"
                if self._client.is_connected:
                    raise SilentError(f"the node does not answer: {again}") from None
                raise LinkError(f"the node has disconnected: {again}") from None
            message = self._assembler.feed(chunk)
            if message is not None:
                return message


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    from bleak.exc import BleakError

    try:
        yield
    except BleakError as error:
        raise LinkError(f"the connection was lost ({error})") from error


async def converse(
    peer: Peer,
    way: Link | None,
    store: Store,
    commands: list[bytes] | None = None,
    content: Content | None = None,
    *,
    unix_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    limit_s: float = 30.0,
    records: int = 1000,
) -> Collected:
    """Take the records of the node that `peer` leads to; the caller connects before and disconnects after.

    way: proves the link key; None for a node of before there were any.
    commands: sealed ones; each leaves the list when it was written. limit_s: for the whole connection; records: the
    most that it takes, and how many chunks it gives. Both are a plain end, and the rest comes with the next connection.
    Raises LinkError.
    """
    found = Collected()
    session: Session | None = None

    async def send(message: bytes, confirmed: bool) -> None:
        await peer.send(session.sign(message) if session else message, confirmed)

    async def command() -> None:
        assert commands
        await send(gatt.command(commands[0]), True)
        del commands[0]
        found.commands += 1

    async def heed() -> bytes:
        message = await peer.receive()
        return session.check(message) if session else message

    try:
        async with asyncio.timeout(limit_s):
            await peer.begin()
            if way:
                await send(way.hello, False)
                session = _session(way, await heed())
            await send(gatt.time_message(unix_ms()), True)
            while found.records < records and found.chunks < records:
                message = await heed()
                kind, number, payload = gatt.parse_uplink(message)
                if kind == gatt.END:
                    if not commands:
                        break
                    await command()
                    continue
                if kind == gatt.WANT:
                    if commands:
                        await command()
                    part = await content(payload, number) if content else None
                    if part:
                        await send(gatt.content(number, part), True)
                        found.chunks += 1
                    else:
                        await send(gatt.absent(gatt.LATER if part is None else gatt.NONE), True)
                    continue
                if not await store(gatt.RECORD_CLASSES[kind], payload):
                    break
                await send(gatt.ack(number), False)
                found.records += 1
                found.size += len(payload)
    except TimeoutError:
        pass
    except ValueError as error:
        raise LinkError(f"the node does not follow the protocol ({error})") from error
    return found


def _session(way: Link, answer: bytes) -> Session:
    if answer[0] == gatt.REFUSED:
        raise RefusedError("the node refuses the link key: it was revoked, or is of another device key; grant it again")
    try:
        return way.answered(answer)
    except ValueError as error:
        raise UnprovenError(f"the node does not prove the link key ({error}): grant it again if it should") from error
