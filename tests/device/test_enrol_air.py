"""A blank node that is reached over Bluetooth alone: sessions, Improv Wi-Fi, and peers that want no good."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path as FilePath
from random import Random
from typing import Any

import improv_ble_client.client as improv
import pytest
from bleak import BleakClient, BleakScanner
from bleak_retry_connector import BleakClientWithServiceCache
from bumble import gatt as bumble_gatt
from bumble.core import UUID
from bumble.device import Connection
from bumble.hci import OwnAddressType
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from improv_ble_client.errors import ProvisioningFailed
from improv_ble_client.protocol import SERVICE_UUID, Capabilities, Error, State

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.cli import main
from quaver.emulator.radio import Air, Path
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import RadioError
from quaver.fleet.inventory import Inventory
from quaver.provision.bluetooth import SCHEME, Bluetooth
from quaver.provision.identity import new_code
from quaver.provision.session import MustWait, Refused, Session, WrongCode
from quaver.pytest_plugin import Target
from quaver_wire import chunks, gatt_session
from quaver_wire import session as wire
from quaver_wire.hkdf import hmac
from tests.terminal import Person

from .conftest import PATIENCE_S
from .plant import NAMES
from .test_node import rig

CODE = new_code()


@pytest.fixture
def air() -> Iterator[Air]:
    with Air(seed=7, path=Path(loss=0.02)) as air:
        yield air


def blank(air: Air, broker_port: int | None = None, where: str = "unix:", **config: Any) -> Board:
    libraries = device_libraries(load_board(NAMES[where]))
    files = {**firmware_files(NAMES[where], config), **libraries, "session.code": CODE.encode()}
    return open_board(where, Setup(files=files, air=air, name="n1", broker_port=broker_port, rig=rig()))


def bluetooth(air: Air) -> Bluetooth:
    scanner, client = backends(air.device("laptop", bytes.fromhex("280102030405")))
    return Bluetooth(air.start, {"backend": scanner}, {"backend": client})


def test_wrong_codes_over_the_air_are_slowed_limited_and_reported(air: Air) -> None:
    with blank(air):
        radio = bluetooth(air)
        ((where, (identity, enrolled)),) = radio.find().items()
        assert not enrolled
        transport = radio.open(where)
        pauses = []
        for _ in range(6):
            with pytest.raises(WrongCode):
                Session(transport, new_code(), identity)
            with pytest.raises(MustWait) as wait:
                Session(transport, CODE, identity)  # the right one neither, before it is time
            pauses.append(wait.value.seconds)
            air.run(asyncio.sleep(pauses[-1]))
        # the limit is of the board's time, which goes on while this machine thinks
        assert all(1 <= seconds <= 2 for seconds in pauses[:4])
        assert 20 <= pauses[4] <= 30 and 40 <= pauses[5] <= 60
        session = Session(transport, CODE, identity)
        assert session.request("about")["wrong_codes"] == 6
        transport.close()


def test_a_connection_that_breaks_does_not_end_the_session(air: Air) -> None:
    with blank(air):
        radio = bluetooth(air)
        ((where, (identity, _)),) = radio.find().items()
        transport = radio.open(where)
        session = Session(transport, CODE, identity)
        air.set_path("n1", "laptop", Path(in_range=False))
        air.run(asyncio.sleep(20))  # the supervision timeout is over on both ends
        air.set_path("n1", "laptop", Path())
        key = {"config": {"node": "n1"}, "key": "5a" * 32, "generation": 1}
        assert session.request("stage", key) == hmac(b"\x5a" * 32, b"quaver key check")[:8].hex()
        with pytest.raises(Refused, match="not of the staged key"):
            session.request("commit", {"check": "00" * 8})
        transport.close()


@pytest.mark.each_chip
@pytest.mark.nightly_on("rp2040:", "esp32_c3:")  # a C3 takes its network over the air below, and sends behind a gateway
@pytest.mark.needs_radio
def test_from_blank_to_the_first_record_over_bluetooth_in_one_command(
    board_target: Target,
    air: Air,
    mosquitto: Any,
    tmp_path: FilePath,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    (keys / "wifi.toml").write_text('[hall]\nssid = "plant"\npassword = "correct horse"\ntime_server = ""\n')
    (keys / "wifi.toml").chmod(0o600)
    sensors = {"vibration": {"samples": 1024}, "temperature": None, "energy": None}
    with blank(air, mosquitto.port, board_target.where, **sensors) as board:
        if board_target.where == "unix:":  # a Pico W's emulated access point takes any name and password
            board.set_sensor("wifi", ssid="plant", password="correct horse")
        radio = bluetooth(air)
        monkeypatch.setattr("quaver.provision.bluetooth.Bluetooth", lambda: radio)
        found: dict[str, tuple[bytes, bool]] = {}
        while not found:
            assert board.alive() is None and air.loop.time() < PATIENCE_S, board.console()
            found = radio.find()
        ((identity, _),) = found.values()
        plan = tmp_path / "plan.csv"
        plan.write_text(f"id,name,asset,code\n{identity.hex()},n1,motor1,{CODE}\n")
        arguments = [f"--from={plan}", "--ble", f"--broker=mqtt://{board.host_address}:1883", "--json"]
        arguments += [f"--listen=mqtt://127.0.0.1:{mosquitto.port}"]
        arguments += [f"--keys={keys}", f"--inventory={tmp_path / 'base'}"]
        began = air.loop.time()
        assert main(["provision", *arguments]) == 0, (capfd.readouterr(), board.console()[-1500:])
        seconds = air.loop.time() - began
        result = json.loads(capfd.readouterr().out)
        with capfd.disabled():
            print(f"\n{board_target}: from blank to the first record over Bluetooth in {seconds:.0f} s of its time")
        assert result["place"] == "site/area/line/motor1/n1"
        assert result["first"]["rms_g"] > 0
        (entry,) = Inventory(tmp_path / "base").entries()
        assert (entry.id, entry.state, entry.board) == (identity, "in service", board_target.board)
        assert CODE.encode() not in board.console()
        assert radio.find() == {}  # in service it offers no session


def test_a_person_types_through_the_dialogue_over_bluetooth(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With mistakes, and a Ctrl-C in the middle: the second run goes on there, and asks for no secret again."""
    monkeypatch.setenv("QUAVER_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "base"))
    monkeypatch.delenv("QUAVER_BROKER", raising=False)
    program = (str(FilePath(__file__).with_name("programs") / "provision_by_air.py"),)
    person = Person(CODE, program=program)
    person.types("Code on its label", new_code())
    person.until("the node has another code")
    person.types("Code on its label", CODE)
    person.types("Wi-Fi network", "")
    person.types("Password of plant", "wrong horse")
    person.until("the node can't join plant: wifi wrong password")
    person.types("Wi-Fi network", "1")
    person.types("Password of plant", "correct horse")
    person.types("MQTT broker", "mqtt://127.0.0.1:1883")
    person.types("Time server", "none")
    person.types("Site", "")
    person.until("Area")
    person.breaks_off()
    person = Person(CODE, program=program)
    person.until("continuing with node")
    for question, answer in (("Area", ""), ("Line", ""), ("Machine (asset)", "pump 7"), ("Name of the node", "n1")):
        person.types(question, answer)
    for question in ("Machine by", "Mounting", "Bearing", "Speed", "Thresholds"):
        person.types(question, "")
    person.until("octaves, g RMS", 60)
    person.until("site/area/line/pump 7/n1 is in service")
    person.until("it refuses every command: it has no time server")
    assert person.ends() == 0
    assert "Code" not in person.seen and "Password" not in person.seen
    assert Inventory(tmp_path / "base").named("n1").state == "in service"


def message(data: bytes) -> list[bytes]:
    """A session message in chunks."""
    buffer = bytearray(chunks.SIZE_MAX)
    sizes = chunks.split(data, chunks.SIZE_MAX, buffer, gatt_session.MESSAGE_MAX)
    return [bytes(buffer[:length]) for length in sizes]


class Phone:
    """Improv's own client, as phones and Home Assistant use it, in the virtual air."""

    def __init__(self, air: Air, monkeypatch: pytest.MonkeyPatch) -> None:
        self._scanner, backend = backends(air.device("phone", bytes.fromhex("280102030406")))
        self.states: list[State] = []

        class Client(BleakClientWithServiceCache):
            def __init__(self, *arguments: Any, **settings: Any) -> None:
                super().__init__(*arguments, backend=backend, **settings)

        monkeypatch.setattr(improv, "BleakClientWithServiceCache", Client)

    async def find(self) -> Any:
        """The first node that may be provisioned: its client."""
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def heard(device: Any, advertisement: Any) -> None:
            if improv.device_filter(advertisement) and not found.done():
                found.set_result((device, advertisement))

        async with BleakScanner(heard, backend=self._scanner):
            return improv.ImprovBLEClient(*await found)

    async def visit(self) -> list[Any]:
        """What a person with a phone does, a mistyped password included."""
        client = await self.find()
        said = [await client.need_authorization(), client.capabilities]
        about = await client.get_device_info()
        said += [about.firmware_name, about.hardware_chip]
        await client.identify()
        said.append((await client.scan_wifi()).networks)
        with pytest.raises(ProvisioningFailed) as failure:
            await client.provision("plant", "wrong horse", self.states.append)
        said.append(failure.value.error)
        client = await self.find()  # it has hung up, and the node is there again
        said.append(await client.provision("plant", "correct horse", self.states.append))
        return said


@pytest.mark.parametrize(("where", "chip", "rssi"), [("unix:", b"unix", b"-50"), ("esp32_c3:", b"esp32c3", b"-55")])
def test_a_phone_that_speaks_improv_gives_a_network_after_a_wrong_password(
    air: Air, monkeypatch: pytest.MonkeyPatch, where: str, chip: bytes, rssi: bytes
) -> None:
    with blank(air, where=where, improv=1) as board:
        board.set_sensor("wifi", ssid="plant", password="correct horse")
        phone = Phone(air, monkeypatch)
        said = air.run(phone.visit())
        assert said == [
            False,
            Capabilities.IDENTIFY | Capabilities.DEVICE_INFO | Capabilities.SCAN_WIFI,
            b"Quaver",
            chip,
            [(b"plant", rssi, b"WPA2")],
            Error.UNABLE_TO_CONNECT,
            None,
        ]
        assert [state for state in phone.states if state != State.DISCONNECTED] == [
            State.PROVISIONING,
            State.AUTHORIZED,
            State.PROVISIONING,
            State.PROVISIONED,
        ]
        assert b"node: identify" in board.console()
        assert json.loads(board.get("config.json"))["wifi"] == {"ssid": "plant", "password": "correct horse"}
        assert b"horse" not in board.console()


def test_improv_takes_a_network_in_its_window_alone(air: Air, monkeypatch: pytest.MonkeyPatch) -> None:
    with blank(air, improv=1) as board:
        phone = Phone(air, monkeypatch)

        async def too_late() -> tuple[bool, Any]:
            client = await phone.find()
            await asyncio.sleep(301)  # its power came on five minutes ago
            needs = await client.need_authorization()
            with pytest.raises(ProvisioningFailed) as failure:
                await client.provision("quaver", "", None)
            return needs, failure.value.error

        assert air.run(too_late()) == (True, Error.NOT_AUTHORIZED)
        with pytest.raises(RadioError, match="no result within"):
            air.run(phone.find(), 1)  # it no longer says that it speaks Improv
        assert len(bluetooth(air).find()) == 1  # but takes sessions as ever
        assert "wifi" not in json.loads(board.get("config.json"))


def test_improv_is_off_unless_the_configuration_asks_for_it(air: Air) -> None:
    _, backend = backends(air.device("phone", bytes.fromhex("280102030406")))

    async def offered(where: str) -> set[str]:
        async with BleakClient(where.removeprefix("ble:"), backend=backend) as client:
            return {service.uuid for service in client.services}

    with blank(air):
        (where,) = bluetooth(air).find()
        assert air.run(offered(where)) & {SERVICE_UUID, gatt_session.SERVICE} == {gatt_session.SERVICE}


# What a peer does to a blank node once it is connected, given what writes to it.


async def say_nothing(write: Callable[[bytes], Any]) -> None:
    await asyncio.sleep(600)


async def send_garbage(write: Callable[[bytes], Any]) -> None:
    await write(b"\x01\x02\x03\x04garbage")
    await asyncio.sleep(600)


async def announce_a_giant(write: Callable[[bytes], Any]) -> None:
    await write(b"\x80\xff\xff" + bytes(200))
    await asyncio.sleep(600)


async def flood(write: Callable[[bytes], Any]) -> None:
    rng = Random(7)
    for _ in range(300):
        await write(rng.randbytes(rng.randint(1, 200)))
    await asyncio.sleep(600)


async def forge_sealed_messages(write: Callable[[bytes], Any]) -> None:
    for counter in range(50):
        for chunk in message(bytes((wire.SEALED, 0, counter)) + bytes(60)):
            await write(chunk)
    await asyncio.sleep(600)


@pytest.mark.parametrize("misbehave", [say_nothing, send_garbage, announce_a_giant, flood, forge_sealed_messages])
def test_a_stranger_changes_nothing_and_the_technician_gets_through(
    air: Air, misbehave: Callable[[Callable[[bytes], Any]], Coroutine[Any, Any, None]]
) -> None:
    _, backend = backends(air.device("stranger", bytes.fromhex("2801020304aa")))

    async def visit(where: str) -> float:
        gone = asyncio.Event()
        began = air.loop.time()
        address = where.removeprefix(SCHEME)
        async with BleakClient(address, lambda _: gone.set(), backend=backend, services=[gatt_session.SERVICE]) as peer:
            inlet = peer.services.get_characteristic(gatt_session.TO_NODE)
            assert inlet is not None
            doing = asyncio.ensure_future(misbehave(lambda data: peer.write_gatt_char(inlet, data, response=False)))
            await gone.wait()
            doing.cancel()
        return air.loop.time() - began

    with blank(air) as board:
        radio = bluetooth(air)
        ((where, (identity, _)),) = radio.find().items()
        assert air.run(visit(where)) < 130  # a stranger keeps the door for two minutes at most
        transport = radio.open(where)
        about = Session(transport, CODE, identity).request("about")
        assert (about["enrolled"], about["wrong_codes"]) == (False, 0)
        transport.close()
        assert "device.key" not in board.exec("import os\nprint(os.listdir())")


class Between:
    """Who advertises as the node does, and carries each message on with keys of its own in place of both sides'."""

    def __init__(self, air: Air, where: str, identity: bytes) -> None:
        self._front = air.device("front", bytes.fromhex("2801020304bb"))
        _, backend = backends(air.device("back", bytes.fromhex("2801020304cc")))
        self._client = BleakClient(where.removeprefix(SCHEME), backend=backend, services=[gatt_session.SERVICE])
        self._advertisement = gatt_session.advertisement(identity, gatt_session.HAS_CODE)
        self._own = X25519PrivateKey.generate().public_key().public_bytes_raw()
        self._host = b""  # the host's real key
        self._connection: Connection | None = None
        properties = bumble_gatt.Characteristic.Properties
        self._up = bumble_gatt.Characteristic(UUID(gatt_session.TO_HOST), properties.NOTIFY, 0, b"")
        down = bumble_gatt.Characteristic(
            UUID(gatt_session.TO_NODE),
            properties.WRITE | properties.WRITE_WITHOUT_RESPONSE,
            bumble_gatt.Characteristic.WRITEABLE,
            bumble_gatt.CharacteristicValue(write=self._from_host),
        )
        self._front.add_services([bumble_gatt.Service(UUID(gatt_session.SERVICE), [self._up, down])])
        self._downs, self._ups = chunks.Assembler(gatt_session.MESSAGE_MAX), chunks.Assembler(gatt_session.MESSAGE_MAX)
        self.carried: list[int] = []

    async def stand(self) -> str:
        """Connect to the node, which no longer advertises then, and wait for the host; returns where."""
        await self._client.connect()
        await self._client.start_notify(gatt_session.TO_HOST, self._from_node)
        await self._front.start_advertising(
            own_address_type=OwnAddressType.PUBLIC,
            advertising_data=self._advertisement,
            advertising_interval_min=100,
            advertising_interval_max=100,
        )
        return SCHEME + "28:01:02:03:04:BB"

    async def leave(self) -> None:
        await self._client.disconnect()
        await self._front.stop_advertising()

    async def _from_host(self, connection: Connection, data: bytes) -> None:
        self._connection = connection
        found = self._downs.feed(bytes(data))
        if found is None:
            return
        self.carried.append(found[0])
        if found[0] == wire.HELLO_HOST:
            self._host = found[2:]
            found = found[:2] + self._own
        for chunk in message(found):
            await self._client.write_gatt_char(gatt_session.TO_NODE, chunk, response=True)

    async def _from_node(self, _characteristic: object, data: bytearray) -> None:
        found = self._ups.feed(bytes(data))
        if found is None or self._connection is None:
            return
        self.carried.append(found[0])
        if found[0] == wire.HELLO_NODE:
            found = found[:2] + self._host[:4] + found[6:14] + self._own
        for chunk in message(found):
            await self._front.gatt_server.notify_subscriber(self._connection, self._up, chunk, force=True)


def test_a_man_in_the_middle_gets_nowhere_and_is_counted(air: Air) -> None:
    with blank(air):
        radio = bluetooth(air)
        ((where, (identity, _)),) = radio.find().items()
        between = Between(air, where, identity)
        false = air.run(between.stand())
        assert radio.find() == {false: (identity, False)}  # nothing tells it from the node
        transport = radio.open(false)
        with pytest.raises(WrongCode):
            Session(transport, CODE, identity)
        transport.close()
        assert between.carried[-2:] == [wire.PROOF_HOST, wire.REFUSED]
        air.run(between.leave())
        air.run(asyncio.sleep(5))
        transport = radio.open(where)
        assert Session(transport, CODE, identity).request("about")["wrong_codes"] == 1
        transport.close()
