"""The ESP32-C3's Bluetooth where its stack meets the controller of the air: both roles, credit, disconnections."""

import ast
import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from bumble import gatt
from bumble.core import UUID
from bumble.device import Connection, Device, Peer
from bumble.hci import OwnAddressType

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build.libraries import device_libraries
from quaver.emulator.esp32c3.radio import Credit
from quaver.emulator.radio import Air, Path
from quaver.emulator.radio.controller import RadioConnection, RadioController
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from tests.programs import program

from .test_bluetooth import INBOX, PRELUDE, SERVE, SERVICE, VALUE

HELPERS = PRELUDE + SERVE + program(__file__, "prelude")
BUFFERS = RadioController.total_num_le_acl_data_packets


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=13) as air:
        yield air


@pytest.fixture
def board(air: Air) -> Iterator[Board]:
    files = device_libraries(load_board("esp32_c3"))
    with open_board("esp32_c3:", Setup(files=files, air=air, name="n1")) as board:
        yield board


@pytest.fixture
def peer(air: Air) -> Device:
    return air.device("peer", bytes.fromhex("280102030405"))


def meet(air: Air, board: Board, code: str, other: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Any, Any]:
    """Run `code` on the board while its peers do `other`; what the program printed last, what `other` made."""
    done = air.start(other())
    said = ast.literal_eval(board.exec(HELPERS + code, timeout=60).splitlines()[-1])
    return said, done.result(60)


async def visit(device: Device, mtu: int = 247) -> tuple[Connection, Any, Any]:
    """Find the board, connect, discover; the connection and the board's two characteristics."""
    seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def heard(found: Any) -> None:
        if found.is_connectable and not seen.done() and bytes(found.address)[::-1][:3] == b"\x7c\xdf\xa1":
            seen.set_result(found.address)

    device.on(Device.EVENT_ADVERTISEMENT, heard)
    await device.start_scanning(own_address_type=OwnAddressType.PUBLIC)
    address = await seen
    device.remove_listener(Device.EVENT_ADVERTISEMENT, heard)
    await device.stop_scanning()
    connection = await device.connect(address, own_address_type=OwnAddressType.PUBLIC)
    peer = Peer(connection)
    await peer.request_mtu(mtu)
    await peer.discover_services()
    [service] = peer.get_services_by_uuid(UUID(SERVICE))
    value, inbox = await service.discover_characteristics()
    return connection, value, inbox


async def gone(connection: Connection) -> int:
    """The reason for which the connection ends."""
    reason: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    connection.on(Connection.EVENT_DISCONNECTION, reason.set_result)
    return await reason


def test_it_serves_one_peer_while_it_uses_another(air: Air, board: Board, peer: Device) -> None:
    other = air.device("other", bytes.fromhex("280102030406"))
    written: list[bytes] = []
    properties = gatt.Characteristic.Properties
    up = gatt.Characteristic(
        UUID(VALUE), properties.READ | properties.NOTIFY, gatt.Characteristic.READABLE, bytes(range(250)) * 2
    )
    down = gatt.Characteristic(
        UUID(INBOX),
        properties.WRITE,
        gatt.Characteristic.WRITEABLE,
        gatt.CharacteristicValue(write=lambda connection, data: written.append(bytes(data))),
    )
    other.add_services([gatt.Service(UUID(SERVICE), [up, down])])

    async def serves() -> list[bytes]:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        other.once(Device.EVENT_CONNECTION, lambda link: link.on(Connection.EVENT_DISCONNECTION, ended.set_result))
        await other.start_advertising(
            own_address_type=OwnAddressType.PUBLIC, advertising_data=b"\x02\x01\x06\x06\x09other"
        )
        while not written:
            await asyncio.sleep(0.05)
        for number in range(6):
            await other.notify_subscribers(up, bytes([number]) * 244)
            await asyncio.sleep(0.1)  # aioble keeps one
        await ended
        return written

    async def uses() -> list[bytes]:
        connection, value, inbox = await visit(peer)
        got: list[bytes] = []
        await value.subscribe(got.append)
        await inbox.write_value(bytes(244), with_response=True)
        while len(got) < 12 or not written:
            await asyncio.sleep(0.05)
        await asyncio.sleep(5)  # the other connection ends meanwhile
        await connection.disconnect()
        return got

    async def both() -> Any:
        return await asyncio.gather(serves(), uses())

    said, (theirs, got) = meet(air, board, program(__file__, "roles"), both)
    assert said == (244, 247, [(244, n) for n in range(6)], 246, (True, True), (True, False), False)
    assert theirs == [bytes(244)]
    assert got == [bytes([n]) * 244 for n in range(12)]


