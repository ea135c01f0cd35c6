"""A network in virtual time: the sockets of emulated boards, and the services that they reach.

    with Lan(clock, seed=7) as lan:
        lan.serve(1883, make_protocol)           # as loop.create_server calls it: returns an asyncio.Protocol
        board = open_board("unix:", Setup(files=…, lan=lan, name="pump-1"))
        lan.set_way("pump-1", Way(loss=0.2))

One site: each address is this network's one host, and a service is its port. What is sent arrives `latency_s` later, in
order; a packet that is lost comes when TCP would have sent it again (RFC 6298: after 1 s, then twice as long each
time). A board that loses its power says nothing more, and its peers find out by their own time-outs, as on a real
network. Choices are drawn by the sender's name and count, so the same run is the same again.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from quaver.emulator.clock import Clock
from quaver.emulator.clock_loop import ClockThread
from quaver.errors import NetworkError

Service = Callable[[], asyncio.Protocol]
Answer = Callable[[bytes, float], bytes | None]

OPEN, SEND, RECEIVE, CLOSE, CHANGES, DATAGRAM = range(1, 7)  # what a guest asks; also in unix_shim/quaver_lan.py
READABLE, CONNECTED, ENDED, REFUSED = 1, 2, 4, 8  # the states of a socket, as CHANGES tells them
_ECONNRESET, _EAGAIN, _EHOSTUNREACH = 104, 11, 113
_CLOSED = "the network was closed: open it again"
_WINDOW = 1 << 16  # bytes that wait for a guest, or for its peer, before more is refused for now
_RESEND_S = 1.0  # RFC 6298, section 2.1
_RESEND_MAX_S = 60.0  # and 2.5
_CHANGES_MAX = 256


@dataclass(frozen=True)
class Way:
    """Between a board and the site's network, in both directions. loss: the probability that a packet is lost."""

    loss: float = 0.0
    latency_s: float = 0.002

    def __post_init__(self) -> None:
        if not 0.0 <= self.loss < 1.0:
            raise ValueError("loss is a probability below 1: set a board's Wi-Fi absent for a way that carries nothing")
        if self.latency_s < 0:
            raise ValueError("latency_s can't be negative")


class Lan:
    """clock: whose time it lives in. seed: of every random choice. May be called from any thread but its own."""

    def __init__(self, clock: Clock, *, seed: int = 0) -> None:
        self.clock = clock
        self._seed = seed
        self._thread = ClockThread(clock, "network", _CLOSED, NetworkError)
        self.loop = self._thread.loop
        self._services: dict[int, Service] = {}
        self._answers: dict[int, Answer] = {}
        self._ways: dict[str, Way] = {}
        self.run = self._thread.run
        self.start = self._thread.start
        self.post = self._thread.post
        self.call = self._thread.call

    def serve(self, port: int, service: Service | None) -> None:
        """What makes the protocol, in the network's thread, of each connection to `port`; None: they are refused."""
        if service is None:
            self._services.pop(port, None)
        else:
            self._services[port] = service

    def answer(self, port: int, answer: Answer) -> None:
        """UDP: answer(datagram, seconds of virtual time) returns the reply, or None."""
        self._answers[port] = answer

    def set_way(self, name: str, way: Way) -> None:
        """The way of the board of this name, from now on."""
        self._ways[name] = way

    def close(self) -> None:
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _way(self, name: str) -> Way:
        return self._ways.get(name) or Way()


class LanPort:
    """One board's place in a network. name: the board's. reachable: whether its radio carries packets now.

    on_event: called in the network's thread when a socket's state changed. The rest is for the board's thread.
    """

    def __init__(self, lan: Lan, name: str, reachable: Callable[[], bool], on_event: Callable[[], None]) -> None:
        self.lan = lan
        self.name = name
        self.reachable = reachable
        digest = hashlib.sha256(f"{lan._seed} {name}".encode()).digest()
        self.random = random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - a seeded simulation
        self._on_event = on_event
        self._lock = threading.Lock()
        self._sockets: dict[int, _Socket] = {}
        self._changed: dict[int, None] = {}
        self._count = 0

    @property
    def pending(self) -> bool:
        return bool(self._changed)

    def command(self, verb: int, number: int, count: int, data: bytes) -> tuple[int, int, int, bytes]:
        """Do one command; returns (errno or 0, value, second value, data)."""
        if verb == CHANGES:
            return 0, 0, 0, self._changes()
        if verb == OPEN:
            if not self.reachable():
                return _EHOSTUNREACH, 0, 0, b""
            self._count += 1
            made = self._sockets[self._count] = _Socket(self, self._count)
            self.lan.post(made.open, number)
            return 0, self._count, 0, b""
        if verb == DATAGRAM:
            return self._datagram(number, count, data)
        found = self._sockets.get(number)
        if found is None:
            return _ECONNRESET, 0, 0, b""
        if verb == SEND:
            return found.take(data)
        if verb == RECEIVE:
            with self._lock:
                part = bytes(found.received[:count])
                del found.received[:count]
                return 0, len(part), len(found.received), part
        if verb == CLOSE:
            self._sockets.pop(number, None)
            self._changed.pop(number, None)
            self.lan.post(found.close)
        return 0, 0, 0, b""

    def power_off(self) -> None:
        """The board was reset or lost its power: its peers hear nothing more of it."""
        with self._lock:
            sockets, self._sockets = self._sockets, {}
            self._changed.clear()
        for one in sockets.values():
            one.silent = True

    def _changes(self) -> bytes:
        """(number, state) of each socket that changed, 32 bits each."""
        with self._lock:
            told = b""
            for number in list(self._changed)[:_CHANGES_MAX]:
                del self._changed[number]
                told += number.to_bytes(4, "little") + self._sockets[number].state.to_bytes(4, "little")
            return told

    def _datagram(self, number: int, port: int, data: bytes) -> tuple[int, int, int, bytes]:
        if not self.reachable():
            return _EHOSTUNREACH, 0, 0, b""
        if not number:
            self._count += 1
            number = self._count
            self._sockets[number] = _Socket(self, number)
        self.lan.post(self._sockets[number].ask, port, data)
        return 0, number, 0, b""

    # In the network's thread.

    def tell(self, one: _Socket, state: int, data: bytes = b"") -> None:
        """The socket's new state, and what has arrived with it."""
        with self._lock:
            if self._sockets.get(one.number) is not one:
                return
            one.received += data
            one.state |= state
            self._changed[one.number] = None
        self._on_event()


