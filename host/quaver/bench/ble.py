"""What the Bluetooth link carries and what it costs: throughput, time with the radio on, bytes a day, battery life.

The node's link is the firmware's, on an emulated board; the gateway's is the host's, over bleak. Times are virtual, and
the air is quaver.emulator.radio's: LE 1M, PDUs up to 251 bytes, no loss. On unix the node's own computing takes no
time, on rp2040 it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quaver.bench import Figure
from quaver.board.guest import guest
from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.files.pinned import Progress
from quaver_wire import chunks, gatt

if TYPE_CHECKING:
    from bleak import BleakClient

    from quaver.emulator.radio import Air
    from quaver.fleet.link_keys import LinkKey
    from quaver.gateway.connection import Collected

_GATEWAY = bytes.fromhex("280000000001")
_NAME = "bench"
DEVICE_KEY = bytes(32)  # of every node in a bench
_RECORD = 120  # bytes of a sealed telemetry record with some features
_RECORDS = 50
_NOTIFICATIONS = 60
_HOUR_S = 3600
_NODES = 32
_CONNECTIONS_S = 60.0
_DAY = 24


@dataclass(frozen=True)
class Currents:
    """Stated, not measured: mA with the radio on (beside awake), awake, and at rest; the battery in mAh.

    The defaults are an RP2040 at 125 MHz with its radio, and two AA lithium cells through a regulator. At rest the node
    is awake: it waits, and its processor does not sleep.
    """

    radio_ma: float = 40.0
    awake_ma: float = 25.0
    rest_ma: float = 25.0
    battery_mah: float = 3000.0


@dataclass(frozen=True)
class Timing:
    """How a node uses its radio: as [ble] of its configuration has it. measure_s: a record every so often."""

    interval_ms: int = 500
    window_s: int = 4
    rest_s: int = 56
    measure_s: int = 60


def run_ble(
    board: str,
    step: Callable[[str], None],
    progress: Progress | None,
    timing: Timing | None = None,
    currents: Currents | None = None,
) -> list[Figure]:
    """All figures on "unix" or "rp2040". step: told what is measured now. Raises BoardError, RadioError."""
    timing = timing or Timing()
    step("the largest notifications, as fast as they go")
    figures = [_burst(board, progress)]
    step("records, one by one and acknowledged")
    figures += _records(board, progress)
    step("the link's secret")
    figures += _secret(board, progress)
    step(f"a gateway among {_NODES} nodes")
    figures += connections()
    step("an hour of advertising, handing over and rest")
    return figures + _hour(timing, currents or Currents())


def _start(board: str, progress: Progress | None, air: Air, plan: dict[str, Any], station: str = "node") -> Board:
    name = {"unix": "unix", "rp2040": "pico_w"}[board]
    whole = {"records": 0, "size": _RECORD, "interval_s": 0, "burst": 0, "heap": False, "id": "00" * 8, **plan}
    whole.setdefault("timing", {"interval_ms": 100, "window_s": 60, "rest_s": 1, "visit_s": 60})
    files: Mapping[str, bytes] = {
        **firmware_files(name),
        "main.py": guest(__file__, "ble_node").encode(),
        "plan.json": json.dumps(whole).encode(),
    }
    setup = Setup(files=files, air=air, name=station)
    if board == "rp2040":
        from quaver.emulator.rp2040 import Rp2040Board

        return Rp2040Board(setup, progress)
    return open_board("unix:", setup)


def _key(node_id: bytes = bytes(8)) -> LinkKey:
    from quaver.fleet.link_keys import derive

    return derive(DEVICE_KEY, node_id, 1, _NAME, 1)


class Gateway:
    """The host's end. It stores in memory, which takes no time, and counts; a node gives a status once a day."""

    def __init__(self, air: Air) -> None:
        from quaver.emulator.radio.bleak_backend import backends

        self.air = air
        self.device = air.device("gateway", _GATEWAY)
        self.scanner, self.client = backends(self.device)
        self.records = 0

    async def find(self, state: int) -> Any:
        """The next node that advertises one of these bits; 0 for anybody."""
        from bleak import BleakScanner

        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def heard(device: Any, advertisement: Any) -> None:
            about = gatt.parse_service_data(advertisement.service_data.get(gatt.SERVICE, b""))
            if not found.done() and (not state or (about is not None and about[1] & state)):
                found.set_result(device)

        async with BleakScanner(heard, backend=self.scanner):
            return await found

    def connect(self, device: Any) -> BleakClient:
        from bleak import BleakClient

        return BleakClient(device, backend=self.client, services=[gatt.SERVICE])

    async def collect(self, client: BleakClient, node_id: bytes = bytes(8)) -> Collected:
        """node_id: by default that of the guest program."""
        from quaver.gateway.connection import AirPeer, converse
        from quaver.gateway.links import Link

        return await converse(AirPeer(client), Link(_NAME, _key(node_id)), self.store)

    async def store(self, message_class: str, payload: bytes) -> bool:
        self.records += message_class != "status"
        return True


