"""Bringing nodes into service: the dialogue as a person types it, what breaks off, and a plan with mistakes."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest
from test_monitor import STATUS, TELEMETRY, dumps

from quaver.broker.embedded import EmbeddedBroker
from quaver.cli import main
from quaver.cli.provision import _Told, _walk
from quaver.errors import InventoryError, SessionError
from quaver.fleet.inventory import Entry, Inventory
from quaver.fleet.keys import KeyStore
from quaver.messages.record import MessageError, decode
from quaver.messages.sealing import Opener, Sealer
from quaver.provision.flow import Ask, Do, Flow, Saved, config
from quaver.provision.identity import Codes, label_text, new_code, shown
from quaver.provision.plan import read_plan, read_profiles
from quaver.provision.runs import Runs, runs_path
from tests.session_rig import CODE, ID, Node
from tests.terminal import Person

OCTAVES = (8, 20, 800, 300, 60, 40, 100, 160)  # RMS in steps of 0.05 mg
PROFILES = {"hall": {"ssid": "plant", "password": "correct horse"}}


class Plant:
    """Restarts nodes that were enrolled: each says at the broker that it is there, and what it measured first."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._threads: list[threading.Thread] = []

    def add(self, node: Node) -> str:
        where = node.start()
        thread = threading.Thread(target=self._serve, args=(node,), daemon=True)
        thread.start()
        self._threads.append(thread)
        return where

    def _serve(self, node: Node) -> None:
        node.wait()
        if node.state() != "enrolled":
            return
        given = json.loads((node.root / "config.json").read_text())
        place = "/".join(given[key] for key in ("site", "area", "line", "asset", "node"))
        held = json.loads((node.root / "device.key").read_text())
        sealer = Sealer(bytes.fromhex(held["key"]), node.identity, held["generation"], "uplink")
        dated = {} if given["time_server"] == "pool.ntp.org" else {6: (1_790_000_000_000).to_bytes(6, "big")}
        whole = TELEMETRY | {13: list(OCTAVES), 15: [1, 1]}
        for seq, (message_class, message) in enumerate((("status", STATUS | dated), ("telemetry", whole))):
            plain = dumps({number: value for number, value in message.items() if number not in (1, 2, 3, 4)})
            payload = sealer.seal(message_class, 1, seq, plain)
            publish.single(f"{place}/{message_class}", payload, 1, True, "127.0.0.1", given["broker"]["port"])


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "flash").mkdir()
    node = Node(tmp_path / "flash")
    yield node
    node.cut()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUAVER_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    monkeypatch.delenv("QUAVER_BROKER", raising=False)
    return tmp_path


def runs_of(home: Path) -> dict[bytes, tuple[str, str, str]]:
    """Of each node (state, step, why) of its last run, as others see it."""
    with Runs(runs_path(home / "inventory.sqlite")) as runs:
        return {run.node: (run.state, run.step, run.why) for run in runs.all()}