def test_it_fills_the_controllers_buffers_and_no_more_and_gets_them_back(
    air: Air, board: Board, peer: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst; one that a lost connection cuts off; and one after it, which has all of the buffers again."""
    count, held, most = 60, 0, [0]
    sent, carried, lost = RadioConnection.on_hci_acl_data_packet, RadioController.carried, RadioController._connected

    def send(connection: Any, packet: Any) -> None:
        nonlocal held
        if connection.controller.name == "n1":
            held += 1
            most[-1] = max(most[-1], held)
        sent(connection, packet)

    def carry(controller: Any, connection: Any) -> None:
        nonlocal held
        held -= controller.name == "n1"
        carried(controller, connection)

    def connect(controller: Any, *arguments: Any) -> None:
        nonlocal held
        if controller.name == "n1":
            held = 0  # those of a lost connection are gone with it
        lost(controller, *arguments)

    monkeypatch.setattr(RadioConnection, "on_hci_acl_data_packet", send)
    monkeypatch.setattr(RadioController, "carried", carry)
    monkeypatch.setattr(RadioController, "_connected", connect)

    async def burst(breaks: bool) -> tuple[list[int], float]:
        connection, value, inbox = await visit(peer)
        got: list[int] = []
        ended = asyncio.ensure_future(gone(connection))
        await value.subscribe(lambda data: got.append(int.from_bytes(data[:2], "big")))
        await inbox.write_value(b"go", with_response=True)
        began = air.loop.time()
        while len(got) < (count // 3 if breaks else count):
            await asyncio.sleep(0.01)
        seconds = air.loop.time() - began
        if breaks:
            air.link.set_path("n1", "peer", Path(in_range=False))
            await ended
            air.link.set_path("n1", "peer", Path())
        else:
            await connection.disconnect()
        most.append(0)
        return got, seconds

    async def other() -> list[tuple[list[int], float]]:
        return [await burst(breaks) for breaks in (False, True, False)]

    told, bursts = meet(air, board, program(__file__, "burst", count=count, peers=3), other)
    assert told[1] is None
    for number in (0, 2):
        got, seconds = bursts[number]
        assert got == list(range(count))
        assert 2 < most[number] <= BUFFERS
        assert count / seconds > 2 * 1 / 0.03  # several in a connection event
    assert bursts[1][0] == list(range(len(bursts[1][0])))


def test_the_credit_is_what_the_controller_has_buffers_for() -> None:
    credit = Credit()
    assert not credit.came(bytes.fromhex("040e0701022000fb0002"))  # LE Read Buffer Size: two of 251 bytes
    acl = [bytes((2, handle, 0x20, 1, 0, 0)) for handle in (1, 2)]
    assert credit.sent(b"\x01\x03\x0c\x00")  # a command needs none
    assert credit.sent(acl[0]) and credit.sent(acl[1])
    assert not credit.sent(acl[0])  # a host that does not count: the third stays in its hands
    assert not credit.came(bytes.fromhex("04130501050001 00"))  # of another connection
    assert credit.came(bytes.fromhex("04130501010001 00"))
    assert not credit.sent(acl[1])
    assert credit.came(bytes.fromhex("040504000200 13"))  # its connection has ended, and two are free
    assert credit.sent(acl[0])


def test_what_an_advertiser_says_anew_is_heard_in_the_same_scan(air: Air, board: Board, peer: Device) -> None:
    """A node that has an alarm is not to wait for the next one."""

    async def other() -> None:
        [own] = [station for station in air.link.controllers if station.name == "n1"]
        while not own.le_scan_enable:
            await asyncio.sleep(0.05)
        for number in range(4):
            data = b"\x02\x01\x06\x04\xff\x34\x12" + bytes([number])
            await peer.stop_advertising()
            await peer.start_advertising(own_address_type=OwnAddressType.PUBLIC, advertising_data=data)
            await asyncio.sleep(1)

    said, _ = meet(air, board, program(__file__, "scan"), other)
    assert said == [bytes([number]) for number in range(4)]


def test_a_connection_ends_once_whoever_ends_it(air: Air, board: Board, peer: Device) -> None:
    ends = ["peer", "board", "both", "peer"]

    async def other() -> list[int]:
        reasons = []
        for end in ends:
            connection, _, inbox = await visit(peer)
            ended = asyncio.ensure_future(gone(connection))
            await inbox.write_value(b"now", with_response=end == "peer")
            if end != "board":
                await connection.disconnect()
            reasons.append(await ended)
        return reasons

    told, reasons = meet(air, board, program(__file__, "ends", ends=ends), other)
    assert told == [(None, False)] * 4
    assert reasons[:2] == [0x16, 0x13] and reasons[2] in (0x13, 0x16) and reasons[3] == 0x16