def _run(
    board: str, progress: Progress | None, plan: dict[str, Any], work: Callable[[Gateway], Coroutine[Any, Any, Any]]
) -> Any:
    from quaver.emulator.radio import Air

    with Air(seed=1) as air:
        gateway = Gateway(air)
        done = air.start(work(gateway))
        with _start(board, progress, air, plan):
            return done.result(300)


def _burst(board: str, progress: Progress | None) -> Figure:
    async def work(gateway: Gateway) -> float:
        loop = gateway.air.loop
        times: list[float] = []
        full = asyncio.Event()

        def heard(_characteristic: Any, _data: bytearray) -> None:
            times.append(loop.time())
            if len(times) == _NOTIFICATIONS:
                full.set()

        async with gateway.connect(await gateway.find(0)) as client:
            up = client.services.get_characteristic(gatt.UPLINK)
            down = client.services.get_characteristic(gatt.DOWNLINK)
            assert up is not None and down is not None  # our own firmware
            await client.start_notify(up, heard)
            await client.write_gatt_char(down, b"go", response=False)
            await full.wait()
        return (_NOTIFICATIONS - 1) * chunks.SIZE_MAX / (times[-1] - times[0])

    rate = _run(board, progress, {"burst": _NOTIFICATIONS}, work)
    limit = "limit: the air, with 6 packets of 2.5 ms in each connection event of 15 ms"
    if rate < 0.9 * 6 * chunks.SIZE_MAX / 0.015:
        limit = "limit: the node's processor, which has not filled the 6 packets of a connection event of 15 ms"
    return Figure("notifications of 244 bytes at an MTU of 247", round(rate), "byte/s", note=limit)


def _records(board: str, progress: Progress | None) -> list[Figure]:
    async def work(gateway: Gateway) -> tuple[float, float, float]:
        loop = gateway.air.loop
        device = await gateway.find(gatt.PENDING)
        began = loop.time()
        async with gateway.connect(device) as client:
            ready = loop.time()
            found = await gateway.collect(client)
            over = loop.time()
        assert gateway.records == _RECORDS
        return ready - began, (over - ready) * _RECORDS / found.records, loop.time() - over

    before, during, after = _run(board, progress, {"records": _RECORDS}, work)
    note = "limit: the acknowledgement; a record and its ACK take one connection event of 15 ms each"
    return [
        Figure(f"records of {_RECORD} bytes, each acknowledged", round(_RECORDS / during, 1), "record/s", note=note),
        Figure("  the same", round(_RECORDS * _RECORD / during), "byte/s", note=note),
        Figure("connecting and discovering", round(before, 2), "s"),
        Figure(
            "connections with one record, one after the other",
            round(60 / (before + 2 * during / _RECORDS + after)),
            "/min",
        ),
    ]


class _Timed:
    """A gateway's proof, and how long it takes: from its first byte until both have proved the link key."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        from quaver.gateway.links import Link

        self._way = Link(_NAME, _key())
        self._loop = loop
        self._began = self.took_s = 0.0

    @property
    def hello(self) -> bytes:
        self._began = self._loop.time()
        return self._way.hello

    def answered(self, message: bytes) -> Any:
        session = self._way.answered(message)
        self.took_s = self._loop.time() - self._began
        return session


def _secret(board: str, progress: Progress | None) -> list[Figure]:
    """What greeting takes, of time and of the node's heap, and how long a peer without a key holds a connection."""
    from bleak import BleakClient

    from quaver.emulator.radio import Air
    from quaver.gateway.connection import AirPeer, converse

    async def greet(gateway: Gateway) -> float:
        async with gateway.connect(await gateway.find(gatt.PENDING)) as client:
            way: Any = _Timed(gateway.air.loop)
            await converse(AirPeer(client), way, gateway.store, records=2)  # the node's status, and one
        return float(way.took_s)

    async def hold(gateway: Gateway) -> float:
        gone = asyncio.Event()
        device = await gateway.find(0)
        async with BleakClient(
            device, lambda _: gone.set(), backend=gateway.client, services=[gatt.SERVICE], timeout=30
        ):
            began = gateway.air.loop.time()
            await gone.wait()
            return gateway.air.loop.time() - began

    held = _run(board, progress, {"records": 1}, hold)
    took = _run(board, progress, {"records": 2}, greet)
    heap: dict[str, int] = {}
    with Air(seed=1) as air:
        gateway = Gateway(air)
        with _start(board, progress, air, {"records": 9, "heap": True}) as node:
            for _ in range(3):  # what the first one leaves behind is there at rest
                air.run(greet(gateway), 300)
            for line in node.console().decode().splitlines():
                if line.startswith("secret "):
                    heap[line.split()[1]] = int(line.split()[2])
    goal = 4096 if board == "rp2040" else None  # words of other boards are longer, or code is not used in flash
    rest = heap["rest"]
    return [
        Figure("greeting, until both have proved the link key", round(1000 * took, 1), "ms", goal=60),
        Figure("  heap that the secret takes at rest", rest, "byte", goal, note="modules that stay"),
        Figure("  in a connection", rest + heap["connection"], "byte", goal, note="with those of rest"),
        Figure("  while greeting", rest + heap["greeting"], "byte", goal, note="with modules that are dropped then"),
        Figure("a peer that proves no link key holds a connection", round(held, 2), "s", goal=1),
    ]


