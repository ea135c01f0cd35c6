"""A node that sleeps between its measurements: waking is no boot, an alarm goes at once, and nothing is lost."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.emulator.bus import Attached, SpiModel
from quaver.emulator.child_board import ChildBoard
from quaver.emulator.identity import Identity
from quaver.emulator.radio import Air
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.sensors import adxl345
from quaver.emulator.sensors.accelerometers import Accelerometer, interrupt
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.emulator.unix import UnixBoard
from quaver.fleet.link_keys import derive
from quaver.gateway.connection import AirPeer, LinkError, converse
from quaver.gateway.links import Link
from quaver.messages.sealing import Opened, Opener
from quaver_wire import gatt
from quaver_wire.fields import EVENTS

from .conftest import Client, signal
from .plant import NAMES

DEVICE_KEY = bytes(range(32))
INTERVAL_S = 20
RECORDS = 3
PATIENCE_S = 1200.0  # virtual
_NO_CUT = 1_000_000  # flash operations that no test comes to


class Keys:
    def device_keys(self, node_id: bytes) -> dict[int, bytes]:
        return {1: DEVICE_KEY}


class Gateway:
    """It visits the node whenever that has something; `took` has what it was given, and when."""

    def __init__(self, air: Air, node_id: bytes) -> None:
        self._link = Link("gw", derive(DEVICE_KEY, node_id, 1, "gw", 1))
        self._air = air
        self._scanner, self._client = backends(air.device("gateway", bytes.fromhex("280102030405")))
        self._opener = Opener(Keys())
        self.took: list[tuple[float, str, Opened]] = []
        self.listens = True
        air.start(self._run())

    async def _run(self) -> None:
        while True:
            device = await self._find()
            with contextlib.suppress(BleakError, LinkError):
                async with BleakClient(device, backend=self._client, services=[gatt.SERVICE]) as client:
                    await converse(AirPeer(client), self._link, self._take, unix_ms=lambda: 1_700_000_000_000)

    async def _find(self) -> Any:
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def heard(device: Any, advertisement: Any) -> None:
            about = gatt.parse_service_data(advertisement.service_data.get(gatt.SERVICE, b""))
            if self.listens and about is not None and about[1] & gatt.PENDING and not found.done():
                found.set_result(device)

        async with BleakScanner(heard, backend=self._scanner):
            return await found

    async def _take(self, message_class: str, payload: bytes) -> bool:
        opened = self._opener.open(message_class, payload)
        self.took.append((self._air.loop.time(), message_class, opened))
        return True

    def of(self, message_class: str) -> list[tuple[float, Opened]]:
        return [(at, opened) for at, kind, opened in self.took if kind == message_class]

    def events(self, name: str) -> list[tuple[float, Opened]]:
        return [(at, opened) for at, opened in self.of("event") if EVENTS[opened.record["code"]] == name]

    def until(self, wanted: Callable[[], Any]) -> Any:
        """Let time pass until `wanted()` is true."""

        async def wait() -> Any:
            end = self._air.loop.time() + PATIENCE_S
            while not (found := wanted()):
                assert self._air.loop.time() < end, [(at, kind, opened.record) for at, kind, opened in self.took[-5:]]
                await asyncio.sleep(0.5)
            return found

        return self._air.run(wait(), 400)

    def flash(self, board: UnixBoard | ChildBoard) -> int:
        """How many flash operations the board had since the last call; 0 at the first one."""

        async def count() -> int:  # in the thread that holds up the clock
            return board.cut_power(_NO_CUT, False, lambda: None)

        left = self._air.run(count())
        return left and _NO_CUT - left


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=4) as air:
        yield air


@pytest.fixture
def sleeper(air: Air) -> Iterator[Callable[..., tuple[Board, Gateway]]]:
    """Starts a node that sleeps, with an ADXL345 unless it is told another, and a gateway that visits it."""
    with contextlib.ExitStack() as stack:

        def start(where: str, part: SpiModel, *rig: Attached, **config: Any) -> tuple[Board, Gateway]:
            name = NAMES[where]
            power = {"sleep": True, "records": RECORDS, **config.pop("power", {})}
            whole = {
                "link": "ble",
                "interval_s": INTERVAL_S,
                "vibration": {"driver": "adxl345", "samples": 1024},
                "machine": {"learn": 2},
                "temperature": None,
                "energy": None,
                "power": power,
                **config,
            }
            key = json.dumps({"generation": 1, "key": DEVICE_KEY.hex()}).encode()
            files = {**firmware_files(name, whole), **device_libraries(load_board(name)), "device.key": key}
            identity = Identity.of_esp32("n1") if name == "esp32_c3" else Identity.of("n1")
            gateway = Gateway(air, identity.unique_id.rjust(8, b"\0"))
            parts = (Attached("part", "spi0", "spi0_cs", part), *rig)
            board = stack.enter_context(open_board(where, Setup(files=files, rig=parts, air=air, name="n1")))
            return board, gateway

        yield start


@pytest.mark.parametrize("where", ["unix:", pytest.param("esp32_c3:", marks=pytest.mark.nightly)])
@pytest.mark.slowest
def test_waking_is_no_boot_and_an_alarm_goes_at_once(where: str, sleeper: Callable[..., tuple[Board, Gateway]]) -> None:
    part = adxl345.ADXL345(signal("normal"))
    limits = {"limits": {"rms": [0.1, 0.14]}, "alarm": {"count": 2, "of": 3}}
    board, gateway = sleeper(where, part, **limits)
    gateway.flash(board)
    gateway.until(lambda: len(gateway.of("telemetry")) > RECORDS)
    assert gateway.flash(board)  # what it learned, and the seed of this start's random numbers
    gateway.until(lambda: len(gateway.of("telemetry")) > 3 * RECORDS)
    assert gateway.flash(board) == 0  # in two visits at least: no wake writes, not for random numbers either
    boots = gateway.events("boot")
    assert len(boots) == 1 and len(gateway.of("status")) == 1
    records = [opened for at, opened in gateway.of("telemetry")]
    assert board.console().count(b"node: quaver ") > len(records)  # it slept: each wake is a start
    assert {opened.boot for opened in records} == {1}
    assert sorted(opened.seq for _, kind, opened in gateway.took if kind != "status") == list(
        range(len(gateway.took) - 1)
    )  # no number twice, and none missing
    uptimes = [opened.record["uptime_ms"] for opened in records if "rms_g" in opened.record]
    late = [(a, b) for a, b in pairwise(uptimes[1:]) if not 0.9 < (b - a) / 1000 / INTERVAL_S < 1.1]
    told = [(opened.record["uptime_ms"], opened.record["quality"]) for opened in records]
    assert not late, f"{late} of {told}"
    apart = [after - before for (before, _), (after, _) in pairwise(gateway.of("telemetry"))]
    between = [gap for gap in apart if gap > INTERVAL_S / 2]  # the others are of one visit
    assert between and all(gap > (RECORDS - 1) * INTERVAL_S - 10 for gap in between[1:]), apart
    assert [opened.record["machine"] for opened in records if "machine" in opened.record][:2] == [1, 1]  # it learns on

    board.set_sensor("part", source=signal("or021_6"))  # two of three measurements agree, over a sleep between them
    at, alarm = gateway.until(lambda: [one for one in gateway.events("level") if one[1].record["event_level"] == 2])[0]
    assert alarm.record["uptime_ms"] / 1000 > at - 10  # it came when it was made, and not with the third measurement


@pytest.mark.nightly
def test_a_gateway_that_is_away_costs_no_record(air: Air, sleeper: Callable[..., tuple[Board, Gateway]]) -> None:
    _, gateway = sleeper("unix:", adxl345.ADXL345(signal("normal")))
    gateway.until(lambda: len(gateway.of("telemetry")) > RECORDS)
    gateway.listens = False

    async def away() -> None:
        await asyncio.sleep(6 * INTERVAL_S)

    air.run(away(), 400)
    gateway.listens = True
    before = len(gateway.of("telemetry"))
    gateway.until(lambda: len(gateway.of("telemetry")) > before + 7)
    told = sorted(opened.seq for _, kind, opened in gateway.took if kind != "status")
    assert told == list(range(len(told)))
    assert len(gateway.events("boot")) == 1


def test_a_reset_in_the_middle_is_a_boot_and_tells_what_memory_alone_had(
    sleeper: Callable[..., tuple[Board, Gateway]],
) -> None:
    board, gateway = sleeper("unix:", adxl345.ADXL345(signal("normal")))
    gateway.until(lambda: len(gateway.of("telemetry")) > RECORDS)
    last = max(opened.seq for _, kind, opened in gateway.took if kind != "status")

    async def nap() -> None:
        await asyncio.sleep(1.5 * INTERVAL_S)

    gateway._air.run(nap(), 100)
    board.reset()
    _, boot = gateway.until(lambda: gateway.events("boot")[1:])[0]
    assert boot.boot == 2
    lost = boot.record["lost_from"]
    assert lost[0] == 1 and lost[1] <= last + 1  # from there on records of boot 1 may be missing


def test_a_low_battery_says_so_and_measures_a_quarter_as_often(sleeper: Callable[..., tuple[Board, Gateway]]) -> None:
    """The unix board's ADC reads 1.65 V on every pin."""
    power = {"battery_pin": 26, "battery_ratio": 2.0, "low_v": 3.4, "battery_mah": 3000}
    _, gateway = sleeper("unix:", adxl345.ADXL345(signal("normal")), power=power)
    _, low = gateway.until(lambda: gateway.events("battery_low"))[0]
    assert (low.record["value"], low.record["limit"]) == (pytest.approx(3.3, abs=0.01), pytest.approx(3.4, abs=0.01))
    records = gateway.until(lambda: gateway.of("telemetry")[4:] and gateway.of("telemetry"))
    assert all(
        opened.record["battery_v"] == pytest.approx(3.3, abs=0.01) for _, opened in records if "rms_g" in opened.record
    )
    uptimes = [opened.record["uptime_ms"] for _, opened in records if "rms_g" in opened.record]
    assert uptimes[3] - uptimes[2] == pytest.approx(4 * INTERVAL_S * 1000, rel=0.1)
    assert len(gateway.events("battery_low")) == 1


