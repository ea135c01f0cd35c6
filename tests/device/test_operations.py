"""Field operations on a node in service: what a technician asks of it from afar, over a broker that is not ours."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import paho.mqtt.publish as publish
import pytest

from quaver.board.interface import Board
from quaver.broker.address import parse_broker_url
from quaver.build import firmware_files
from quaver.cli import main
from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.errors import OperationError, QuaverError
from quaver.fleet.inventory import Entry, Inventory, default_path
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator
from quaver.messages.monitor import Monitor, Notice
from quaver.messages.record import Record
from quaver.messages.sealing import Opener
from quaver.provision.identity import new_code
from quaver.provision.serial import SerialTransport
from quaver.provision.session import Session, WrongCode
from quaver.pytest_plugin import Target
from quaver.recordings import load
from tests.waiting import wait_for_words

from .conftest import PATIENCE_S, signal
from .test_time import Server, asks, good

pytestmark = pytest.mark.needs_radio

EXPIRES_S = 2_000_000  # a command that is given in real time, to a node whose clock runs ahead
KEY = "00112233445566778899aabbccddeeff" * 2
ROOT = "plant/hall/line1/motor1/n1"


class Plant:
    """One node, its broker, its keys, and somebody who commands it."""

    def __init__(self, board: Board, mosquitto: Any, keys: KeyStore, capfd: pytest.CaptureFixture[str]) -> None:
        self.board = board
        self.mosquitto = mosquitto
        self.keys = keys
        self.files: Mapping[str, bytes] = {}  # what the board was started with
        self._capfd = capfd
        self.url = f"mqtt://127.0.0.1:{mosquitto.port}"

    def node(self, *arguments: str, code: int = 0, timeout: float = 60, expires: float = EXPIRES_S) -> str:
        """The output of `quaver node n1 …`, which must end with `code`; of a failure its one line."""
        options = [f"--broker={self.url}", f"--keys={self.keys.folder}"]
        options += [f"--timeout={timeout}", f"--expires={expires}"]
        self._capfd.readouterr()
        ended = main(["node", "n1", *arguments, *options])
        out, err = self._capfd.readouterr()
        assert ended == code, (ended, out, err, self.board.console()[-1500:])
        return out if code == 0 else err

    def json(self, *arguments: str) -> Any:
        return json.loads(self.node(*arguments, "--json"))

    def says(self, words: bytes, times: int = 1) -> None:
        wait_for_words(self.board, words, times)


@pytest.fixture(autouse=True)
def where_it_may_differ(board_target: Target, request: pytest.FixtureRequest) -> None:
    """Before any other fixture: a broker that is stopped as soon as it has started may not notice.

    On a chip what may differ is the room that commands and a waveform take beside a measurement. The ESP32-C3 has
    least of it; what is marked runs there.
    """
    if board_target.where == "esp32_c3:" and request.node.get_closest_marker("each_chip"):
        return
    if board_target.where != "unix:":
        pytest.skip(f"{board_target}: one command of a node that has just been enrolled is tried there, in test_enrol")


@pytest.fixture
def time_server() -> Iterator[Server]:
    server = Server()
    server.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    yield server
    server.stop()


def rig() -> tuple[Attached, ...]:
    return (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("normal"))),)


@pytest.fixture
def start_plant(
    start_board: Callable[..., Board],
    board_target: Target,
    mosquitto: Any,
    time_server: Server,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Plant]:
    """Puts a node into service. Its time flies while nothing happens."""
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    host = "127.0.0.1" if board_target.where == "unix:" else "10.0.0.1"
    config = {
        **dict(zip(("site", "area", "line", "asset", "node"), ROOT.split("/"), strict=True)),
        "interval_s": 86400,
        "time_server": host,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": host, "port": 1883},
        "temperature": None,
        "energy": None,
        "vibration": {"samples": 4096},
    }

    def start(own: Mapping[str, bytes] | None = None, **changed: Any) -> Plant:
        files = {**firmware_files(board_target.board, config | changed), **(own or {})}
        files["device.key"] = json.dumps({"generation": 1, "key": KEY}).encode()
        files["main.py"] = asks(time_server.port) + files["main.py"]
        keys = KeyStore(tmp_path / "keys")
        identity = Identity.of_esp32("n1") if board_target.where == "esp32_c3:" else Identity.of("n1")
        keys.create(identity.unique_id.rjust(8, b"\0"), "n1", bytes.fromhex(KEY))
        board = start_board(files=files, rig=rig(), broker_port=mosquitto.port, name="n1")
        plant = Plant(board, mosquitto, keys, capfd)
        plant.files = files
        plant.says(b"node: online")
        return plant

    return start


@pytest.fixture
def plant(start_plant: Callable[..., Plant]) -> Plant:
    return start_plant()


def learns(plant: Plant) -> None:
    """Measure until the node has learned something."""
    deadline = time.monotonic() + PATIENCE_S
    while not plant.json("measure").get("learned"):
        assert time.monotonic() < deadline


def test_identify(plant: Plant) -> None:
    assert plant.node("identify") == "n1: blinks\n"
    assert b"node: identify" in plant.board.console()


def test_a_node_that_was_provisioned_knows_the_date_and_obeys(
    start_board: Callable[..., Board],
    mosquitto: Any,
    time_server: Server,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And tells, once, what came to its door before."""
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    files = firmware_files("unix", {"vibration": {"samples": 1024}, "temperature": None, "energy": None})
    files |= {"session.code": (code := new_code()).encode(), "main.py": asks(time_server.port) + files["main.py"]}
    board = start_board(files=files, rig=rig(), broker_port=mosquitto.port, name="n1")
    with SerialTransport(board.address) as transport:
        for _ in range(2):
            transport.send(b"\x05 sealed for nobody")
            assert transport.receive(PATIENCE_S)  # refused
        transport._port.write(b"QUAVER:" + bytes(5000) + b"\n")  # no frame, and too long
        with pytest.raises(WrongCode):
            Session(transport, new_code())
    keys = KeyStore(tmp_path / "keys")
    keys.folder.mkdir(mode=0o700)
    (keys.folder / "wifi.toml").write_text('[a]\nssid = "q"\npassword = ""\ntime_server = "127.0.0.1"\n')
    (keys.folder / "wifi.toml").chmod(0o600)
    plan = tmp_path / "plan.csv"
    identity = Identity.of("n1").unique_id.rjust(8, b"\0")
    plan.write_text(f"id,name,asset,site,area,line,code\n{identity.hex()},n1,motor1,plant,hall,line1,{code}\n")
    plant = Plant(board, mosquitto, keys, capfd)
    arguments = [f"--from={plan}", f"--port={board.address}", f"--keys={keys.folder}", "--json"]
    arguments += ["--broker=mqtt://127.0.0.1:1883", f"--listen={plant.url}"]
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/event", opener=Opener(keys)) as monitor:
        assert main(["provision", *arguments]) == 0, (capfd.readouterr(), board.console()[-1500:])
        found = json.loads(capfd.readouterr().out)
        assert (found["dated"], found["wrong_codes"]) == (True, 1)
        assert (found["first"]["machine"], found["first"]["learned"]) == ("learning", 1)
        keys.refresh()
        assert plant.node("config", "get", "time_server") == '"127.0.0.1"\n'
        assert plant.json("reboot")["boot"] == 2
        told = [item.values for item in iter(lambda: monitor.get(0.5), None) if isinstance(item, Record)]
    refused = [(event["subject"], event["count"]) for event in told if event["code"] == "message_refused"]
    assert refused == [("wrong_code", 1), ("session", 3)]


