"""The Bluetooth link among peers that misbehave: each end says what it refused and goes on with the others."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from bleak import BleakClient
from bumble import gatt as bumble_gatt
from bumble.core import UUID
from bumble.device import Connection, Device, Peer
from bumble.hci import OwnAddressType

from quaver.emulator.radio import Air, Path
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.gateway.connection import AirPeer, LinkError, converse
from quaver.gateway.links import Link
from quaver_wire import chunks, gatt

from .plant import NAMES
from .test_bluetooth_link import Gateway, firmware, key, node, says

STRANGER = bytes.fromhex("2801020304aa")


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=8) as air:
        yield air


def message(data: bytes, size: int = chunks.SIZE_MAX) -> list[bytes]:
    buffer = bytearray(chunks.SIZE_MAX)
    return [bytes(buffer[:length]) for length in chunks.split(data, size, buffer)]


Write = Callable[[bytes], Any]
Prove = Callable[[], Any]  # the handshake of a gateway with a key; gives its session

# What a peer does to a node once it is connected, given its characteristic for the way down.


async def say_nothing(write: Write, prove: Prove) -> None:
    await asyncio.sleep(60)


async def send_garbage(write: Write, prove: Prove) -> None:
    await write(b"\x01\x02\x03\x04garbage")
    await asyncio.sleep(60)


async def be_an_old_gateway(write: Write, prove: Prove) -> None:
    await write(message(gatt.time_message(1))[0])
    await asyncio.sleep(60)


async def have_another_key(write: Write, prove: Prove) -> None:
    await write(message(Link("gw", key(name="else")).hello)[0])
    await write(message(gatt.time_message(1) + bytes(8))[0])
    await asyncio.sleep(60)


async def flood(write: Write, prove: Prove) -> None:
    for _ in range(2000):
        await write(message(gatt.time_message(1))[0])


async def acknowledge_everything(write: Write, prove: Prove) -> None:
    session = await prove()
    for number in range(100):
        await write(message(session.sign(gatt.ack(number)))[0])
    await asyncio.sleep(60)


async def acknowledge_without_a_tag(write: Write, prove: Prove) -> None:
    await prove()
    await write(message(gatt.ack(1) + bytes(8))[0])
    await asyncio.sleep(60)


async def give_what_is_not_wanted(write: Write, prove: Prove) -> None:
    session = await prove()
    await write(message(session.sign(gatt.content(0, bytes(200))))[0])
    await asyncio.sleep(60)


async def send_an_endless_message(write: Write, prove: Prove) -> None:
    await write(b"\x80\xff\xff" + bytes(200))
    await asyncio.sleep(60)


STRANGERS = (say_nothing, send_garbage, be_an_old_gateway, have_another_key, flood, send_an_endless_message)
TRAITORS = (acknowledge_everything, acknowledge_without_a_tag, give_what_is_not_wanted)


@pytest.mark.parametrize(
    ("misbehave", "where"),
    [
        *((do, "unix:") for do in (*STRANGERS, *TRAITORS)),
        (flood, "esp32_c3:"),  # which has few buffers for what comes
    ],
)
def test_a_node_ends_a_bad_connection_and_keeps_its_records(
    air: Air, misbehave: Callable[[Write, Prove], Coroutine[Any, Any, None]], where: str
) -> None:
    gateway = Gateway(air)
    _, client = backends(air.device("stranger", STRANGER))
    said: list[bytes] = []

    async def main() -> float:
        device, _ = await gateway.seek(gatt.PENDING)
        began = air.loop.time()
        gone = asyncio.Event()
        async with BleakClient(device, lambda _: gone.set(), backend=client, services=[gatt.SERVICE]) as stranger:
            up = stranger.services.get_characteristic(gatt.UPLINK)
            down = stranger.services.get_characteristic(gatt.DOWNLINK)
            assert up is not None and down is not None
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            assembler = chunks.Assembler()

            def hear(_: object, data: bytearray) -> None:
                if (whole := assembler.feed(bytes(data))) is not None:
                    said.append(whole)
                    heard.put_nowait(whole)

            async def prove() -> Any:
                way = Link("gw", key())
                await write(message(way.hello)[0])
                session = way.answered(await heard.get())
                await write(message(session.sign(gatt.time_message(1)))[0])
                await heard.get()
                return session

            def write(data: bytes) -> Any:
                return stranger.write_gatt_char(down, data, response=False)

            await stranger.start_notify(up, hear)
            doing = asyncio.ensure_future(misbehave(write, prove))
            await gone.wait()
            doing.cancel()
        seconds = air.loop.time() - began
        device, _ = await gateway.seek(gatt.PENDING)
        await gateway.collect(device, [])
        return seconds

    files = node(NAMES[where], records=3)
    done = air.start(main())
    with open_board(where, Setup(files=files, air=air, name="n1")) as board:
        seconds = done.result(60)
        lines = says(board, b"done telemetry 2")
    assert any(line.startswith("ble: connection ended: ") for line in lines)
    assert [number for _, number, _ in gateway.took] == [210, 0, 1, 2]
    if misbehave in STRANGERS:
        # the connection, and what BTstack takes to end it; of all that the node says, its challenge tells nothing
        assert seconds < 1.5 and {whole[0] for whole in said} <= {gatt.CHALLENGE}
    else:
        assert seconds < 12 and [whole[0] for whole in said] == [gatt.CHALLENGE, gatt.RECORD_CLASSES.index("status")]


class BadNode:
    """A Bumble device that advertises as a node does and then behaves as `behave(notify)` does."""

    def __init__(
        self,
        air: Air,
        behave: Callable[[Callable[[bytes], Any]], Coroutine[Any, Any, None]] | None,
        name: str = "bad node",
        address: bytes = STRANGER,
        node_id: bytes = b"\0\0\0\0\0bad",
    ) -> None:
        self.device = air.device(name, address)
        self._id = node_id
        self._behave = behave
        self._air = air
        properties = bumble_gatt.Characteristic.Properties
        self._up = bumble_gatt.Characteristic(UUID(gatt.UPLINK), properties.NOTIFY, 0, b"")
        down = bumble_gatt.Characteristic(
            UUID(gatt.DOWNLINK),
            properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
            bumble_gatt.Characteristic.WRITEABLE,
            bumble_gatt.CharacteristicValue(write=self._written),
        )
        if behave is not None:
            self.device.add_services([bumble_gatt.Service(UUID(gatt.SERVICE), [self._up, down])])
        self._begun = False

    def _written(self, connection: Connection, data: bytes) -> None:
        if not self._begun and self._behave is not None:
            self._begun = True

            def notify(data: bytes) -> Any:
                return self.device.gatt_server.notify_subscriber(connection, self._up, data, force=True)

            self._doing = asyncio.ensure_future(self._behave(notify))

    async def advertise(self, again: bool = False) -> None:
        """again: and once more after each connection."""
        data = bytearray(gatt.ADVERTISEMENT)
        gatt.put_advertisement(data, self._id, gatt.SECRET | gatt.PENDING | gatt.ALARM, 9)
        await self.device.start_advertising(
            own_address_type=OwnAddressType.PUBLIC,
            advertising_data=bytes(data),
            advertising_interval_min=400,
            advertising_interval_max=400,
            auto_restart=again,
        )


async def stay_silent(notify: Callable[[bytes], Any]) -> None:
    return None


async def notify_garbage(notify: Callable[[bytes], Any]) -> None:
    await notify(b"\xff" * 20)


async def claim_an_unknown_kind(notify: Callable[[bytes], Any]) -> None:
    await notify(message(b"\x77\0\1records")[0])


async def flood_with_chunks(notify: Callable[[bytes], Any]) -> None:
    for count in range(5000):
        await notify(b"\x80\x02\x00" + bytes(17) if not count else bytes((count & 0x3F,)) + b"x")


BAD = {
    "no service": (None, "no service|it is not a node"),
    "silence": (stay_silent, "does not answer"),
    "garbage": (notify_garbage, "protocol"),
    "unknown kind": (claim_an_unknown_kind, "prove"),
    "flood": (flood_with_chunks, "protocol|faster"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_host_gateway_ends_a_bad_connection_with_the_reason(air: Air, kind: str) -> None:
    behave, reason = BAD[kind]
    bad = BadNode(air, behave)
    gateway = Gateway(air)

    async def main() -> float:
        await bad.advertise()
        device, _ = await gateway.seek(gatt.ALARM)
        async with BleakClient(device, backend=gateway._client) as client:
            began = air.loop.time()
            with pytest.raises(LinkError, match=reason):
                await converse(AirPeer(client), Link("gw", key()), gateway.store)
            return air.loop.time() - began

    assert air.run(main()) < 10
    assert gateway.took == []


@pytest.mark.parametrize(("kind", "where"), [*((kind, "unix:") for kind in BAD), ("flood", "esp32_c3:")])
def test_a_micropython_gateway_ends_a_bad_connection_and_goes_on(air: Air, kind: str, where: str) -> None:
    behave, reason = BAD[kind]
    bad = BadNode(air, behave)

    async def main() -> None:
        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        bad.device.once(
            Device.EVENT_CONNECTION, lambda connection: connection.on(Connection.EVENT_DISCONNECTION, gone.set_result)
        )
        await bad.advertise()
        await gone

    done = air.start(main())
    gateway = firmware(NAMES[where], "ble_gateway.py", connections=2, command=0)
    with open_board(where, Setup(files=gateway, air=air, name="gateway")) as board:
        done.result(60)
        with open_board("unix:", Setup(files=node("unix", records=2), air=air, name="n1")):
            lines = says(board, b"over")
    [refused] = [line for line in lines if line.startswith("refused: ")]
    assert any(words in refused for words in reason.split("|")), refused
    assert lines[-3:] != [] and "collected 3" in lines


def test_what_a_lost_connection_interrupts_comes_again_and_nothing_is_missed(air: Air) -> None:
    gateway = Gateway(air)

    async def main() -> None:
        device, _ = await gateway.seek(gatt.PENDING)
        cut = asyncio.get_running_loop().call_later(1.5, air.link.set_path, "n1", "gateway", Path(in_range=False))
        await gateway.collect_once(device)
        assert cut.when() < air.loop.time()
        await asyncio.sleep(3)
        air.link.set_path("n1", "gateway", Path(loss=0.2))
        while gateway.took[-1][1] != 39:
            device, _ = await gateway.seek(gatt.PENDING)
            await gateway.collect(device, [])

    done = air.start(main())
    with open_board("unix:", Setup(files=node("unix", records=40), air=air, name="n1")) as board:
        done.result(60)
        says(board, b"done telemetry 39")
    numbers = [number for message_class, number, _ in gateway.took if message_class == "telemetry"]
    assert sorted(set(numbers)) == list(range(40))
    assert len(numbers) <= 42  # one whose acknowledgement was lost comes twice
    assert numbers == sorted(numbers)


def test_a_node_that_restarts_is_missed_and_found_again(air: Air) -> None:
    gateway = Gateway(air)

    async def connect() -> Connection:
        device, _ = await gateway.seek(gatt.PENDING)
        return await gateway.radio.connect(device.details[1], own_address_type=OwnAddressType.PUBLIC)

    async def reason(connection: Connection) -> int:
        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.on(Connection.EVENT_DISCONNECTION, gone.set_result)
        return await gone

    async def again() -> int:
        device, _ = await gateway.seek(gatt.PENDING)
        return (await gateway.collect(device, [])).records

    with open_board("unix:", Setup(files=node("unix", records=2), air=air, name="n1")) as board:
        connection = air.run(connect())
        ended = air.start(reason(connection))
        board.reset()
        assert ended.result(30) in (0x08, 0x13)  # by supervision; or it hung up by itself before the reset came
        assert air.run(again()) == 5  # a status, those of before the restart, which the journal kept, and the new ones


def test_boards_outlive_their_air() -> None:
    with Air(seed=1) as air:
        board = open_board("unix:", Setup(files=node("unix", records=2), air=air, name="n1"))
        says(board, b"")
    board.stop()
    assert board.alive() is not None


def test_a_peer_without_the_service_is_told_apart(air: Air) -> None:
    """A plain Bumble device in the same air is nobody to a gateway."""
    other = air.device("plain", STRANGER)
    gateway = Gateway(air)

    async def main() -> list[Any]:
        await other.start_advertising(own_address_type=OwnAddressType.PUBLIC, advertising_data=b"\x02\x01\x06")
        seen: list[Any] = []
        seeking = asyncio.ensure_future(gateway.seek(gatt.PENDING | gatt.ALARM))
        await asyncio.sleep(5)
        seen.append(seeking.done())
        seeking.cancel()
        connection = await gateway.radio.connect(other.public_address, own_address_type=OwnAddressType.PUBLIC)
        seen.append(len(await Peer(connection).discover_services()))
        return seen

    assert air.run(main()) == [False, 2]