@pytest.mark.nightly
def test_vibration_wakes_the_node_through_the_accelerometer(sleeper: Callable[..., tuple[Board, Gateway]]) -> None:
    """On the C3: the unix board's pins wake nobody."""
    part = Accelerometer("lis2dw12", Shaken(signal("normal")))
    config = {
        "interval_s": 3600,
        "vibration": {"driver": "lis2dw12", "samples": 2048},
        "power": {"records": 1, "wake_pin": 3, "wake_g": 8.0},
    }
    _, gateway = sleeper("esp32_c3:", part, interrupt(part, 3), **config)
    (first, _), (second, _) = gateway.until(lambda: gateway.of("telemetry")[1:] and gateway.of("telemetry")[:2])
    assert 60 < second - first < 90  # and not after the hour
    assert len(gateway.events("boot")) == 1


@pytest.mark.nightly
def test_a_pico_w_starts_its_radio_anew_for_each_visit_and_is_not_reset(
    sleeper: Callable[..., tuple[Board, Gateway]],
) -> None:
    """About one start in four waits for an event that has been, without the timer of hal.sleep."""
    _, gateway = sleeper("rp2040:", adxl345.ADXL345(signal("normal")), power={"records": 1})
    gateway.until(lambda: len(gateway.of("telemetry")) > 6)
    assert len(gateway.events("boot")) == 1