def test_a_person_types_through_the_whole_dialogue(node: Node, broker: EmbeddedBroker, home: Path) -> None:
    person = Person("provision", "--port", Plant(broker).add(node), "--limit", "20")
    person.types("Code on its label", CODE[:4] + CODE[5] + CODE[4] + CODE[6:])
    person.until("a symbol is mistyped")
    person.types("Code on its label", new_code())
    person.until("the node has another code")
    person.types("Code on its label", label_text(ID, CODE))
    person.until("too many wrong codes: wait 2 s")
    person.until("  1  plant")
    person.types("Wi-Fi network", "1")
    person.types("Password of plant", "wrong horse")
    person.until("the node can't join plant: wifi wrong password")
    person.types("Wi-Fi network", "plant")
    person.types("Password of plant", "correct horse")
    person.types("MQTT broker", "mqt//x")
    person.until("the address is invalid")
    person.types("MQTT broker", "mqtt://127.0.0.1:9")
    person.until("broker mqtt://127.0.0.1:9: ")
    person.types("MQTT broker", str(broker.url))
    person.types("Time server", "ntp plant")
    person.until("expected the name or IPv4 address")
    person.types("Time server", "")
    for question, answer in (("Site", "north"), ("Area", ""), ("Line", ""), ("Machine (asset)", "")):
        person.types(question, answer)
    person.until("expected an answer")
    person.types("Machine (asset)", "pump-7")
    person.types("Name of the node", "drive/end")
    person.until("without / + #")
    person.types("Name of the node", "drive-end")
    person.types("Machine by", "2")
    person.types("Mounting", "")
    person.types("Bearing", "62")
    person.until("the library has 6203, 6204, 6205, 6206, 6207: which one?")
    person.types("Bearing", "6205")
    person.types("Speed", "fast")
    person.types("Speed", "1480")
    person.types("Thresholds", "velocity 2.8 4.5; temperature 70 85")
    person.until("octaves, g RMS", 60)
    person.until(" 208 to    417 Hz   0.0400 " + 30 * "█")
    person.until("strongest lines, g")
    person.until("100.0 Hz   0.2500 " + 30 * "█")
    person.until("200.5 Hz   0.1250 " + 15 * "█")
    person.until("north/area/line/pump-7/drive-end is in service after")
    person.until("0.100 g RMS; 100 Hz 0.250 g, 200 Hz 0.125 g; commissioning: 1 of 10 healthy measurements")
    person.until("it refuses every command: its time server pool.ntp.org does not answer")
    person.until("wrong codes were tried on this node before, 1 in all")
    assert person.ends() == 0

    assert json.loads((node.root / "config.json").read_text()) == {
        "site": "north",
        "area": "area",
        "line": "line",
        "asset": "pump-7",
        "node": "drive-end",
        "wifi": {"ssid": "plant", "password": "correct horse"},
        "broker": {"host": "127.0.0.1", "port": broker.port},
        "time_server": "pool.ntp.org",
        "machine": {"rpm": 1480.0, "group": 2, "mounting": "rigid", "bearing": "6205"},
        "limits": {"velocity": [2.8, 4.5], "temperature": [70.0, 85.0]},
    }
    entry = Inventory(home / "inventory.sqlite").named("drive-end")
    assert (entry.id, entry.state, entry.board, entry.bearing, entry.generation) == (
        ID, "in service", "unix", "6205", 1
    )  # fmt: skip
    key = KeyStore(home / "keys").device_keys(ID)[1]
    assert json.loads((node.root / "device.key").read_text()) == {"generation": 1, "key": key.hex()}
    assert Codes(home / "keys").get(ID) == CODE
    assert not (home / "keys" / "provision.json").exists()
    for secret in (CODE, shown(CODE), key.hex(), "correct horse", "wrong horse"):
        assert secret not in person.seen


def test_a_run_that_breaks_off_goes_on_where_it_stopped(node: Node, broker: EmbeddedBroker, home: Path) -> None:
    plant = Plant(broker)
    person = Person("provision", "--port", plant.add(node), "--broker", str(broker.url))
    person.types("Code on its label", CODE)
    person.types("Wi-Fi network", "plant")
    person.types("Password of plant", "correct horse")
    person.types("Time server", "none")
    person.types("Site", "north")
    person.until("Area")
    person.breaks_off()
    state = home / "keys" / "provision.json"
    assert state.stat().st_mode & 0o777 == 0o600
    assert runs_of(home) == {ID: ("interrupted", "area", "")}
    node.cut()
    person = Person("provision", "--port", plant.add(node), "--broker", str(broker.url), "--limit", "20")
    person.until("continuing with node")
    for question in ("Area", "Line"):  # neither code nor password nor site a second time
        person.types(question, "")
    person.types("Machine (asset)", "pump-7")
    person.types("Name of the node", "n-1")
    for question in ("Machine by", "Mounting", "Bearing", "Speed", "Thresholds"):
        person.types(question, "")
    person.until("is in service")
    assert person.ends() == 0
    assert "Code" not in person.seen and "Password" not in person.seen and "Site" not in person.seen
    assert not state.exists()
    assert runs_of(home) == {ID: ("done", "list", "")}


def test_a_node_without_a_radio_is_enrolled_over_its_cable_and_asked_for_no_network(node: Node, home: Path) -> None:
    person = Person("provision", "--port", node.start(board="pico"))
    person.types("Code on its label", CODE)
    for question, answer in (("Site", "north"), ("Area", ""), ("Line", ""), ("Machine (asset)", "pump-7")):
        person.types(question, answer)
    person.types("Name of the node", "n-1")
    for question in ("Machine by", "Mounting", "Bearing", "Speed", "Thresholds"):
        person.types(question, "")
    person.until("north/area/line/pump-7/n-1 is enrolled after")
    person.until("quaver gateway grant GATEWAY n-1")
    assert person.ends() == 0
    assert "Wi-Fi" not in person.seen and "broker" not in person.seen and "warning" not in person.seen
    given = json.loads((node.root / "config.json").read_text())
    assert given["node"] == "n-1" and not {"wifi", "broker", "time_server"} & set(given)
    assert node.state() == "enrolled"
    assert Inventory(home / "inventory.sqlite").named("n-1").state == "enrolled"


