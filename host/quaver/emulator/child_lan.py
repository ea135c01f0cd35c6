"""An emulated chip's place in a network of virtual time: the chip's side, in its process, and the host's.

The chip's sockets are the host's: it says what it wants of them with each turn of virtual time that it asks for, and
gets with the turn what has come for it. So nothing depends on when the two processes run. A turn ends at the moment at
which the chip sends something.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from quaver.emulator.lan import CHANGES, CLOSE, CONNECTED, DATAGRAM, ENDED, OPEN, RECEIVE, REFUSED, SEND, Lan, LanPort

if TYPE_CHECKING:
    from quaver.emulator.network import Network

Command = tuple[int, int, int, bytes]  # verb, the chip's number for the socket, port, data
Event = tuple[int, int, bytes]  # the socket's number, its state as in lan.py, data

_ALL = 1 << 16
_NEVER_S = 1e9  # of real time: only virtual time ends a connect
_SETTLED = 12  # passes of the event loop after which whatever woke has run


class ChipLan:
    """In the chip's process. ask: ends the running turn, so that what was said leaves now."""

    def __init__(self, network: Network, ask: Callable[[], None]) -> None:
        self.commands: list[Command] = []
        self._ask = ask
        self._count = 0
        self._ends: dict[int, _End] = {}
        network.join_lan(self.connect, self.exchange, ask, _NEVER_S)

    def say(self, verb: int, number: int, port: int = 0, data: bytes = b"") -> None:
        self.commands.append((verb, number, port, data))
        self._ask()

    async def connect(self, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError when nobody answers there."""
        end = self._new()
        self.say(OPEN, end.number, port)
        if not await end.opened:
            raise ConnectionRefusedError
        return end.reader, end  # type: ignore[return-value]

    async def exchange(self, port: int, query: bytes) -> bytes:
        """A datagram, and the answer; for ever where none comes."""
        end = self._new()
        self.say(DATAGRAM, end.number, port, query)
        return await end.reader.read(_ALL)

    def _new(self) -> _End:
        self._count += 1
        made = self._ends[self._count] = _End(self, self._count)
        return made

    async def take(self, events: list[Event]) -> None:
        """What has come, until whoever waits for it has had it."""
        for number, state, data in events:
            if (end := self._ends.get(number)) is not None:
                end.take(state, data)
                if state & (ENDED | REFUSED):
                    del self._ends[number]
        await settled()

    def reset(self) -> None:
        self._ends.clear()


async def settled() -> None:
    for _ in range(_SETTLED):
        await asyncio.sleep(0)


class _End:
    """One connection, with what the emulated radio's NAT asks of a StreamWriter."""

    def __init__(self, lan: ChipLan, number: int) -> None:
        self.number = number
        self.reader = asyncio.StreamReader()
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._lan = lan
        self._open = True

    def take(self, state: int, data: bytes) -> None:
        if state & (CONNECTED | REFUSED) and not self.opened.done():
            self.opened.set_result(not state & REFUSED)
        if data:
            self.reader.feed_data(data)
        if state & ENDED:
            self.reader.feed_eof()

    def write(self, data: bytes) -> None:
        if self._open:
            self._lan.say(SEND, self.number, 0, bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._lan.say(CLOSE, self.number)


class ChipPort:
    """On the host, in the thread of the board's turns. reachable: whether its network is there."""

    def __init__(self, lan: Lan, name: str) -> None:
        self.reachable = True
        self._port = LanPort(lan, name, lambda: self.reachable, lambda: None)
        self._numbers: dict[int, int] = {}  # of the chip's numbers those of the port
        self._names: dict[int, int] = {}
        self._unsent: dict[int, deque[bytes]] = {}
        self._refused: list[Event] = []

    def do(self, commands: list[Command]) -> None:
        for number in list(self._unsent):
            self._send(number)
        for verb, number, port, data in commands:
            known = self._numbers.get(number)
            if verb in (OPEN, DATAGRAM):
                error, made, _, _ = self._port.command(verb, port if verb == OPEN else 0, port, data)
                if error:
                    if verb == OPEN:
                        self._refused.append((number, REFUSED, b""))
                else:
                    self._numbers[number], self._names[made] = made, number
            elif known is not None and verb == SEND:
                self._unsent.setdefault(number, deque()).append(data)
                self._send(number)
            elif known is not None:
                self._port.command(CLOSE, known, 0, b"")
                self._forget(number)

    def _send(self, number: int) -> None:
        waiting = self._unsent[number]
        while waiting:
            if self._port.command(SEND, self._numbers[number], 0, waiting[0])[0]:
                return  # its window is full, or it has ended, which an event tells
            waiting.popleft()
        del self._unsent[number]

    def _forget(self, number: int) -> None:
        self._names.pop(self._numbers.pop(number), None)
        self._unsent.pop(number, None)

    def events(self) -> list[Event]:
        found, self._refused = self._refused, []
        while changes := self._port.command(CHANGES, 0, 0, b"")[3]:
            for at in range(0, len(changes), 8):
                known = int.from_bytes(changes[at : at + 4], "little")
                state = int.from_bytes(changes[at + 4 : at + 8], "little")
                data = self._port.command(RECEIVE, known, _ALL, b"")[3]
                number = self._names.get(known)
                if number is not None:
                    found.append((number, state, data))
                    if state & (ENDED | REFUSED):
                        self._forget(number)
        return found

    def power_off(self) -> None:
        self._port.power_off()
        self._numbers.clear()
        self._names.clear()
        self._unsent.clear()
        self._refused.clear()
