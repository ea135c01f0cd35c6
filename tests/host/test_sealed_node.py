"""A node as a whole beside the broker of docs/mosquitto.md: its date, its broker, its seal, its account."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from example_broker import lay_out

from quaver.build import firmware_files
from quaver.emulator.identity import Identity
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.fleet.keys import KeyStore
from quaver.messages.sealing import Opener
from quaver.plant.node import healthy_machine, standard_rig
from quaver.store.ledger import ledger
from quaver.store.store import Store
from tests.device.test_time import Server, good
from tests.waiting import wait_until

WAIT_S = 30.0
NAME = "pump-7"
NODE = Identity.of(NAME).unique_id
FEATURES = {"rms_g", "peak_g", "crest", "kurtosis", "skew", "velocity_mm_s", "envelope_g", "temperature_c", "shaft_hz"}
FEATURES.add("shaft_confidence")
# The time server of a test has a port of its own.
ASKS = "from links import ntp\n_ask = ntp.ask\nntp.ask = lambda host, limit_ms: _ask(host, limit_ms, {})\ndel ntp\n"


def config(**more: Any) -> dict[str, Any]:
    place = dict(zip(("site", "area", "line", "asset", "node"), ("plant", "hall", "line-2", "pump", NAME), strict=True))
    nothing = {"vibration": None, "temperature": None, "energy": None}
    wifi = {"ssid": "quaver", "password": "emulated"}
    return {**place, **nothing, "wifi": wifi, "interval_s": 1, "broker": {"host": "127.0.0.1"}, **more}


def test_a_node_keeps_the_date_trusts_its_broker_and_loses_nothing(
    tmp_path: Path, start_mosquitto: Callable[[str], Any]
) -> None:
    broker = start_mosquitto(lay_out(tmp_path / "etc", {NAME: "its own", "ingest": "a third"}, "IP:127.0.0.1"))
    ca, path, keys = tmp_path / "etc" / "ca.crt", tmp_path / "s.sqlite", KeyStore(tmp_path / "keys")
    key = keys.create(NODE, NAME).keys[1]
    server = Server()
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    access = {"host": "127.0.0.1", "port": 1883, "ca": "/ca.pem", "user": NAME, "password": "its own"}
    files = firmware_files("unix", config(broker=access, time_server="127.0.0.1"))
    files |= {"ca.pem": ca.read_bytes(), "main.py": ASKS.format(server.port).encode() + files["main.py"]}
    files["device.key"] = json.dumps({"generation": 1, "key": key.hex()}).encode()
    command = [sys.executable, "-m", "quaver.cli", "ingest", "--ca", str(ca), "--store", str(path), "--count", "20"]
    url = f"mqtts://ingest:a%20third@127.0.0.1:{broker.port}"
    environment = {**os.environ, "QUAVER_BROKER": url, "QUAVER_KEYS": str(keys.folder)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as ingest:
        try:
            assert ingest.stderr is not None and "storing the messages" in ingest.stderr.readline()
            with open_board("unix:", Setup(files=files, broker_port=broker.port, name=NAME)) as board:
                wait_until(lambda: ingest.poll() is not None, board)
                assert b"online" in board.console() and key.hex().encode() not in board.console()
        finally:
            ingest.terminate()
            server.stop()
    assert ingest.returncode == 0 and server.asked >= 1
    with Store(path, write=False) as store:
        (account,), strangers = ledger(store)
        dated = store.query("SELECT dated_by, abs(time_ms - received_ms) FROM dated WHERE class != 'status'")
    assert account.received >= 19 and not account.unexplained and not account.refused and not strangers
    # what was measured before the clock was set as well; virtual time runs ahead of the broker's
    assert {by for by, _ in dated} <= {"node", "offset"} and max(apart for _, apart in dated) < 600_000


def test_a_node_whose_key_is_spoiled_says_so_and_sends_nothing(tmp_path: Path, mosquitto: Any) -> None:
    heard: list[str] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
    client.on_message = lambda _client, _data, message: heard.append(message.topic)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    spoiled = firmware_files("unix", config(outbox={"durable": True}))
    spoiled["device.key"] = b'{"generation": 1, "key": "11'
    whole = firmware_files("unix", config(node="pump-8"))
    whole["device.key"] = json.dumps({"generation": 1, "key": "11" * 32}).encode()
    with open_board("unix:", Setup(files=spoiled, broker_port=mosquitto.port)) as board:
        wait_until(lambda: b"/device.key is corrupt; re-enrol the node: nothing is sent" in board.console(), board)
        with open_board("unix:", Setup(files=whole, broker_port=mosquitto.port)) as other:
            wait_until(lambda: len(heard) > 5, other)  # time enough for the first one too
        assert b"online" not in board.console()
        held = board.exec("import os; print(os.listdir('/journal/event'), os.listdir('/journal/telemetry'))")
        assert held.split() == ["[]", "[]"]
    client.disconnect()
    client.loop_stop()
    assert {topic.split("/")[4] for topic in heard} == {"pump-8"}


def test_an_ordinary_record_of_17_features_is_small(tmp_path: Path, mosquitto: Any) -> None:
    keys = KeyStore(tmp_path / "keys")
    key = keys.create(NODE, NAME).keys[1]
    got: list[bytes] = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("+/+/+/+/+/telemetry", qos=1)
    client.on_message = lambda _client, _data, message: got.append(message.payload)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    sensors = {"vibration": {}, "temperature": {}, "energy": {}, "machine": {"rpm": 1797, "learn": 2}}
    files = firmware_files("unix", config(**sensors))
    files["device.key"] = json.dumps({"generation": 1, "key": key.hex()}).encode()
    setup = Setup(files=files, rig=standard_rig(healthy_machine()), broker_port=mosquitto.port, name=NAME)
    with open_board("unix:", setup) as board:
        wait_until(lambda: len(got) >= 7, board)
    client.disconnect()
    client.loop_stop()
    opener = Opener(keys)
    records = [(len(message), opener.open("telemetry", message).record) for message in got]
    brief = [(size, record) for size, record in records if "samples" not in record and "spectrum" not in record]
    assert all(size <= 96 for size, _ in brief) and len(brief) >= 3
    assert {len(record["energy"]) + len(FEATURES & set(record)) for _, record in brief} == {17}
    whole = [record for _, record in records if "samples" in record]
    assert [record["machine"] for record in whole] == [1, 1, 2]  # learning, and the first of watching
    assert all(len(record["bands"]) == 8 and record["peaks"] and record["heap_free"] for record in whole)