def test_the_questions_without_a_terminal() -> None:
    """Several nodes: the first that blinks is the wrong one."""
    flow = Flow({"profiles": PROFILES})
    work: list[str] = []
    results: dict[str, Any] = {
        "find": {"/dev/a": "00aa at /dev/a", "/dev/b": "00bb at /dev/b"},
        "connect": {"board": "pico_w"},
        "scan": [["plant", -50, True]],
        "send": {"generation": 1},
    }
    typed = {
        "node": ["2", "/dev/a"],
        "right": ["n", "y"],
        "code": ["QUAVER1:" + "0" * 16 + ":" + CODE, CODE],
        "ssid": [""],
        "broker": ["mqtt://localhost", "mqtt://x:1"],
        "asset": ["pump"],
        "name": ["n-1"],
        "group": ["3", "0"],
        "bearing": ["3.58/5.42/2.36/0.398"],
        "limits": ["velocity 5 4", "hum 1 2", ""],
    }
    reasons = []
    while (step := flow.next()) is not None:
        if isinstance(step, Do):
            work.append(step.name)
            if step.name == "show":
                flow.answers["id"] = "00" * 8 if work.count("show") == 1 else "e6" * 8
            flow.done(results.get(step.name, True))
            continue
        try:
            flow.answer(typed[step.name].pop(0) if typed.get(step.name) else "")
        except ValueError as error:
            reasons.append(str(error))
    assert work == [
        *("find", "show", "show", "connect", "scan", "join", "reach", "place", "send", "check", "spectrum", "list")
    ]  # fmt: skip
    assert reasons == [
        "that label is of another node",
        "localhost would be the node itself: expected the address that the broker has in its network",
        "expected 1 (large), 2 (medium) or 0 (not in the standard)",
        *["expected FEATURE WARNING ALARM, as in velocity 2.8 4.5; features: "
          "rms, peak, crest, kurtosis, velocity, envelope, temperature, current"] * 2,
    ]  # fmt: skip
    assert flow.answers["node"] == "/dev/a" and "mounting" not in flow.answers
    made = config(flow.answers)
    assert made["wifi"] == {"ssid": "plant", "password": "correct horse"}
    assert "ca" not in made["broker"]
    secured = config(flow.answers | {"broker": "mqtts://me:secret@plant"})["broker"]
    assert secured == {"host": "plant", "port": 8883, "user": "me", "password": "secret", "ca": "/ca.pem"}
    assert made["machine"] == {"rpm": 0.0, "group": 0, "bearing": {"ratios": [3.58, 5.42, 2.36, 0.398]}}


def test_work_that_fails_asks_again_for_what_it_was_about() -> None:
    flow = Flow({"found": {"a": "a"}, "node": "a", "shown": True, "code": CODE})
    step = flow.next()
    assert isinstance(step, Do) and step.name == "connect"
    assert flow.failed() == ("code",)
    step = flow.next()
    assert isinstance(step, Ask) and step.name == "code" and step.secret


def test_work_that_fails_the_same_way_twice_ends_the_run(tmp_path: Path) -> None:
    """Where no answer is asked for anew in between, it would fail so for ever."""
    known = {"site": "s", "area": "a", "line": "l", "asset": "p", "name": "n", "group": 0, "bearing": None, "rpm": 0.0}
    known |= {"found": {"a": "a"}, "node": "a", "shown": True, "code": CODE, "ssid": "x", "password": "", "limits": {}}
    known |= {"joined": True, "broker": "mqtt://x", "reached": True, "time_server": "", "about": {}, "place": "p"}
    known["id"] = ID.hex()

    class Worker:
        tries = 0

        def do(self, name: str, answers: dict[str, Any]) -> Any:
            if name == "send":
                self.tries += 1
                raise SessionError("no room" if self.tries > 1 else "not now")
            return {}

    worker, saved = Worker(), []
    flow = Flow(known)
    with Runs(runs_path(tmp_path / "inventory.sqlite")) as runs, pytest.raises(SessionError, match="no room"):
        _walk(flow, worker, lambda: saved.append(1), lambda question: "", _Told(runs, flow))  # type: ignore[arg-type]
    assert worker.tries == 3 and saved