def same(record: Record, measured: dict[str, Any]) -> bool:
    return bool(measured["rms_g"] == pytest.approx(record.values["rms_g"], abs=1e-4))


@pytest.mark.each_chip
@pytest.mark.nightly_on("esp32_c3:")
def test_what_a_technician_asks_for(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # measure: one record more, and its figures
    learns(plant)
    assert re.search(r"; learning, [1-9] healthy so far", plant.node("measure"))
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/telemetry", opener=Opener(plant.keys)) as monitor:
        measured = plant.json("measure")
        while not (isinstance(item := monitor.get(PATIENCE_S), Record) and same(item, measured)):
            assert item is not None
    assert (measured["level"], measured["machine"]) == ("ok", "learning")

    # waveform: what the sensor had, whole; a fetch that broke off goes on where it stopped
    found = plant.json("waveform", "--output=w.npz")
    data = np.load("w.npz")
    assert found["samples"] == len(data["x"]) == 4096
    assert (data["x"] * float(data["g_per_lsb"])).std() == pytest.approx(measured["rms_g"], rel=0.02)
    assert float(data["fs"]) == pytest.approx(26667, rel=0.05)
    assert Path("w.png").read_bytes().startswith(b"\x89PNG")
    sent = 0
    whole = Operator.send

    def breaks(node: Operator, verb: str, *arguments: Any) -> int:
        nonlocal sent
        sent += verb == "waveform_part"
        if sent == 4:
            raise OperationError("the link broke")
        return whole(node, verb, *arguments)

    monkeypatch.setattr(Operator, "send", breaks)
    assert "the link broke" in plant.node("waveform", "--output=v.wav", code=18)
    assert Path("v.wav.part").exists() and not Path("v.wav").exists()
    plant.node("waveform", "--output=v.wav")
    assert 4 < sent < 25 and not Path("v.wav.part").exists()
    assert load("v.wav").acceleration[:, 0] == pytest.approx(data["x"] * data["g_per_lsb"], abs=1e-6)

    # log, relearn, and the configuration as it is
    assert any(line.endswith("node: online") for line in plant.json("log")["lines"])
    plant.node("relearn")
    assert json.loads(plant.board.get("condition.json"))["baseline"] == {"rows": []}


def test_one_class_of_a_machine_is_learned_again(plant: Plant) -> None:
    assert "class 2: expected 1 to 1, by machine.classes" in plant.node("relearn", "--class=2", code=18)
    assert plant.node("relearn", "--class=1") == "n1: learns the baseline of class 1 again\n"
    assert json.loads(plant.board.get("condition.json"))["baseline"] == {"rows": []}


def test_a_rule_that_has_tripped_is_reset_by_a_person(start_plant: Callable[..., Plant]) -> None:
    loud = {"feature": "rms_g", "above": 0.2, "output": "motor", "to": "off"}
    plant = start_plant(outputs={"motor": {"pin": 3, "normal": "on"}}, rules={"loud": loud})
    plant.board.set_sensor("iis3dwb", source=signal("or007_6"))
    plant.node("measure")
    assert "loud: rms_g above 0.2; mend that first" in plant.node("reset-rule", "loud", code=18)
    plant.board.set_sensor("iis3dwb", source=signal("normal"))
    plant.node("measure")
    assert plant.node("reset-rule", "loud") == "n1: loud is reset\n"
    plant.says(b"node: rule loud: motor on: reset by command")


def test_the_waveform_of_an_alarm_is_kept_until_it_is_fetched(
    start_plant: Callable[..., Plant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plant = start_plant(limits={"rms": [0.001, 0.002]})
    assert "no waveform of an alarm is kept" in plant.node("waveform", "--alarm", code=18)
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/event", opener=Opener(plant.keys)) as monitor:
        while plant.json("measure")["level"] != "alarm":
            pass
        while not (isinstance(item := monitor.get(PATIENCE_S), Record) and item.values.get("event_level") == "alarm"):
            assert item is not None
    assert item.values["waveform"] == 1
    plant.node("measure")
    plant.node("waveform", "--output=later.npz")
    plant.board.reset()
    plant.says(b"node: online", 2)
    assert re.fullmatch(
        r"n1: 4,096 samples at 26,\d{3} Hz, alarm of 20\d\d-\d\d-\d\d [0-9:]{8} UTC in n1-alarm.npz, "
        r"shown in n1-alarm.png\n",
        plant.node("waveform", "--alarm"),
    )
    data = np.load("n1-alarm.npz")
    assert (data["x"] * float(data["g_per_lsb"])).std() == pytest.approx(item.values["value"], rel=1e-4)
    assert not np.array_equal(data["x"], np.load("later.npz")["x"])
    assert "no waveform of an alarm is kept" in plant.node("waveform", "--alarm", code=18)
    assert "alarm.wave" not in plant.board.exec("import os; print(os.listdir('/'))")


def test_a_changed_configuration_is_kept_and_taken_back(plant: Plant) -> None:
    assert plant.node("config", "validate", "interval_s=30") == "n1: would accept that\n"
    words = plant.node("config", "validate", "interval_s=often", code=18)
    assert words == "quaver: node n1 does not config_validate: interval_s: expected float from 0.0 to 86400.0\n"
    plant.node("config", "set", "alarm.of=5", "broker.keepalive_s=30")
    found = plant.json("config", "get")
    assert (found["alarm"]["of"], found["broker"]["keepalive_s"], found["wifi"]["password"]) == (5, 30, "*")
    plant.node("config", "rollback")
    assert "alarm" not in plant.json("config", "get")
    assert plant.json("reboot")["boot"] == 4


@pytest.mark.parametrize(
    ("change", "reason"), [("broker.port=9", b"broker unreachable"), ("wifi.password=-", b"wifi wrong password")]
)
def test_a_configuration_that_does_not_work_costs_a_trial_and_not_the_node(
    plant: Plant, change: str, reason: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.board.set_sensor("wifi", ssid="quaver", password="emulated")
    monkeypatch.setattr("sys.stdin", StringIO("wrong horse\nwrong horse\n"))
    assert plant.node("config", "validate", change) == "n1: would accept that\n"  # nobody can know from here
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/event", opener=Opener(plant.keys)) as monitor:
        words = plant.node("config", "set", change, code=18)
        assert words.startswith("quaver: node n1: did not connect with the new configuration and is back with")
        while not (isinstance(item := monitor.get(PATIENCE_S), Record) and item.values["code"] == "config_rejected"):
            assert item is not None
    assert reason in plant.board.console() and b"wrong horse" not in plant.board.console()
    assert plant.node("config", "get", "broker.port") == "1883\n"  # in service as before
    assert plant.node("config", "rollback", code=18).endswith("nothing to roll back to\n")  # it was never in force


@pytest.mark.each_chip
@pytest.mark.nightly_on("esp32_c3:")  # test_tls_node.py has it obey with less memory
def test_a_replayed_or_forged_command_is_refused_and_told_once(plant: Plant) -> None:
    overheard = []
    ear = paho.Client(paho.CallbackAPIVersion.VERSION2)
    ear.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/command", qos=1)
    ear.on_message = lambda _client, _data, message: overheard.append(bytes(message.payload))
    ear.connect("127.0.0.1", plant.mosquitto.port)
    ear.loop_start()
    try:
        plant.node("relearn")
    finally:
        ear.disconnect()
        ear.loop_stop()
    (command,) = overheard
    hostile = [command, command[:-1] + bytes([command[-1] ^ 1]), b"\x83 nonsense", bytes(600), bytes(60_000)]
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/event", opener=Opener(plant.keys)) as monitor:
        for message in hostile:
            publish.single(f"{ROOT}/command", message, qos=1, port=plant.mosquitto.port)
        while not (isinstance(item := monitor.get(PATIENCE_S), Record) and item.values["code"] == "message_refused"):
            assert item is not None
        assert (item.values["subject"], item.values["count"]) == ("replay", 1)
        plant.node("identify")  # and obeys as before
        assert monitor.get(0.0) is None  # the other four are counted; to tell of each would wear its flash out
    publish.single(f"{ROOT}/command", bytes(70_000), qos=1, port=plant.mosquitto.port)
    plant.says(b"node: online", 2)
    plant.node("identify")


def test_a_command_waits_for_a_node_that_is_away_until_it_expires(plant: Plant) -> None:
    learns(plant)
    plant.board.reset(run=False)
    plant.node("log", timeout=1, code=19)
    late = plant.node("relearn", timeout=1, expires=1.5, code=19)
    assert "the node obeys it until" in late
    words = plant.node("relearn", timeout=0.5, expires=0.5, code=19)
    assert words.endswith("it has expired\n")
    plant.keys.refresh()
    with Operator(parse_broker_url(plant.url), plant.keys, "n1", timeout_s=30, expires_s=EXPIRES_S) as node:
        identity = node.send("config_validate", {"changes": {"interval_s": 7}})
        plant.board.reset()
        assert node.answer("config_validate", identity) == {}
    assert json.loads(plant.board.get("condition.json"))["baseline"]["rows"]  # nothing was learned anew


def test_a_link_that_is_lost_before_the_restart_does_not_prevent_it(plant: Plant) -> None:
    with Operator(parse_broker_url(plant.url), plant.keys, "n1", timeout_s=30, expires_s=EXPIRES_S) as node:
        node.ask("reboot")
        plant.mosquitto.stop()
    plant.says(b"node: quaver", 2)


def test_a_new_key_is_used_and_the_old_one_forgotten(plant: Plant) -> None:
    assert plant.json("rotate")["generation"] == 2
    plant.keys.refresh()
    held = json.loads(plant.board.get("device.key"))
    assert held["generation"] == 2 and "before" not in held
    assert bytes.fromhex(held["key"]) == plant.keys.device_keys(plant.keys.nodes()[0].node_id)[2]


def test_a_retired_node_holds_nothing(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    own = plant.keys.nodes()[0].node_id
    with Inventory(default_path()) as inventory:
        inventory.put(Entry(own, "n1", "plant", "hall", "line1", "motor1", "in service"))
    monkeypatch.setattr("click.prompt", lambda *_, **__: "n2")
    assert plant.node("retire", code=18) == "quaver: node n1 is not changed: the typed name does not match\n"
    monkeypatch.setattr("click.prompt", lambda *_, **__: "n1")
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/status", opener=Opener(plant.keys)) as monitor:
        assert isinstance(monitor.get(PATIENCE_S), Record)  # what the broker keeps of a node in service
        assert plant.node("retire") == "n1: is retired, and erases what it holds\n"
        assert monitor.get(PATIENCE_S) == Notice(f"{ROOT}: retired")
    plant.says(b"node: retired")
    plant.says(b"no wifi.ssid in config.json")  # it started anew
    left = plant.board.exec("import os\nprint(os.listdir('/'), os.listdir('/journal'))")
    assert not {"device.key", "config.json", "condition.json", "commands.taken"} & set(eval(left.replace("] [", "]+[")))
    with Inventory(default_path()) as inventory:
        assert inventory.named(own.hex()).state == "retired"
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/#", opener=Opener(plant.keys)) as monitor:
        assert monitor.get(0.5) is None  # nor has its last will come after it


def test_whoever_has_another_key_is_told_and_changes_nothing(plant: Plant, tmp_path: Path) -> None:
    other = KeyStore(tmp_path / "other")
    other.create(plant.keys.nodes()[0].node_id, "n1")
    mine, plant.keys = plant.keys, other
    words = plant.node("identify", code=18)
    assert words.startswith("quaver: node n1: its messages can't be opened with the key here (wrong_key);")
    plant.keys = mine
    assert "has no key in" in raises(plant, "n9")


def raises(plant: Plant, name: str) -> str:
    """What an operation on the node `name` ends with."""
    with pytest.raises(QuaverError) as caught, Operator(parse_broker_url(plant.url), plant.keys, name, timeout_s=1):
        pass
    return str(caught.value)
