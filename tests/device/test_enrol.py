"""A blank node on a board: one command brings it into service, its first record arrives, and it obeys another."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.cli import main
from quaver.fleet.inventory import Inventory
from quaver.messages.monitor import Monitor
from quaver.provision.identity import new_code
from quaver.provision.serial import SerialTransport
from quaver.provision.session import Session, who
from quaver.pytest_plugin import Target
from tests.waiting import wait_for_words

from .conftest import PATIENCE_S
from .test_node import rig
from .test_time import Server, asks, good, server

__all__ = ["server"]  # a fixture
pytestmark = pytest.mark.needs_radio


@pytest.mark.each_chip
@pytest.mark.nightly_on("rp2040:", "esp32_c3:")  # test_enrol_air.py brings an ESP32-C3 so far
def test_from_blank_to_the_first_record_in_one_command(
    board_target: Target,
    start_board: Callable[..., Board],
    mosquitto: Any,
    server: Server,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    code = new_code()
    # what sensors a board has is known when it is flashed; a brief measurement does here
    sensors = {"vibration": {"samples": 1024}, "temperature": None, "energy": None}
    files = {**firmware_files(board_target.board, sensors), "session.code": code.encode()}
    files["main.py"] = asks(server.port) + files["main.py"]
    if board_target.where != "unix:":
        # without an air its Bluetooth never starts, and takes 15 s to say so
        files["firmware.txt"] = files["firmware.txt"].replace(b"\n links/ble_onboard\n", b"\n links/none\n")
    board = start_board(files=files, rig=rig(), broker_port=mosquitto.port)
    began, found = time.monotonic(), None
    with SerialTransport(board.address) as transport:
        while found is None:
            assert time.monotonic() - began < PATIENCE_S and board.alive() is None, board.console()
            found = who(transport)
    identity, enrolled, has_code = found
    assert (enrolled, has_code) == (False, True)
    heard = Monitor(BrokerUrl("127.0.0.1", mosquitto.port), "#").start()
    assert heard.get(0.5) is None  # a blank node sends nothing
    heard.stop()

    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    profile = f'[hall]\nssid = "quaver"\npassword = "emulated"\ntime_server = "{board.host_address}"\n'
    (keys / "wifi.toml").write_text(profile)
    (keys / "wifi.toml").chmod(0o600)
    plan = tmp_path / "plan.csv"
    plan.write_text(f"id,name,asset,code,bearing,rpm\n{identity.hex()},n1,motor1,{code},6205,1797\n")
    arguments = [f"--from={plan}", f"--port={board.address}", f"--broker=mqtt://{board.host_address}:1883"]
    arguments += [f"--listen=mqtt://127.0.0.1:{mosquitto.port}", f"--keys={keys}", f"--inventory={tmp_path / 'base'}"]
    assert main(["provision", *arguments, "--json"]) == 0, (capfd.readouterr(), board.console()[-1500:])
    result = json.loads(capfd.readouterr().out)
    with capfd.disabled():
        print(f"\n{board_target}: from blank to the first record in {result['seconds']} s of real time")
    assert result["place"] == "site/area/line/motor1/n1"
    assert result["first"]["rms_g"] > 0
    (entry,) = Inventory(tmp_path / "base").entries()
    assert (entry.id, entry.state, entry.board) == (identity, "in service", board_target.board)
    assert code.encode() not in board.console()
    assert result["dated"]
    options = [f"--broker=mqtt://127.0.0.1:{mosquitto.port}", f"--keys={keys}", "--expires=2000000"]
    assert main(["node", "n1", "identify", *options]) == 0, (capfd.readouterr(), board.console()[-1500:])
    assert capfd.readouterr().out == "n1: blinks\n"
    assert b"node: identify" in board.console()


def test_a_node_in_service_is_enrolled_anew_after_its_power_came_on(
    board_target: Target, start_board: Callable[..., Board]
) -> None:
    """For five seconds, over its cable; whoever opens no session finds it running."""
    if board_target.where != "unix:":
        pytest.skip(f"{board_target}: what is shown here is not the board's")
    key = {"generation": 1, "key": "5a" * 32}
    files = {**firmware_files("unix", {"node": "n1"}), "session.code": (code := new_code()).encode()}
    board = start_board(files={**files, "device.key": json.dumps(key).encode()}, rig=rig(), real_time=True)
    with SerialTransport(board.address) as transport:
        found = who(transport, timeout=5.0)
        assert found is not None and found[1:] == (True, True)
        session = Session(transport, code, found[0])
        about = session.request("about")
        assert (about["enrolled"], about["generation"]) == (True, 1)
        check = session.request("stage", {"config": {"node": "n2"}, "key": "a5" * 32, "generation": 2})
        session.request("commit", {"check": check})
    wait_for_words(board, b"node: quaver 0.1.0 on unix, n2,")
    assert b"on unix, n1," not in board.console()
    assert json.loads(board.get("device.key")) == {"generation": 2, "key": "a5" * 32}


def test_a_node_in_service_runs_when_nobody_comes_to_enrol_it_anew(
    board_target: Target, start_board: Callable[..., Board], mosquitto: Any
) -> None:
    """What the five seconds needed of the heap is given back: each module that both need is there again."""
    if board_target.where != "unix:":
        pytest.skip(f"{board_target}: what is shown here is not the board's")
    wifi = {"wifi": {"ssid": "quaver", "password": "emulated"}, "broker": {"host": "127.0.0.1", "port": 1883}}
    sensors = {"vibration": {"samples": 1024}, "temperature": None, "energy": None, "interval_s": 1}
    files = {**firmware_files("unix", {"node": "n1", **wifi, **sensors}), "session.code": new_code().encode()}
    files["device.key"] = json.dumps({"generation": 1, "key": "5a" * 32}).encode()
    board = start_board(files=files, rig=rig(), broker_port=mosquitto.port)
    wait_for_words(board, b"node: online")
    assert b"Traceback" not in board.console()
    assert int(board.exec("import time\nprint(time.ticks_ms())")) > 5000