def test_a_state_that_can_not_be_believed_is_not_used(tmp_path: Path) -> None:
    saved = Saved(tmp_path / "provision.json")
    assert saved.load() == {}
    saved.save({"id": "00", "found": {"a": "b"}, "about": {}})
    assert saved.load() == {"id": "00"}
    saved.path.write_text("[")
    with pytest.raises(SessionError, match="remove it to start again"):
        saved.load()
    saved.path.chmod(0o644)
    with pytest.raises(SessionError, match="chmod 600"):
        saved.load()


def test_profiles_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "wifi.toml"
    assert read_profiles(path) == {}
    path.write_text('[hall]\nssid = "plant"\npassword = "correct horse"\n')
    with pytest.raises(SessionError, match="chmod 600"):
        read_profiles(path)
    path.chmod(0o600)
    assert read_profiles(path) == PROFILES
    path.write_text('[hall]\nssid = "plant"\npassword = "correct horse"\ntime_server = ""\n')
    assert read_profiles(path) == {"hall": {**PROFILES["hall"], "time_server": ""}}
    server = '[a]\nssid="x"\npassword=""\ntime_server="a b"'
    for wrong in ("x", "[a]\nssid=1", "a=1", '[a]\nssid="x"', server):
        path.write_text(wrong)
        with pytest.raises(SessionError):
            read_profiles(path)


def test_a_plan_names_each_mistake_by_row_and_spares_the_rest(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path / "inventory.sqlite")
    inventory.put(Entry(bytes(7) + b"\xff", "taken", asset="p"))
    codes = Codes(tmp_path / "keys")
    codes.put(bytes(7) + b"\x01", CODE)
    other = new_code()
    lines = [
        "id,name,asset,code,wifi,bearing,rpm,limits",
        "0000000000000001,n-1,p,,hall,6205,1480,velocity 2.8 4.5",
        f"0000000000000002,n-2,p,{shown(other).lower()},hall,,,",
        f"0000000000000003,n-3,p,{other},hall,6299,,",
        f"0000000000000004,n-2,p,{other},hall,,,",
        f"0000000000000005,taken,p,{other},hall,,,",
        f"0000000000000006,n-6,p,{other[:-1]}U,hall,,,",
        "0000000000000007,n-7,p,,hall,,,",
        f"0000000000000008,n-8,p,{other},shed,,,",
        f"0000000000000001,n-9,p,{CODE},hall,,,",
        f"000000000000000a,n-10,p,{other},hall,,-5,",
        f"000000000000000b,n-11,p,{other},hall,,,hum 1 2",
        f"000000000000000c,,p,{other},hall,,,",
        f"000000000000000d,n-13,p,{other},,6204,960,",
    ]
    (tmp_path / "plan.csv").write_text("\n".join(lines) + "\n")
    good, mistakes = read_plan(tmp_path / "plan.csv", PROFILES, codes, inventory, "mqtt://x")
    assert [row for row, _ in good] == [2, 3, 14]
    assert [(m.row, m.column) for m in mistakes] == [
        (4, "bearing"), (5, "name"), (6, "name"), (7, "code"), (8, "code"), (9, "wifi"), (10, "id"), (11, "rpm"),
        (12, "limits"), (13, "name"),
    ]  # fmt: skip
    assert all(other not in str(mistake) for mistake in mistakes)
    assert "topic prefix site/area/line/p/n-2 is also in row 3" in str(mistakes[1])
    _, mistakes = read_plan(tmp_path / "plan.csv", {}, codes, inventory)
    assert {"is not a Wi-Fi profile: there are none", "is missing; name one for all with --broker"} <= {
        mistake.reason for mistake in mistakes
    }
    with pytest.raises(InventoryError, match="can't be read"):
        read_plan(tmp_path / "none.csv", {}, codes, inventory)


