"""aioble's contract: the same programs on the real aioble (Pico W) and on the unix board's, against a Bumble peer."""

import ast
import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from bumble import gatt
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, Peer
from bumble.hci import OwnAddressType

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build.libraries import device_libraries
from quaver.emulator.radio import Air, Path
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.pytest_plugin import Target
from tests.programs import program

SERVICE = "5a1d0001-8f5b-4f4e-9a43-2f0c3b1f6a11"
VALUE = "5a1d0002-8f5b-4f4e-9a43-2f0c3b1f6a11"
INBOX = "5a1d0003-8f5b-4f4e-9a43-2f0c3b1f6a11"
PRELUDE = program(__file__, "prelude", SERVICE=SERVICE, VALUE=VALUE, INBOX=INBOX)
SERVE = program(__file__, "serve")


@dataclass
class Radio:
    """A board of the target in an air of its own, and the peer that it meets there."""

    air: Air
    board: Board
    peer: Device

    def meet(self, code: str, other: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Any, Any]:
        """Run `code` on the board while the peer does `other`; what the program printed last, what `other` made."""
        done = self.air.start(other())
        said = self.run(code)
        return said, done.result(30)

    def run(self, code: str) -> Any:
        """What the program printed last, as a literal."""
        return ast.literal_eval(self.board.exec(PRELUDE + code, timeout=30).splitlines()[-1])


@pytest.fixture(scope="module")
def radio(board_target: Target) -> Iterator[Radio]:
    if not board_target.emulated:
        pytest.skip(f"{board_target}: a real board's radio is not in the virtual air")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Air(seed=11, path=Path(rssi=-57)) as air,
        open_board(
            board_target.where,
            Setup(
                files=device_libraries(load_board(board_target.board)),
                air=air,
                name="n1",
                broker_port=listener.getsockname()[1],
            ),
        ) as board,
    ):
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        yield Radio(air, board, air.device("peer", bytes.fromhex("280102030405")))


def _echo(listener: socket.socket) -> None:
    """Send back what the first guest sends."""
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)


async def find(radio: Radio) -> Any:
    """The first advertisement with its scan response."""
    seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def heard(found: Any) -> None:
        if found.data.get(AdvertisingData.Type.COMPLETE_LOCAL_NAME) and not seen.done():
            seen.set_result(found)

    radio.peer.on(Device.EVENT_ADVERTISEMENT, heard)
    await radio.peer.start_scanning(active=True, own_address_type=OwnAddressType.PUBLIC)
    found = await seen
    radio.peer.remove_listener(Device.EVENT_ADVERTISEMENT, heard)
    await radio.peer.stop_scanning()
    return found


async def visit(radio: Radio) -> tuple[Connection, Any, Any]:
    """Find the board, connect, discover; the connection and the two characteristics."""
    found = await find(radio)
    connection = await radio.peer.connect(found.address, own_address_type=OwnAddressType.PUBLIC)
    peer = Peer(connection)
    await peer.discover_services()
    [service] = peer.get_services_by_uuid(UUID(SERVICE))
    value, inbox = await service.discover_characteristics()
    return connection, value, inbox


def test_it_advertises_what_it_was_told(radio: Radio) -> None:
    code = program(__file__, "advertise")
    (late, (kind, address)), found = radio.meet(code, lambda: find(radio))
    assert late == "TimeoutError"
    assert (kind, address) == (0, bytes(found.address)[::-1])
    assert found.rssi == -57
    assert found.is_connectable
    fields = dict(found.data.ad_structures)
    assert fields == {
        0x01: b"\x06",
        0x07: bytes(UUID(SERVICE).uuid_bytes),
        0x09: b"pump",
        0x19: b"\x40\x05",
        0xFF: b"\x34\x12xy",
    }


def test_its_values_are_read_written_and_notified(radio: Radio) -> None:
    code = SERVE + program(__file__, "values")

    async def other() -> Any:
        connection, value, inbox = await visit(radio)
        before = await value.read_value()
        mtu = await Peer(connection).request_mtu(120)
        got: list[bytes] = []
        full = asyncio.Event()

        def take(data: bytes) -> None:
            got.append(data)
            if len(got) == 12:
                full.set()

        await value.subscribe(take)
        await inbox.write_value(bytes(range(100)), with_response=True)
        for number in range(3):
            await inbox.write_value(bytes([number]) * 5, with_response=False)
        await full.wait()
        after = await value.read_value()
        await connection.disconnect()
        return before, mtu, got, after

    (address, kind, mtu, same, data, more, still, own), (before, agreed, got, after) = radio.meet(code, other)
    assert (address, kind) == (bytes.fromhex("280102030405"), 0)
    assert mtu == agreed == 120
    assert same
    assert data == bytes(range(100))
    assert more == [bytes([n]) * 5 for n in range(3)]
    assert not still
    assert (before, after, own) == (b"first", b"second", b"second")
    assert got == [bytes([n]) * 117 for n in range(12)]  # in order, cut to what the MTU holds


