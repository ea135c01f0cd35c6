"""A serial line with one node at its other end: the gateway answers its hails, and connects to it over the line.

    closed --the port is there--> listen --a hail, and something to say--> connection --its end, BYE--> listen
    listen --any other hail, BYE--> listen
    listen, connection --the port is gone--> closed, tried again each second

The frames are quaver_wire/wired.py's. A hail proves nothing, as an advertisement does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from quaver.errors import GatewayError
from quaver.gateway.collector import Collector
from quaver.gateway.connection import SILENCE_S, LinkError, SilentError, converse
from quaver_wire import wired

_AGAIN_S = 1.0
_WRITE_S = 2.0
_READ_MAX = 4096
_WAITING_MAX = 64  # messages that nobody has asked for yet
_BROKEN_MAX = 20  # pieces that are no frame, without one that is


class Line:
    """where: a port, or an address of pyserial's; baudrate: 8 data bits, no parity, one stop bit."""

    def __init__(self, where: str, baudrate: int = wired.BAUDRATE) -> None:
        self.where = where
        self.baudrate = baudrate

    @classmethod
    def of(cls, text: str) -> Line:
        """The line of PORT or PORT:BAUDRATE. Raises GatewayError."""
        where, colon, rate = text.rpartition(":")
        if "://" in text or not colon:
            return cls(text)
        if not rate.isdecimal() or not 1200 <= int(rate) <= 921_600:
            raise GatewayError(f"{text}: expected PORT or PORT:BAUDRATE, 1200 to 921600 baud")
        return cls(where, int(rate))


class LinePeer:
    """The open port of a line, and the node at its other end. Raises OSError when the port can't be opened.

    noise: is called when much has come and none of it was a frame.
    """

    def __init__(self, line: Line, noise: Callable[[], None]) -> None:
        import serial

        self._frames = wired.Frames(wired.NODE, wired.UPLINK_MAX)
        self._buffer = bytearray(wired.frame_size(wired.DOWNLINK_MAX))
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_MAX)
        self._lost = ""
        self._noise = noise
        self.hail: bytes | None = None  # which ended a connection
        self._begun = False  # whether a connection has, in which nothing has come yet
        # Exclusive: with two readers, each would get half of what the node says.
        self._port: Any = serial.serial_for_url(
            line.where, line.baudrate, timeout=0, write_timeout=_WRITE_S, exclusive=True
        )
        self._loop = asyncio.get_running_loop()
        self._fd = self._port.fileno()
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        try:
            data = self._port.read(_READ_MAX)
            if not data:
                raise OSError("the port is gone")
        except (OSError, TypeError) as error:  # TypeError: of pyserial, for a port that goes while it reads
            self._lost = str(error)
            self._loop.remove_reader(self._fd)
            data = b"\0"
        for message in self._frames.feed(data):
            self._frames.broken = 0
            if not self._inbox.full():
                self._inbox.put_nowait(message)
        if self._frames.broken > _BROKEN_MAX:
            self._frames.broken = 0
            self._noise()
        if self._lost and not self._inbox.full():
            self._inbox.put_nowait(b"")

    async def heard(self) -> bytes:
        """The next message of the line. Raises OSError when the port is gone."""
        message = b"" if self._lost and self._inbox.empty() else await self._inbox.get()
        if not message:
            raise OSError(self._lost)
        return message

    async def begin(self) -> None:
        """An open port hears. What comes first may still be a hail."""
        self._begun = True

    async def send(self, message: bytes, confirmed: bool = False) -> None:
        end = wired.put_frame(self._buffer, wired.GATEWAY, message)
        self._port.write(self._buffer[:end])

    async def receive(self) -> bytes:
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await self.heard()
                if self._begun and message[0] == wired.HAIL:
                    message = await self.heard()  # it hailed again before it had our answer; twice, and it has none
        except TimeoutError:
            raise SilentError("the node does not answer: it hails again when it is there") from None
        self._begun = False
        if message[0] == wired.HAIL:
            self.hail = message
            raise LinkError("the connection was lost: the node begins a new one")
        return message

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        self._port.close()


async def collect_line(line: Line, collector: Collector, say: Callable[[str], None]) -> None:
    """Collect from the node at the other end of a line, until it is cancelled. Raises StoreError.

    say: hears once when the port is not to be had, and when nothing but noise comes.
    """
    peer: LinePeer | None = None
    told = ""

    def tell(words: str) -> None:
        nonlocal told
        if words and words != told:
            say(f"{line.where}: {words}")
        told = words

    async def turn() -> None:
        nonlocal peer
        try:
            if peer is None:
                peer = LinePeer(
                    line, lambda: tell("hears noise and no node; check the baud rate, the wires and ground")
                )
                await peer.send(bytes((wired.BYE,)))  # whatever a gateway before this one was about
            await _answer(line, peer, collector)
            tell("")
        except (OSError, ValueError) as error:  # ValueError: of pyserial, for an address that is none
            reason = getattr(error, "strerror", None) or error
            tell(f"can't be used ({reason}); check the name, the adapter and the permissions; trying again")
            if peer is not None:
                peer.close()
                peer = None
            await asyncio.sleep(_AGAIN_S)

    try:
        await collector.repeat(turn)
    finally:
        if peer is not None:
            peer.close()


async def _answer(line: Line, peer: LinePeer, collector: Collector) -> None:
    """Wait for a hail, and answer it."""
    message = peer.hail or await peer.heard()
    peer.hail = None
    about = wired.parse_hail(message)
    if about is not None:  # else of a connection that is over
        node_id, state, _ = about
        if collector.heard(node_id, state) and collector.is_due(node_id, state, line.where):
            await collector.visit(node_id, line.where, partial(converse, peer))
    if peer.hail is None:
        await peer.send(bytes((wired.BYE,)))