def connections(board: str = "unix") -> list[Figure]:
    """A gateway's firmware on a board, among unix nodes that always have something; one record a connection.

    board: "unix", which has one connection at a time as a Pico W, or "esp32_c3".
    """
    from quaver.board.spec import load_board
    from quaver.build.libraries import device_libraries
    from quaver.emulator.radio import Air
    from quaver.fleet.link_keys import board_file

    timing = {"interval_ms": 250, "window_s": 3600, "rest_s": 0, "visit_s": 30}
    ids = [number.to_bytes(8, "big").hex() for number in range(1, _NODES + 1)]
    config = {"role": "gateway", "watchdog_s": 0, "gateway": {"nodes": dict.fromkeys(ids), "records": 1}}
    spec = load_board(board)
    keys = board_file(_NAME, [_key(bytes.fromhex(name)) for name in ids])
    files = {**firmware_files(board, config), **device_libraries(spec), "link.keys": keys}

    async def wait(air: Air, seconds: float) -> None:
        until = air.loop.time() + seconds
        while air.loop.time() < until:
            await asyncio.sleep(0.25)

    with Air(seed=1) as air, contextlib.ExitStack() as stack:
        for number, name in enumerate(ids):
            plan = {"records": 100, "timing": timing, "id": name}
            stack.enter_context(_start("unix", None, air, plan, f"node{number}"))
        gateway = stack.enter_context(open_board(f"{board}:", Setup(files=files, air=air, name="gateway")))
        air.run(wait(air, _CONNECTIONS_S), 300)
        told = [line.split()[1] for line in gateway.console().decode().splitlines() if " gave " in line]
    note = (
        f"limit: {'listening' if spec.silicon.connections > 1 else 'one connection at a time'}; each has 0.3 s of "
        "listening before, the node's next advertisement, and half a second to discover its service, one connection "
        "event for each question"
    )
    late = "the others' turn had not come within the minute"
    return [
        Figure(
            f"connections of a gateway with {_NODES} nodes, one record each",
            round(60 * len(told) / _CONNECTIONS_S),
            "/min",
            note=note,
        ),
        Figure("  nodes among them", len(set(told)), "", note=late if len(set(told)) < _NODES else ""),
    ]


def _hour(timing: Timing, currents: Currents) -> list[Figure]:
    plan = {
        "interval_s": timing.measure_s,
        "timing": {
            "interval_ms": timing.interval_ms,
            "window_s": timing.window_s,
            "rest_s": timing.rest_s,
            "visit_s": 30,
        },
    }

    async def work(gateway: Gateway) -> tuple[Any, int]:
        loop = gateway.air.loop
        while loop.time() < _HOUR_S:
            device = await gateway.find(gatt.PENDING)
            async with gateway.connect(device) as client:
                await gateway.collect(client)
        return gateway.air.link.settled("node"), gateway.records

    tally, records = _run("unix", None, plan, work)
    cycle = timing.window_s + timing.rest_s
    # A visit ends a window early; the longest a node can be awake is counted.
    awake = min(1.0, timing.window_s / cycle) * _HOUR_S + tally.connected_s
    average = (
        tally.radio_s * currents.radio_ma
        + awake * currents.awake_ma
        + (_HOUR_S - min(awake, _HOUR_S)) * currents.rest_ma
    ) / _HOUR_S
    stated = (
        f"with {currents.radio_ma:g} mA for the radio, {currents.awake_ma:g} mA awake, {currents.rest_ma:g} mA at rest "
        f"and {currents.battery_mah:g} mAh, all stated; what measuring takes is not in it, and this node does not sleep"
    )
    habit = (
        f"advertising every {timing.interval_ms} ms for {timing.window_s} s, then {timing.rest_s} s of rest; "
        f"a record of {_RECORD} bytes every {timing.measure_s} s"
    )
    return [
        Figure("records handed over a day", records * _DAY, "", note=habit),
        Figure("bytes on connections a day, both ways", (tally.sent + tally.received) * _DAY, "byte", note=habit),
        Figure("radio on a day", round(tally.radio_s * _DAY, 1), "s", note=habit),
        Figure("average current", round(average, 2), "mA", note=stated),
        Figure("battery life", round(currents.battery_mah / average / _DAY, 1), "days", note=stated),
    ]