class _Socket:
    """One connection: the guest's side is `received` and `state`, its peer's an asyncio transport."""

    def __init__(self, port: LanPort, number: int) -> None:
        self.port = port
        self.number = number
        self.state = 0
        self.received = bytearray()
        self.silent = False  # the board is gone without a word
        self._out = 0  # bytes on their way to the peer
        self._transport: _Transport | None = None
        self.up = _Direction(self)
        self.down = _Direction(self)

    def take(self, data: bytes) -> tuple[int, int, int, bytes]:
        """Called in the board's thread: what the guest sends."""
        if self.state & (ENDED | REFUSED):
            return _ECONNRESET, 0, 0, b""
        if self._out + len(data) > _WINDOW:
            return _EAGAIN, 0, 0, b""
        self._out += len(data)
        self.port.lan.post(self.up.carry, self._arrived, data)
        return 0, len(data), 0, b""

    def open(self, port: int) -> None:
        self.up.carry(self._reach, port)

    def _reach(self, port: int) -> None:
        service = self.port.lan._services.get(port)
        if service is None:
            self.down.carry(self.port.tell, self, REFUSED)
            return
        protocol = service()
        self._transport = _Transport(self, protocol)
        self.down.carry(self.port.tell, self, CONNECTED)
        protocol.connection_made(self._transport)

    def _arrived(self, data: bytes) -> None:
        self._out -= len(data)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.protocol.data_received(data)

    def close(self) -> None:
        self.up.carry(self._ended)

    def _ended(self) -> None:
        if self._transport is not None:
            self._transport.lost()

    def ask(self, port: int, data: bytes) -> None:
        """A datagram: it goes once, and is lost when it is lost."""
        self.up.once(self._asked, port, data)

    def _asked(self, port: int, data: bytes) -> None:
        answer = self.port.lan._answers.get(port)
        reply = answer(data, self.port.lan.loop.time()) if answer else None
        if reply is not None:
            self.down.once(self.port.tell, self, READABLE, reply)


class _Direction:
    """One direction of a connection, in the network's thread: everything arrives once, late or not, in order."""

    def __init__(self, one: _Socket) -> None:
        self._one = one
        self._port = one.port
        self._queue: deque[tuple[float, Callable[..., None], tuple[Any, ...]]] = deque()
        self._last = 0.0
        self._moves = False
        self._tries = 0

    def carry(self, arrive: Callable[..., None], *about: Any) -> None:
        way = self._port.lan._way(self._port.name)
        late = way.latency_s
        wait = _RESEND_S
        while self._port.random.random() < way.loss:
            late += wait
            wait = min(2 * wait, _RESEND_MAX_S)
        self._last = max(self._last, self._port.lan.loop.time() + late)
        self._queue.append((self._last, arrive, about))
        if not self._moves:
            self._moves = True
            self._port.lan.loop.call_at(self._last, self._move)

    def once(self, arrive: Callable[..., None], *about: Any) -> None:
        way = self._port.lan._way(self._port.name)
        if self._port.random.random() >= way.loss and self._port.reachable():
            self._port.lan.loop.call_later(way.latency_s, arrive, *about)

    def _move(self) -> None:
        loop = self._port.lan.loop
        if self._one.silent:
            self._queue.clear()
            return
        if not self._port.reachable():  # TCP tries again, ever more seldom
            loop.call_later(min(_RESEND_S * 2**self._tries, _RESEND_MAX_S), self._move)
            self._tries = min(self._tries + 1, 6)
            return
        self._tries = 0
        while self._queue and self._queue[0][0] <= loop.time():
            _, arrive, about = self._queue.popleft()
            arrive(*about)
        self._moves = bool(self._queue)
        if self._moves:
            loop.call_at(self._queue[0][0], self._move)


class _Transport(asyncio.Transport):
    """The peer's end, as asyncio's protocols want it."""

    def __init__(self, one: _Socket, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": (one.port.name, one.number)})
        self.protocol = protocol
        self._one = one
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing and data:
            self._one.down.carry(self._one.port.tell, self._one, READABLE, bytes(data))

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._one.down.carry(self._one.port.tell, self._one, ENDED)
            self.lost()

    def abort(self) -> None:
        self.close()

    def lost(self) -> None:
        """The connection is over for the peer."""
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)
