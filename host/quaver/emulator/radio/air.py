"""One virtual air: stations join it by name, and every station's radio lives in one thread and one time.

    with Air(seed=7) as air:
        board = open_board("unix:", Setup(files=…, air=air))
        air.set_path("n1", "gateway", Path(loss=0.2))

Boards join through their Setup; `device` makes a Bumble device for a test or a host program; `listen` opens an HCI
endpoint over TCP for any other emulator or host stack. All share `air.clock`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from quaver.emulator.clock import Clock
from quaver.emulator.clock_loop import ClockThread
from quaver.emulator.radio.path import Path, Tally
from quaver.errors import RadioError

if TYPE_CHECKING:
    from bumble.device import Device

    from quaver.emulator.radio.controller import RadioController

_T = TypeVar("_T")
_CLOSED = "the air was closed: open it again"


class Station:
    """One controller in the air and the line to its host. Made by `Air.station`; call from any thread."""

    def __init__(self, air: Air, name: str, address: bytes, to_host: Callable[[bytes], None]) -> None:
        self.name = name
        self.address = address
        self._air = air
        self._to_host = to_host
        self._controller: RadioController | None = None
        self._on_since: float | None = None
        air._call(self._enter)

    def _enter(self) -> None:
        self._controller = self._air._controller(self.name, self.address, _Sink(self._to_host))

    def send(self, packet: bytes) -> None:
        """One HCI packet from the host, its H4 type byte first."""
        self._air.post(self._send, packet)

    def _send(self, packet: bytes) -> None:
        if self._controller is not None:
            if self._on_since is None:
                self._on_since = self._air.loop.time()
            self._controller.on_packet(packet)

    def quiet(self) -> None:
        """The radio lost power: no advertisement, no connection, and peers hear nothing of it."""
        self._air.post(self._quiet)

    def _quiet(self) -> None:
        if self._controller is not None:
            self._controller.quiet()
        if self._on_since is not None:
            self._air.link.tally(self.name).on_s += self._air.loop.time() - self._on_since
            self._on_since = None

    def close(self) -> None:
        """Leave the air. May be called twice."""
        with contextlib.suppress(RadioError):
            self._air._call(self._leave)

    def _leave(self) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            self._air._remove(controller)


class _Sink:
    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def on_packet(self, packet: bytes) -> None:
        self._take(packet)


class Air:
    """clock: whose time it lives in; by default one of its own, as fast as can be.

    seed: of every random choice on the air. path: what lies between two stations of which nothing else is said.
    Each method may be called from any thread but the air's own, unless it says otherwise.
    """

    def __init__(self, clock: Clock | None = None, *, seed: int = 0, path: Path | None = None) -> None:
        from quaver.emulator.radio.link import RadioLink  # imports Bumble
        from quaver.emulator.radio.unlogged import spare

        spare()
        self.clock = clock or Clock()
        self._thread = ClockThread(self.clock, "air", _CLOSED, RadioError)
        self.loop = self._thread.loop
        self.link = RadioLink(seed, path or Path())
        self._names: set[str] = set()
        self._servers: list[asyncio.Server] = []

    def post(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Have `work` called in the air's thread at the present moment. Nothing happens once the air is closed."""
        self._thread.post(work, *arguments)

    def _call(self, work: Callable[[], _T]) -> _T:
        return self._thread.call(work)

    def start(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Run a coroutine in the air; the future takes its result or its exception. Raises RadioError."""
        return self._thread.start(coroutine)

    def run(self, coroutine: Coroutine[Any, Any, _T], timeout: float | None = 60.0) -> _T:
        """Run a coroutine in the air and return its result; `timeout` is in real seconds. Raises RadioError."""
        return self._thread.run(coroutine, timeout)

    def station(self, name: str, address: bytes, to_host: Callable[[bytes], None]) -> Station:
        """A controller for a host that speaks HCI: a board's firmware, another emulator.

        address: its public address, 6 bytes as written (most significant first). to_host: called in the air's
        thread with each HCI packet. Raises RadioError when the name is taken.
        """
        return Station(self, name, address, to_host)

    def device(self, name: str, address: bytes) -> Device:
        """A Bumble device, powered on; use it in coroutines that `run` runs."""
        return self.run(self.make_device(name, address))

    async def make_device(self, name: str, address: bytes) -> Device:
        """The same, in the air's thread."""
        from bumble.device import Device
        from bumble.hci import Address
        from bumble.host import Host

        controller = self._controller(name, address, None)
        own = Address(address[::-1], Address.PUBLIC_DEVICE_ADDRESS)
        device = Device(name, address=own, host=Host(controller, controller))
        await device.power_on()
        return device

    def set_path(self, one: str, other: str, path: Path) -> None:
        """What lies between two stations from now on."""
        self._call(lambda: self.link.set_path(one, other, path))

    def tally(self, name: str) -> Tally:
        """What the station's radio has done so far."""
        return self._call(lambda: Tally(**vars(self.link.settled(name))))

    def watch(self, watcher: Callable[[str, bytes, float], None]) -> None:
        """Have `watcher(station, advertising data, seconds)` called, in the air's thread, at each advertisement."""
        self._call(lambda: self.link.watchers.append(watcher))

    def listen(self, port: int = 0) -> int:
        """Open an HCI endpoint on the loopback; returns its port. Each connection is a new station "hciN".

        It speaks H4, as Bumble's `tcp-client:` and Zephyr's and Android's emulators do. Such a peer keeps real
        time: use a clock that does. Its address is C0:FF:EE:00:00:N until it sets a random one.
        """
        return self.run(self._listen(port))

    async def _listen(self, port: int) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(n for n in range(1, 1 << 16) if f"hci{n}" not in self._names)
        address = bytes.fromhex("c0ffee00") + number.to_bytes(2, "big")
        controller = self._controller(f"hci{number}", address, _Sink(writer.write))
        try:
            while packet := await _read_h4(reader):
                controller.on_packet(packet)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._remove(controller)
            writer.close()

    def close(self) -> None:
        """All stations fall silent, and boards that are still in the air are no longer held up by it."""
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # In the air's thread.

    def _controller(self, name: str, address: bytes, sink: Any) -> RadioController:
        from bumble.hci import Address

        from quaver.emulator.radio.controller import RadioController

        if name in self._names:
            raise RadioError(f"the air already has a station {name!r}: give each board a name of its own")
        self._names.add(name)
        controller = RadioController(name, self.link, Address(address[::-1], Address.PUBLIC_DEVICE_ADDRESS))
        controller.set_packet_sink(sink)
        return controller

    def _remove(self, controller: RadioController) -> None:
        controller.quiet()
        controller.set_packet_sink(None)
        self.link.remove_controller(controller)
        self._names.discard(controller.name)


async def _read_h4(reader: asyncio.StreamReader) -> bytes:
    """One HCI packet; empty at the end of the stream, or where it is no longer H4 (Core 5.4, Vol 4, Part A, 2)."""
    kind = await reader.read(1)
    if kind == b"\x01":  # command: opcode, length
        head = await reader.readexactly(3)
        return kind + head + await reader.readexactly(head[2])
    if kind == b"\x02":  # ACL data: handle, 16-bit length
        head = await reader.readexactly(4)
        return kind + head + await reader.readexactly(int.from_bytes(head[2:4], "little"))
    return b""