def test_a_plan_is_carried_out(
    tmp_path: Path, broker: EmbeddedBroker, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seven nodes, of which one has another code, one is not there, one has a twin, and one row is wrong: the others
    are in service.
    """
    plant, nodes, ports = Plant(broker), [], []
    lines = ["id,name,asset,code,bearing"]
    for n in range(1, 8):
        root = tmp_path / f"flash-{n}"
        root.mkdir()
        node = Node(root, bytes(7) + bytes((n,)), new_code())
        nodes.append(node)
        if n != 4:
            ports += ["--port", plant.add(node)]
        if n == 7:
            (tmp_path / "twin").mkdir()
            nodes.append(Node(tmp_path / "twin", node.identity, new_code()))
            ports += ["--port", plant.add(nodes[-1])]
        given = new_code() if n == 3 else node.code
        lines.append(f"{node.identity.hex()},n-{n},pump-{n},{given},{'62O5' if n == 5 else '6205'}")
    (home / "keys").mkdir(mode=0o700)
    profile = home / "keys" / "wifi.toml"
    profile.write_text('[hall]\nssid = "plant"\npassword = "correct horse"\n')
    profile.chmod(0o600)
    (tmp_path / "plan.csv").write_text("\n".join(lines) + "\n")
    arguments = ["provision", "--from", str(tmp_path / "plan.csv"), "--broker", str(broker.url), "--json", *ports]
    try:
        assert main([*arguments, "--limit", "20"]) == 15
    finally:
        for node in nodes:
            node.cut()
    out = capfd.readouterr().out
    results = {result["row"]: result for result in map(json.loads, out.splitlines())}
    assert {row for row, result in results.items() if "failed" not in result} == {2, 3, 7}
    assert results[2]["place"] == "site/area/line/pump-1/n-1" and results[2]["first"]["peaks"]
    assert "the node has another code" in results[4]["failed"]
    assert "was not found" in results[5]["failed"]
    assert results[6]["column"] == "bearing"
    assert f"answers at {ports[-3]}, {ports[-1]}; connect one board with that id at a time" in results[8]["failed"]
    states = {n: node.state() for n, node in enumerate(nodes, 1)}
    assert states == {
        1: "enrolled",
        2: "enrolled",
        3: "blank",
        4: "blank",
        5: "blank",
        6: "enrolled",
        7: "blank",
        8: "blank",
    }
    entries = Inventory(home / "inventory.sqlite").entries()
    assert [entry.state for entry in entries] == ["in service"] * 3
    told = {node[-1]: (state, step) for node, (state, step, _) in runs_of(home).items()}
    assert told == {
        **dict.fromkeys((1, 2, 6), ("done", "list")),
        3: ("failed", "connect"),
        **dict.fromkeys((4, 7), ("failed", "find")),
    }, "the row that is wrong has no node that is sure"
    assert not any(node.code in out for node in nodes)


def test_what_a_node_said_before_it_was_enrolled_anew_does_not_count(
    node: Node, broker: EmbeddedBroker, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the broker its old status still says online; the node itself does not come."""
    (home / "keys").mkdir(mode=0o700)
    (home / "plan.csv").write_text(
        "id,name,asset,code,wifi,time_server\n" + f"{ID.hex()},n-1,pump-7,{CODE},hall,192.168.1.1\n"
    )
    profile = home / "keys" / "wifi.toml"
    profile.write_text('[hall]\nssid = "plant"\npassword = "correct horse"\n')
    profile.chmod(0o600)
    arguments = ["provision", "--from", str(home / "plan.csv"), "--broker", str(broker.url), "--json"]
    assert main([*arguments, "--port", Plant(broker).add(node), "--limit", "20"]) == 0
    first = json.loads(capfd.readouterr().out)
    assert (first["dated"], first["generation"]) == (True, 1)
    (node.root / "device.key").unlink()
    KeyStore(home / "keys").revoke(ID, "stolen")
    assert main([*arguments, "--port", node.start(), "--limit", "1", "--expires", "90"]) == 15
    assert "has not reached" in json.loads(capfd.readouterr().out)["failed"]
    keys = KeyStore(home / "keys")
    assert (keys.ended(ID, 1), keys.ended(ID, 2), keys.nodes()[0].end().days) == ("revoked", None, 90), "it comes back"


def test_who_can_not_seal_is_not_heard(tmp_path: Path) -> None:
    """A plain record, and one under another key, say nothing about a node that is enrolled."""
    keys = KeyStore(tmp_path / "keys")
    keys.create(ID, "n-1")
    topic = "site/area/line/p/n-1/status"
    plain = dumps({number: value for number, value in STATUS.items() if number not in (1, 2)})
    sealed = Sealer(keys.device_keys(ID)[1], ID, 1, "uplink").seal("status", 3, 9, plain)
    assert decode(topic, sealed, opener=Opener(keys)).values["state"] == "online"
    for false in (dumps(STATUS), Sealer(bytes(32), ID, 1, "uplink").seal("status", 3, 9, plain)):
        with pytest.raises(MessageError):
            decode(topic, false, opener=Opener(keys))
