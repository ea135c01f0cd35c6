"""TLS on a node with everything, each sensor, seals, commands: the session fits beside a whole measurement, comes back
when the broker went away, and what is asked for over it is done.

An ESP32-C3 has no room for every command (docs/esp32c3.md): what it refuses costs it neither the session nor more.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.broker.address import parse_broker_url
from quaver.build import firmware_files, own_drivers
from quaver.emulator.identity import Identity
from quaver.emulator.sensors.ads131m02 import ADS131M02, wired
from quaver.files.carried import payload
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator
from quaver.messages.monitor import Monitor
from quaver.messages.record import Record
from quaver.messages.sealing import Opener
from quaver.plant.node import SLOW_SENSORS, healthy_machine, standard_rig
from quaver.pytest_plugin import Target
from quaver.recordings.sources import MotorCurrent
from quaver_wire.cose import node_id
from tests.waiting import PATIENCE_S, wait_until

from . import heaps
from .test_time import Server, asks, good

sys.path.append(str(Path(__file__).resolve().parents[1] / "host"))
from example_broker import lay_out

pytestmark = [pytest.mark.needs_radio, pytest.mark.each_chip]

KEY = "00112233445566778899aabbccddeeff" * 2
PLACE = dict(zip(("site", "area", "line", "asset", "node"), ("plant", "hall", "line1", "motor1", "n1"), strict=True))


@pytest.fixture
def time_server() -> Iterator[Server]:
    server = Server()
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    yield server
    server.stop()


@pytest.mark.nightly_on("rp2040:")  # the ESP32-C3 has less memory
@pytest.mark.slowest
def test_a_node_with_every_sensor_seals_and_obeys_over_tls(
    start_board: Callable[..., Board],
    board_target: Target,
    start_mosquitto: Callable[[str], Any],
    time_server: Server,
    tmp_path: Path,
) -> None:
    host = "127.0.0.1" if board_target.where == "unix:" else "10.0.0.1"
    spec = load_board(board_target.board)
    users = {"n1": "secret", "ingest": "another", "commands": "a-third"}
    broker = start_mosquitto(lay_out(tmp_path / "etc", users, f"IP:{host},IP:127.0.0.1"))
    ca = tmp_path / "etc" / "ca.crt"
    config = {
        **PLACE,
        **SLOW_SENSORS,
        "interval_s": 1,
        "time_server": host,
        "machine": {"rpm": 1797, "bearing": "6205"},
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": host, "port": 1883, "user": "n1", "password": "secret", "ca": "/ca.pem"},
    }
    rig, own = standard_rig(healthy_machine()), {}
    if board_target.where == "rp2040:":  # and a clamp, which an ESP32 does not take
        config["current"] = {"cs": 20, "drdy_pin": 3, "a_per_v": 30, "line_hz": 50}
        rig += wired(ADS131M02(MotorCurrent(8.0), mv_per_g=1000 / 30), "spi0", 20, 3)
        own = own_drivers(payload("firmware", "extra"), spec.name)
    files = firmware_files(board_target.board, config) | own
    files["device.key"] = json.dumps({"generation": 1, "key": KEY}).encode()
    files["ca.pem"] = ca.read_bytes()
    main = heaps.watched(files["main.py"]) if spec.tls_heap_budget else files["main.py"]
    files["main.py"] = asks(time_server.port) + main
    keys = KeyStore(tmp_path / "keys")
    identity = (Identity.of_esp32 if board_target.board == "esp32_c3" else Identity.of)("n1")
    keys.create(node_id(identity.unique_id), "n1", bytes.fromhex(KEY))
    url = f"mqtts://{{}}@127.0.0.1:{broker.port}"
    reader = Monitor(parse_broker_url(url.format("ingest:another")), "+/+/+/+/+/telemetry", ca, Opener(keys))
    with reader:
        board = start_board(files=files, rig=rig, broker_port=broker.port, name="n1")
        records: list[Record] = []

        def measured(count: int) -> Callable[[], bool]:
            """Whether so many more have come."""
            wanted = len(records) + count

            def come() -> bool:
                if isinstance(item := reader.get(0.5), Record):
                    records.append(item)
                return len(records) >= wanted

            return come

        wait_until(measured(3), board, "three measurements")
        for again in range(2):
            broker.stop()
            broker.start()
            wait_until(measured(2), board, f"a measurement after restart {again + 1} of the broker")
        commander = parse_broker_url(url.format("commands:a-third"))
        with Operator(commander, keys, "n1", ca, timeout_s=PATIENCE_S, expires_s=2_000_000) as node:
            answer = node.ask("measure")
        assert answer["rms_g"] == pytest.approx(records[0].values["rms_g"], rel=0.2)
        wait_until(measured(1), board, "a measurement after it")
    first = records[0].values
    assert "current" not in config or first["current_a"] == pytest.approx(8.0, rel=0.01)
    assert {"temperature_c", "energy", "rms_g", "peaks", "lines"} <= set(first)
    assert b"does not fit" not in board.console() and b"memory" not in board.console()
    assert min(record.values["heap_free"] for record in records if "heap_free" in record.values) > 18_000
    if spec.tls_heap_budget:
        # With the last session up: as Wi-Fi joins memory is held on purpose, and a handshake takes more for its second.
        free = heaps.least(heaps.told(board.console().rpartition(b"node: online")[2]))
        assert free.python >= spec.tls_heap_budget
        assert free.idf >= spec.tls_idf_budget
        assert free.piece >= spec.tls_idf_piece_budget
