"""A live node and its twin over a broker that is not ours."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.broker.address import parse_broker_url
from quaver.build import firmware_files
from quaver.cli import main
from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.fleet.keys import KeyStore
from quaver.ingest.run import ingest
from quaver.plant.spec import load_plant
from quaver.pytest_plugin import Target
from quaver.store.store import Store
from tests.waiting import wait_for_words

from .conftest import PATIENCE_S, signal
from .test_time import Server, asks, good

KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture(autouse=True)
def where_a_node_is_quick(board_target: Target) -> None:
    if board_target.where != "unix:":
        pytest.skip(f"{board_target}: a twin judges records, and they are alike from all boards")


@pytest.fixture
def time_server() -> Iterator[Server]:
    server = Server()
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    yield server
    server.stop()


def test_a_live_node_and_its_twin(
    start_board: Callable[..., Board],
    mosquitto: Any,
    time_server: Server,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    config = {
        "site": "plant",
        "area": "hall",
        "line": "line1",
        "asset": "motor1",
        "node": "n1",
        "interval_s": 1,
        "time_server": "127.0.0.1",
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": "127.0.0.1", "port": 1883},
        "temperature": None,
        "energy": None,
        "vibration": {"samples": 1024},
        "limits": {"rms": [0.5, 100]},
    }
    files = firmware_files("unix", config)
    files["device.key"] = json.dumps({"generation": 1, "key": KEY}).encode()
    files["main.py"] = asks(time_server.port) + files["main.py"]
    keys = KeyStore(tmp_path / "keys")
    keys.create(Identity.of("n1").unique_id, "n1", bytes.fromhex(KEY))
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    stopped, stored = threading.Event(), threading.Event()

    def ingesting() -> None:
        with Store(tmp_path / "plant.sqlite") as store:
            for tally in ingest(parse_broker_url(url), store, keys, say=lambda line: None):
                if tally.received >= 8:
                    stored.set()
                if stopped.is_set():
                    return

    thread = threading.Thread(target=ingesting)
    thread.start()
    try:
        rig = (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("normal"))),)
        board = start_board(files=files, rig=rig, broker_port=mosquitto.port, real_time=True, name="n1")
        wait_for_words(board, b"node: online")
        assert stored.wait(PATIENCE_S)
        twin = tmp_path / "twin.toml"
        common = [f"--store={tmp_path / 'plant.sqlite'}", f"--keys={keys.folder}", f"--broker={url}", "--ask"]
        assert main(["twin", "new", str(twin), *common]) == 0
        capfd.readouterr()
        [node] = load_plant(twin).nodes()
        assert (node.samples, node.sensors, node.interval) == (1024, ("vibration",), 1)
        assert node.config["limits"] == {"rms": [0.5, 100.0]}

        code = main(["twin", "follow", str(twin), *common, "--for=5"])
        out, err = capfd.readouterr()
        assert (code, out) == (0, ""), err
        judged = int(err.split(" measurements judged by both")[0].rpartition("\n")[2])
        assert judged > 0
        assert f"{judged} alike; 0 disagreements" in err

        twin.write_text(twin.read_text().replace("100", "90"))
        assert main(["twin", "follow", str(twin), *common, "--for=0", "--json"]) == 1
        [said] = map(json.loads, capfd.readouterr().out.splitlines())
        assert (said["node"], said["kind"]) == ("n1", "configuration")
        assert said["line"] == "limits.rms is [0.5, 100.0], its twin's [0.5, 90.0]"
        assert not any(secret in out + err + twin.read_text() for secret in ("emulated", KEY))
    finally:
        stopped.set()
        thread.join(PATIENCE_S)