def test_a_connection_that_ends_is_told_to_whoever_waits_on_it(radio: Radio) -> None:
    code = SERVE + program(__file__, "disconnected")

    async def other() -> None:
        connection, _, _ = await visit(radio)
        await asyncio.sleep(0.3)
        await connection.disconnect()

    said, _ = radio.meet(code, other)
    assert said == ("TimeoutError", "DeviceDisconnectedError", None, False)


class PeerValues:
    """What the peer serves, and what was written to it."""

    def __init__(self, radio: Radio) -> None:
        self.written: list[bytes] = []
        properties = gatt.Characteristic.Properties
        self.value = gatt.Characteristic(
            UUID(VALUE), properties.READ | properties.NOTIFY, gatt.Characteristic.READABLE, b"of the peer"
        )
        inbox = gatt.Characteristic(
            UUID(INBOX),
            properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
            gatt.Characteristic.WRITEABLE,
            gatt.CharacteristicValue(write=lambda connection, data: self.written.append(bytes(data))),
        )
        refused = gatt.Characteristic(
            UUID(SERVICE), properties.READ, gatt.Characteristic.READ_REQUIRES_ENCRYPTION, b"secret"
        )
        server = radio.peer.gatt_server
        if not any(service.uuid == UUID(SERVICE) for service in server.services):
            radio.peer.add_services([gatt.Service(UUID(SERVICE), [self.value, inbox, refused])])
        self._peer = radio.peer

    async def advertise(self) -> None:
        await self._peer.start_advertising(
            own_address_type=OwnAddressType.PUBLIC,
            advertising_data=b"\x02\x01\x06" + bytes((17, 7)) + UUID(SERVICE).uuid_bytes,
            scan_response_data=b"\x05\x09peer\x05\xff\x34\x12ab",
            advertising_interval_min=50,
            advertising_interval_max=50,
        )


def test_it_finds_connects_and_uses_a_peer(radio: Radio) -> None:
    code = program(__file__, "central")

    async def other() -> list[bytes]:
        values = PeerValues(radio)
        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(connection: Connection) -> None:
            connection.on(Connection.EVENT_DISCONNECTION, gone.set_result)

        radio.peer.once(Device.EVENT_CONNECTION, connected)
        await values.advertise()
        while b"now" not in values.written:
            await asyncio.sleep(0.05)
        for number in range(3):
            await asyncio.sleep(0.2)
            await radio.peer.notify_subscribers(values.value, bytes([number]) * 180)
        await gone
        return values.written

    said, written = radio.meet(code, other)
    seen, mtu, absent, data, refused, no_notify, notified, silence, up, after = said
    assert seen == (-57, [UUID(SERVICE).uuid_bytes], [(0x1234, b"ab")], 0, bytes.fromhex("280102030405"))
    assert (mtu, absent, data) == (185, None, b"of the peer")
    assert (refused, no_notify, silence) == ("GattError", "ValueError", "TimeoutError")
    assert notified == [bytes([n]) * 180 for n in range(3)]
    assert (up, after) == (True, False)
    assert written == [bytes(range(180)), b"now"]


def test_a_scan_ends_and_a_connect_that_timed_out_goes_on_until_it_is_cancelled(radio: Radio) -> None:
    code = program(__file__, "scan")
    said = [0, "Device(ADDR_PUBLIC, 28:01:02:03:04:99)", "TimeoutError", "OSError", "TimeoutError"]
    assert radio.run(code) == said


@pytest.mark.nightly_on("rp2040:")  # test_gateway.py has both on the ESP32-C3
def test_bluetooth_and_wifi_work_at_the_same_time(radio: Radio) -> None:
    code = SERVE + program(__file__, "wifi", host=radio.board.host_address)

    async def other() -> list[bytes]:
        connection, value, inbox = await visit(radio)
        got: list[bytes] = []
        full = asyncio.Event()

        def take(data: bytes) -> None:
            got.append(data)
            if len(got) == 5:
                full.set()

        await value.subscribe(take)
        await inbox.write_value(b"go", with_response=True)
        await full.wait()
        await connection.disconnect()
        return got

    said, got = radio.meet(code, other)
    assert said == (2500, False)
    assert got == [bytes([n]) * 20 for n in range(5)]
