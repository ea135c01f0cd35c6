"""The Bluetooth link between node and gateway, both on the same kind of board."""

import asyncio
import contextlib
import json
import resource
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.emulator.radio import Air, Path
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.fleet.link_keys import LinkKey, board_file, derive
from quaver.gateway.connection import AirPeer, Collected, LinkError, converse
from quaver.gateway.links import Link
from quaver.pytest_plugin import Target
from quaver_wire import gatt
from tests.waiting import wait_for_words

from .plant import NAMES

PROGRAMS = FilePath(__file__).with_name("programs")
WHERE = ("unix:", "esp32_c3:")  # test_gateway.py has both ends on a Pico W
DEVICE_KEY = bytes(range(32))
N1 = b"\0\0\0\0\0\0n1"
TIMING = {"interval_ms": 200, "window_s": 4, "rest_s": 60, "visit_s": 30}


def key(node_id: bytes = N1, name: str = "gw", generation: int = 1) -> LinkKey:
    """A gateway's link key for a node of these tests."""
    return derive(DEVICE_KEY, node_id, 1, name, generation)


def firmware(board: str, program: str, **plan: Any) -> Mapping[str, bytes]:
    """The firmware with a program of these tests for its main.py."""
    return {
        **firmware_files(board),
        **device_libraries(load_board(board)),
        "main.py": (PROGRAMS / program).read_bytes(),
        "plan.json": json.dumps({"key": DEVICE_KEY.hex(), **plan}).encode(),
        "link.keys": board_file("gw", [key(), key(b"\0\0\0\0\0bad")]),
    }


def node(board: str, records: int, alarm_ms: int = 0) -> Mapping[str, bytes]:
    return firmware(board, "ble_node.py", id="n1", records=records, size=120, timing=TIMING, alarm_ms=alarm_ms)


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=4, path=Path(loss=0.05)) as air:
        yield air


def says(board: Board, words: bytes) -> list[str]:
    """The console's lines once it has shown `words`."""
    return wait_for_words(board, words).splitlines()


class Gateway:
    """A host gateway's way over bleak: it finds nodes and connects to them."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self.radio = air.device("gateway", bytes.fromhex("280102030405"))
        self._scanner, self._client = backends(self.radio)
        self.took: list[tuple[str, int, int]] = []

    async def store(self, message_class: str, payload: bytes) -> bool:
        self.took.append((message_class, payload[0], len(payload)))
        return True

    async def seek(self, state: int) -> tuple[Any, tuple[bytes, int, int]]:
        """The next advertisement that has one of these bits of the state."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def heard(device: Any, advertisement: Any) -> None:
            about = gatt.parse_service_data(advertisement.service_data.get(gatt.SERVICE, b""))
            if about is not None and about[1] & state and not found.done():
                found.set_result((device, about))

        async with BleakScanner(heard, backend=self._scanner):
            return await found  # type: ignore[no-any-return]

    async def collect_once(self, device: Any) -> None:
        """A connection that may fail on its way."""
        with contextlib.suppress(BleakError, LinkError):
            async with BleakClient(device, backend=self._client, services=[gatt.SERVICE]) as client:
                await converse(AirPeer(client), Link("gw", key()), self.store)

    async def collect(self, device: Any, commands: list[bytes]) -> Collected:
        while True:
            try:
                async with BleakClient(device, backend=self._client, services=[gatt.SERVICE]) as client:
                    return await converse(
                        AirPeer(client), Link("gw", key()), self.store, commands, unix_ms=lambda: 1_700_000_000_123
                    )
            except (BleakError, LinkError):  # the very first packet may be the one that is lost
                await asyncio.sleep(1)

    async def day(self) -> tuple[Any, ...]:
        device, first = await self.seek(gatt.PENDING)
        commands = [bytes([9]) * 300]
        one = await self.collect(device, commands)
        device, second = await self.seek(gatt.ALARM)
        seen = self._air.loop.time()
        two = await self.collect(device, commands)
        return first, one, second, two, self._air.loop.time() - seen


def processor_s() -> float:
    """Seconds of processor time of this process and of the ones that it has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def test_from_power_on_to_the_first_advertisement_takes_seconds(board_target: Target, air: Air) -> None:
    """Of real time, where the machine has time; others may be using this one, so it is the processor's that counts."""
    if not board_target.emulated:
        pytest.skip(f"{board_target}: a real board's radio is not in the virtual air")
    first = threading.Event()
    air.watch(lambda name, data, at: first.set())
    program = b"import asyncio, aioble\nasyncio.run(aioble.advertise(100_000, name='n1', timeout_ms=60_000))"
    files = {**device_libraries(load_board(board_target.board)), "main.py": program}
    began = processor_s()
    with open_board(board_target.where, Setup(files=files, air=air, name="n1")):
        assert first.wait(60)
    assert processor_s() - began < 12


# Behind another gateway, and with a whole node, a C3 is in test_gateway.py.
@pytest.mark.parametrize("where", ["unix:", pytest.param("esp32_c3:", marks=pytest.mark.nightly)])
def test_a_host_gateway_takes_what_waits_and_comes_for_an_alarm(air: Air, where: str) -> None:
    gateway = Gateway(air)
    files = node(NAMES[where], records=4, alarm_ms=4000)
    done = air.start(gateway.day())
    with open_board(where, Setup(files=files, air=air, name="n1")) as board:
        first, one, second, two, seconds = done.result(60)
        lines = says(board, b"done event 200")
    assert first == (N1, gatt.SECRET | gatt.PENDING, 4)
    assert one == Collected(records=6, size=60 + 4 * 120 + 301, commands=1)
    assert second == (N1, gatt.SECRET | gatt.PENDING | gatt.ALARM, 1)
    assert two == Collected(records=1, size=90)
    telemetry = [("telemetry", n, 120) for n in range(4)]
    assert gateway.took == [("status", 210, 60), *telemetry, ("answer", 100, 301), ("event", 200, 90)]
    assert "time 1700000000123" in lines
    assert [line for line in lines if line.startswith("done")] == [
        *(f"done telemetry {n}" for n in range(4)),
        "done answer 100",
        "done event 200",
    ]
    assert seconds < 5  # of virtual time, from the advertisement that shows it until it is handed over


@pytest.mark.parametrize("where", WHERE)
def test_a_gateway_on_micropython_collects_from_a_node(air: Air, where: str) -> None:
    gateway = firmware(NAMES[where], "ble_gateway.py", connections=1, command=300)
    with (
        open_board(where, Setup(files=node(NAMES[where], records=4), air=air, name="n1")) as one,
        open_board(where, Setup(files=gateway, air=air, name="gateway")) as other,
    ):
        lines = says(other, b"over")
        says(one, b"done answer 100")
        assert air.tally("n1").sent < 1300  # by the MTU of both; in chunks of 20 bytes it would be 1,500
    assert [line for line in lines if line.startswith(("found", "took", "collected", "refused"))] == [
        "found b'n1' 5 4",
        "took status 210 60",
        *(f"took telemetry {n} 120" for n in range(4)),
        "took answer 100 301",
        "collected 6",
    ]