def test_a_radio_that_takes_long_to_start_is_looked_for_meanwhile() -> None:
    files = {path: data for path, data in firmware_files("pico_w").items() if path != "main.py"}
    with open_board("rp2040:", Setup(files=files)) as board:  # the one whose memory lives through its sleep
        looks = board.exec(
            "import time\nfrom hal import sleep\nlooks = []\n"
            "sleep.radio_on(lambda: time.sleep_ms(550), lambda: looks.append(0))\nprint(len(looks))"
        )
    assert int(looks) == 5


@pytest.mark.any_board
@pytest.mark.needs_radio
def test_over_wifi_a_node_joins_sends_and_says_goodbye(start_node: Callable[..., Board], client: Client) -> None:
    board = start_node(
        (Attached("adxl345", "spi0", "spi0_cs", adxl345.ADXL345(signal("normal"))),),
        {
            "interval_s": INTERVAL_S,
            "vibration": {"driver": "adxl345", "samples": 1024},
            "machine": {"learn": 2},
            "power": {"sleep": True, "records": 1},
        },
    )
    client.wait(lambda client: len(client.of("status")) > 2, "three visits")
    seen = [(topic.rpartition("/")[2], record) for topic, record in list(client.messages)]
    assert {record["state"] for leaf, record in seen if leaf == "status"} == {1}  # 0 is in the last will
    told = [record for leaf, record in seen if leaf != "status"]
    assert [record["seq"] for record in told] == list(range(len(told)))
    assert [EVENTS[record["code"]] for record in told if "code" in record].count("boot") == 1
    assert board.console().count(b"node: quaver ") > 3  # it slept: each wake is a start


class Shaken:
    """As another source, but a minute after it has begun to watch at 100 samples/s the part is shaken by 10 g."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> Any:
        if rate_hz > 100:
            return self._source.samples(capture, rate_hz, first, count)
        found = np.zeros((count, 3), np.float32)
        found[max(0, int(60 * rate_hz) - first) :, 2] = 10.0
        return found
