"""The link's secret in the air: whoever alters, replays, interrupts or has another name gets and does nothing."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bleak import BleakClient
from bleak.exc import BleakError

from quaver.emulator.radio import Air
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.gateway.connection import AirPeer, LinkError, UnprovenError, converse
from quaver.gateway.links import Link
from quaver_wire import chunks, gatt

from .test_bluetooth_link import TIMING, Gateway, firmware, key, says

_KIND = 3  # of the first chunk of a message, behind the chunk's head
NOW = 1_700_000_000_123

Alter = Callable[[bytes], list[bytes]]
"""What becomes of a chunk on its way."""


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=5) as air:
        yield air


def faithful(chunk: bytes) -> list[bytes]:
    return [chunk]


def flipped(kind: int, place: int) -> Alter:
    """One bit of the first byte behind `place` of messages of that kind; of a negative one, before the end."""

    def alter(chunk: bytes) -> list[bytes]:
        if chunk[_KIND] != kind:
            return [chunk]
        altered = bytearray(chunk)
        altered[place if place < 0 else _KIND + place] ^= 1
        return [bytes(altered)]

    return alter


def doubled(kind: int) -> Alter:
    return lambda chunk: [chunk, chunk] if chunk[_KIND] == kind else [chunk]


def taken_away(chunk: bytes) -> list[bytes]:
    """A record that does not reach the gateway."""
    return [] if chunk[_KIND] == gatt.RECORD_CLASSES.index("telemetry") else [chunk]


class Middle:
    """Sits between a gateway and its node: a bleak client that does with each chunk what it wants."""

    def __init__(self, client: BleakClient, down: Alter = faithful, up: Alter = faithful) -> None:
        self._client = client
        self._down = down
        self._up = up
        self.written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def start_notify(self, characteristic: Any, heard: Callable[..., None]) -> None:
        def hear(of: Any, data: bytearray) -> None:
            for chunk in self._up(bytes(data)):
                heard(of, bytearray(chunk))

        await self._client.start_notify(characteristic, hear)

    async def write_gatt_char(self, characteristic: Any, data: bytes, response: bool) -> None:
        self.written.append(data)
        for chunk in self._down(data):
            await self._client.write_gatt_char(characteristic, chunk, response=response)


TELEMETRY = gatt.RECORD_CLASSES.index("telemetry")
ALTERED: dict[str, tuple[Alter, Alter]] = {
    "the gateway's name": (flipped(gatt.HELLO, 20), faithful),
    "the gateway's nonce": (flipped(gatt.HELLO, 5), faithful),
    "the node's nonce": (faithful, flipped(gatt.CHALLENGE, 1)),
    "the time": (flipped(gatt.TIME, 3), faithful),
    "the time's tag": (flipped(gatt.TIME, -1), faithful),
    "a second time": (doubled(gatt.TIME), faithful),
    "a record": (faithful, flipped(TELEMETRY, 40)),
    "a record's number": (faithful, flipped(TELEMETRY, 2)),
    "a record taken away": (faithful, taken_away),
    "an acknowledgement's number": (flipped(gatt.ACK, 2), faithful),
    "an acknowledgement's tag": (flipped(gatt.ACK, -1), faithful),
    "a second acknowledgement": (doubled(gatt.ACK), faithful),
}


class Node:
    """A gateway's view of the one node, and a stranger's."""

    def __init__(self, air: Air) -> None:
        self.gateway = Gateway(air)
        self._air = air
        self._stranger = backends(air.device("stranger", bytes.fromhex("2801020304aa")))[1]

    async def through(self, way: Link | None = None, down: Alter = faithful, up: Alter = faithful) -> list[bytes]:
        """Collect through somebody in the middle; returns what the gateway wrote."""
        device, _ = await self.gateway.seek(gatt.PENDING)
        async with BleakClient(device, backend=self.gateway._client, services=[gatt.SERVICE]) as client:
            middle = Middle(client, down, up)
            await converse(AirPeer(middle), way or Link("gw", key()), self.gateway.store, unix_ms=lambda: NOW)  # type: ignore[arg-type]
            return middle.written

    async def replay(self, written: list[bytes]) -> tuple[float, list[int]]:
        """Say to the node what a gateway once wrote; returns the seconds until it ends that, and the kinds it said."""
        device, _ = await self.gateway.seek(gatt.SECRET)
        loop = self._air.loop
        began = loop.time()
        said: list[int] = []
        assembler = chunks.Assembler()
        gone = asyncio.Event()

        def hear(_: object, data: bytearray) -> None:
            if (message := assembler.feed(bytes(data))) is not None:
                said.append(message[0])

        async with BleakClient(device, lambda _: gone.set(), backend=self._stranger, services=[gatt.SERVICE]) as client:
            await client.start_notify(gatt.UPLINK, hear)
            try:
                for chunk in written:
                    await client.write_gatt_char(gatt.DOWNLINK, chunk, response=True)
            except BleakError:
                pass  # it has hung up
            await gone.wait()
        return loop.time() - began, said

    async def interrupted(self) -> None:
        """Greet the node, and leave before anything is proved."""
        device, _ = await self.gateway.seek(gatt.PENDING)
        async with BleakClient(device, backend=self.gateway._client, services=[gatt.SERVICE]) as client:
            answered = asyncio.Event()
            await client.start_notify(gatt.UPLINK, lambda *_: answered.set())
            buffer = bytearray(chunks.SIZE_MAX)
            for length in chunks.split(Link("gw", key()).hello, chunks.SIZE_MAX, buffer):
                await client.write_gatt_char(gatt.DOWNLINK, bytes(buffer[:length]), response=True)
            await answered.wait()


def test_whoever_alters_replays_or_interrupts_takes_no_record_and_sets_no_time(air: Air) -> None:
    node = Node(air)
    files = firmware("unix", "ble_node.py", id="n1", records=3, size=120, timing={**TIMING, "rest_s": 1}, alarm_ms=0)

    async def attack() -> dict[str, str]:
        ended = {}
        for what, (down, up) in ALTERED.items():
            with pytest.raises(LinkError) as raised:
                await node.through(None, down, up)
            ended[what] = str(raised.value)
        for way in (Link("another", key()), Link("gw", key(generation=2)), Link("gw", key(name="another"))):
            if way.hello[3] == 2:  # of another key, for all that it says of its generation
                way.hello = way.hello[:3] + b"\1" + way.hello[4:]
            with pytest.raises(UnprovenError):
                await node.through(way)
        with pytest.raises(LinkError):
            await node.through(None, faithful, flipped(gatt.END, 0))
        return ended

    with open_board("unix:", Setup(files=files, air=air, name="n1")) as board:
        ended = air.run(attack(), 400)
        before = says(board, b"")
        # The first acknowledgement that came as it was sent is the one that was sent twice.
        assert [line for line in before if line.startswith("done")] == [f"done telemetry {n}" for n in range(3)]
        assert {line for line in before if line.startswith("time")} <= {f"time {NOW}"}
        board.reset()
        air.run(node.interrupted(), 60)
        board.reset()
        written = air.run(node.through(), 100)
        for _ in range(2):  # the second time after the node's power was cut
            seconds, said = air.run(node.replay(written), 60)
            assert seconds < 1.5 and said == [gatt.CHALLENGE]
            board.reset()
        lines = says(board, b"")
    numbers = [number for message_class, number, size in node.gateway.took if message_class == "telemetry"]
    assert set(numbers) == {0, 1, 2} and all(size == 120 for name, _, size in node.gateway.took if name == "telemetry")
    assert {line for line in lines if line.startswith("time")} == {f"time {NOW}"}
    assert any("refused wrong_link_key" in line for line in lines), lines
    assert ended["the node's nonce"].startswith("the node does not prove the link key")
    assert ended["a record"].startswith("the node does not follow the protocol (a tag that does not fit)")
