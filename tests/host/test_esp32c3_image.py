"""A node on an ESP32-C3 takes MicroPython itself over its broker: confirmed, or the old image comes back by itself."""

import hashlib
import json
import struct
import time
from collections.abc import Callable, Iterator
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from quaver.board.image import read_image
from quaver.board.spec import load_board
from quaver.broker.address import parse_broker_url
from quaver.build import firmware_files
from quaver.build.flashable import compose
from quaver.build.libraries import device_libraries
from quaver.emulator.bus import Attached
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.identity import Identity
from quaver.emulator.sensors.tmp117 import TMP117
from quaver.emulator.setup import Setup
from quaver.errors import OperationError
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator
from quaver.fleet.procedures import update
from quaver.release import bundle
from quaver.release.publish import publish
from quaver.release.signing import PrivateKey
from tests.device.test_time import Server, asks, good
from tests.waiting import wait_for_words

pytestmark = pytest.mark.long
KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
SECRET = "00112233445566778899aabbccddeeff" * 2
BUILT = b"Dec  9 2025"  # in the image's description (ESP-IDF, esp_app_desc_t)
HANGS = b"\x01\xa0"  # c.j 0
SPEC = load_board("esp32_c3")
PATIENCE_S = 600.0


def another(image: bytes, change: Callable[[bytearray], None]) -> bytes:
    """The image changed, whole again as its format says: checksum, then SHA-256 (ESP-IDF, App Image Format)."""
    data = bytearray(image[:-32])
    change(data)
    at, checksum = 24, 0xEF
    for _ in range(data[1]):
        size = struct.unpack_from("<I", data, at + 4)[0]
        checksum = reduce(xor, data[at + 8 : at + 8 + size], checksum)
        at += 8 + size
    data[-1] = checksum
    return bytes(data) + hashlib.sha256(data).digest()


def at_address(image: bytes, address: int) -> int:
    """Where in the image lies what is loaded to an address."""
    at = 24
    for _ in range(image[1]):
        place, size = struct.unpack_from("<II", image, at)
        if place <= address < place + size:
            return at + 8 + address - place
        at += 8 + size
    raise AssertionError(hex(address))


def later(image: bytes) -> bytes:
    def change(data: bytearray) -> None:
        at = data.index(BUILT)
        data[at : at + len(BUILT)] = b"Dec 10 2025"

    return another(image, change)


def hanging(image: bytes) -> bytes:
    """It ends in a loop where it begins."""

    def change(data: bytearray) -> None:
        at = at_address(image, struct.unpack_from("<I", image, 4)[0])
        data[at : at + 2] = HANGS

    return another(image, change)


class Node:
    """In service, flashed for updates of its image; and who builds releases for it."""

    def __init__(self, mosquitto: Any, folder: Path, time_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        config = {
            **dict(zip(("site", "area", "line", "asset", "node"), ("plant", "hall", "line1", "m1", "n1"), strict=True)),
            "interval_s": 86400,
            "time_server": "10.0.0.1",
            "wifi": {"ssid": "quaver", "password": "emulated"},
            "broker": {"host": "10.0.0.1", "port": 1883},
            "vibration": None,
            "energy": None,
        }
        self.image = bundle.firmware_image(SPEC)
        self._firmware = firmware_files("esp32_c3") | device_libraries(SPEC)
        self._monkeypatch = monkeypatch
        self.url = parse_broker_url(f"mqtt://127.0.0.1:{mosquitto.port}")
        self.keys = KeyStore(folder / "keys")
        self.keys.create(Identity.of_esp32("n1").unique_id.rjust(8, b"\0"), "n1", bytes.fromhex(SECRET))
        own = {
            "config.json": json.dumps(config).encode(),
            "device.key": json.dumps({"generation": 1, "key": SECRET}).encode(),
            "release.key": KEY.public.xy,
        }
        self._firmware["main.py"] = asks(time_port) + self._firmware["main.py"]
        flash = compose(SPEC, read_image(SPEC), {**self._firmware, **own}, SPEC.flash.size, slots=True)
        path = folder / "flash.bin"
        path.write_bytes(flash.file())
        rig = (Attached("tmp117", "i2c0", 0x48, TMP117(21.5)),)
        self.board = Esp32C3Board(Setup(image=path, rig=rig, broker_port=mosquitto.port, name="n1"))
        wait_for_words(self.board, b"node: online")

    def release(self, sequence: int, image: bytes, end: bytes = b"") -> bundle.Release:
        """Published: with that image and the node's own files, of which main.py ends so."""
        files = {**self._firmware, "main.py": self._firmware["main.py"] + end}
        self._monkeypatch.setattr(bundle, "firmware_files", lambda board: dict(files))
        self._monkeypatch.setattr(bundle, "firmware_image", lambda *_: image)
        release = bundle.build_release(
            ["esp32_c3"], sequence, expires=int(time.time()) + 30_000_000, key=KEY, images=True
        )
        publish(release, "plant", url=self.url)
        return release

    def take(self, release: bundle.Release) -> int:
        with Operator(self.url, self.keys, "n1", timeout_s=PATIENCE_S, expires_s=2_000_000) as node:
            return update(node, release.envelopes)

    def runs(self) -> tuple[str, str]:
        """The partition that runs, and when the image in it was built."""
        code = (
            "from esp32 import Partition\np = Partition(Partition.RUNNING)\nb = bytearray(256)\np.readblocks(0, b, 0)\n"
            "print(p.info()[4], bytes(b[32 + 96:][:11]).decode())\n"
        )
        name, built = self.board.exec(code).strip().split(" ", 1)
        return name, built


@pytest.fixture
def node(mosquitto: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    server = Server()
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    node = Node(mosquitto, tmp_path, server.port, monkeypatch)
    yield node
    node.board.stop()
    server.stop()


@pytest.mark.nightly
def test_an_image_that_does_not_start_is_left(node: Node) -> None:
    """It hangs before anything of MicroPython runs: the boot loader's watchdog resets the chip."""
    with pytest.raises(OperationError, match="did not keep release 2: the image of MicroPython did not start"):
        node.take(node.release(2, hanging(node.image)))
    assert node.runs() == ("ota_0", "Dec  9 2025")


@pytest.mark.nightly
def test_a_node_takes_its_image_through_a_power_cut_and_confirms_it(node: Node) -> None:
    """In the midst of one of its thousands of flash operations: the node goes on where it was.

    That it comes whole without a cut, the test before has shown.
    """
    release = node.release(2, later(node.image), b"# 2")
    with Operator(node.url, node.keys, "n1", timeout_s=PATIENCE_S, expires_s=2_000_000) as operator:
        [envelope] = release.envelopes
        digest = hashlib.sha256(envelope).digest()
        assert operator.ask("update", {"digest": digest, "size": len(envelope)})["state"] == "fetching"
        node.board.cut_power(3000, True)
        assert operator.updated()[0] == "update_confirmed"
    assert node.runs() == ("ota_1", "Dec 10 2025")
    assert node.board.get("main.py").endswith(b"# 2")
    node.board.reset()
    assert node.runs() == ("ota_1", "Dec 10 2025")
    left = node.board.exec("import os\nprint([n for n in os.listdir() if n.startswith('release.')])")
    assert left.strip() == "['release.key', 'release.sequence']"
