"""The bridge: what a store gets, once to each sink, whatever is killed or away meanwhile."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import paho.mqtt.client as paho
import pytest
from fleet import PLACE, Node, publish
from jsonschema import Draft202012Validator
from test_ingest import FAN, PUMP, Bench, said_by, start

from quaver.bench.mosquitto import Mosquitto
from quaver.bench.postgresql import QUICK, Postgresql
from quaver.bridge.formats import KINDS, as_json, as_senml, schema, senml_cbor
from quaver.bridge.metrics import Collector
from quaver.cli import main
from quaver.errors import StoreError
from quaver.fleet.keys import KeyStore
from quaver.messages.quantities import PLAIN_NUMBERS, QUANTITIES, numbers
from quaver.messages.record import MessageError, readable
from quaver.query.source import Place, Source
from quaver.store.ledger import ledger
from quaver.store.location import PostgresqlUrl, open_records
from quaver_wire.fields import EVENTS, LIMITED, STATUS, TELEMETRY
from quaver_wire.names import ENERGY, rows
from quaver_wire.spectrum import BINS
from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
NOW_MS = time.time_ns() // 1_000_000
SPECTRUM = {
    "spectrum": bytes(range(256)), "envelope_spectrum": bytes(BINS), "spectrum_hz": 13333.5,
    "envelope_spectrum_hz": 833.4, "rms_g": None, "kurtosis": None,
}  # fmt: skip
ENERGIES = [230.0, 1.5, 300.0, 345.0, 0.87, 50.0, 12.5]


class Listener:
    """Another system at the broker: what it heard, in order, each as (topic, payload, retained)."""

    def __init__(self, port: int, name: str = "other-system") -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._port = port
        self._ready = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=2)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, m: self.heard.append((m.topic, m.payload, m.retain))
        self._client.reconnect_delay_set(1, 1)
        self.start()

    def start(self) -> None:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(20)

    def of(self, ending: str, kept: bool = False) -> list[Any]:
        """What was published; kept: what the broker keeps, and sends at each subscription."""
        return [json.loads(payload) for topic, payload, again in self.heard if topic.endswith(ending) and again == kept]

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(mosquitto: Mosquitto) -> Iterator[Listener]:
    found = Listener(mosquitto.port)
    yield found
    found.stop()


def write(tmp_path: Path, bench: Bench, mosquitto: Mosquitto, **mqtt: Any) -> Path:
    path = tmp_path / "bridge.toml"
    more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in mqtt.items())
    path.write_text(
        f'store = "{bench.path}"\nbegin = "first"\n[mqtt]\nbroker = "mqtt://127.0.0.1:{mosquitto.port}"\n{more}'
    )
    return path


def readings(bench: Bench) -> list[Any]:
    with Source(bench.path) as source:
        return source.after(Place(), 1000)


def test_every_number_of_a_record_has_a_quantity() -> None:
    names = []
    for _, name, form in rows((*TELEMETRY, *STATUS)):
        if not name:
            names += [inner for inner, _ in rows(form, 2)]
        elif isinstance(form, str):
            names.append(name)
    words = {"level", "quality", "zone", "machine", "fault", "state", "role", "abstained", "firmware", "board"}
    words.add("quantities")  # which have names of their own
    assert set(names) - words - {"spectrum", "envelope_spectrum"} <= set(QUANTITIES)
    assert {f"energy.{name}" for name in ENERGY} <= set(QUANTITIES)
    assert set(LIMITED.values()) <= set(QUANTITIES)
    assert not set(QUANTITIES) & set(PLAIN_NUMBERS)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_messages_are_as_their_schema_says(bench: Bench, pump: Node) -> None:
    bench.take(
        pump.says("status"),
        pump.says(
            rms_g=0.5, temperature_c=41.5, energy=[230.0, 1.5, 300.0, 345.0, 0.87, 50.0, 12.5], level=2, quality=1
        ),
        pump.says(**SPECTRUM),
        pump.says("event", code=EVENTS.index("level"), event_level=2, subject="rms", value=0.5, limit=0.4),
        pump.says("event", code=200),
        pump.says("answer", result={"state": "trial"}),
        now=NOW_MS,
    )
    found = readings(bench)
    assert [one.kind for one in found] == ["status", "telemetry", "spectrum", "event", "event", "answer"]
    for one in found:
        message = json.loads(as_json(one))
        Draft202012Validator(schema(one.kind)).validate(message)
        assert (message["site"], message["node"], message["seq"]) == ("plant", "pump-7", one.place.seq)
    telemetry, spectrum = json.loads(as_json(found[1])), json.loads(as_json(found[2]))
    assert telemetry["values"]["energy"]["power_w"] == 300.0 and telemetry["values"]["level"] == "alarm"
    assert len(spectrum["values"]["spectrum"]) == BINS and spectrum["values"]["spectrum"][0] == 0
    for kind in KINDS:
        Draft202012Validator.check_schema(schema(kind))
    spoiled = {**telemetry, "values": {**telemetry["values"], "rms_g": "much"}}
    assert not Draft202012Validator(schema("telemetry")).is_valid(spoiled)


def test_senml_has_base_units_and_is_the_same_in_cbor(bench: Bench, pump: Node) -> None:
    energy = [230.0, None, None, None, None, None, 2.0]
    bench.take(pump.says(rms_g=1.0, temperature_c=41.5, velocity_mm_s=2.5, energy=energy, time_ms=NOW_MS), now=NOW_MS)
    (reading,) = readings(bench)
    pack = as_senml(reading)
    assert pack[0]["bn"] == f"{PUMP.hex()}/telemetry/" and pack[0]["bt"] == NOW_MS / 1000
    values = {one["n"]: (one.get("v"), one.get("u")) for one in pack}
    assert values["rms_g"] == (9.80665, "m/s2") and values["temperature_c"] == (41.5, "Cel")
    assert values["velocity_mm_s"] == (0.0025, "m/s") and values["energy.energy_kwh"] == (7_200_000, "J")
    names = {-2: "bn", -3: "bt", 0: "n", 1: "u", 2: "v", 3: "vs"}
    assert [{names[label]: value for label, value in one.items()} for one in cbor2.loads(senml_cbor(reading))] == pack


def test_what_has_no_field_goes_out_under_its_own_name_and_unit(
    bench: Bench, pump: Node, mosquitto: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    own = {"oil_pressure": [4.15, "bar"], "turbidity": [0.1, "[NTU]"]}
    bench.take(pump.says(time_ms=NOW_MS, quantities=own), now=NOW_MS)
    (reading,) = readings(bench)
    message = json.loads(as_json(reading))
    Draft202012Validator(schema("telemetry")).validate(message)
    assert message["values"]["quantities"] == {
        "oil_pressure": {"value": 4.15, "unit": "bar"}, "turbidity": {"value": 0.1, "unit": "[NTU]"}
    }  # fmt: skip
    pack = {record["n"]: record for record in as_senml(reading) if record["n"].startswith("quantities")}
    assert pack == {
        "quantities.oil_pressure": {"n": "quantities.oil_pressure", "u": "Pa", "v": 415_000.0},
        "quantities.turbidity": {"n": "quantities.turbidity", "v": 0.1},  # RFC 8428 has no unit for it
    }
    assert main(["bridge", "run", str(write(tmp_path, bench, mosquitto, home_assistant="ha")), "--until-done"]) == 0
    wait_until(lambda: listener.of("/config"), what="the discovery")
    pressure = listener.of("/config")[0]["components"]["quantities_oil_pressure"]
    assert (pressure["name"], pressure["unit_of_measurement"]) == ("oil pressure", "bar")
    assert pressure["device_class"] == "pressure"
    assert "['quantities']['oil_pressure']['value']" in pressure["value_template"]
    families = {one.name: one for one in Collector(bench.path, []).collect()}
    samples = {(one.labels["quantity"], one.labels["unit"]): one.value for one in families["quaver_quantity"].samples}
    assert samples == {("oil_pressure", "bar"): 4.15, ("turbidity", "[NTU]"): 0.1}


@pytest.mark.parametrize(
    "own",
    [
        {f"q{n}": [1.0, "bar"] for n in range(13)},
        {"oil": [1.0, "a unit"]},
        {"oil": [1.0]},
        {"<b>": [1.0, "bar"]},
        {"oil": [float("inf"), "bar"]},
    ],
)
def test_what_breaks_the_bounds_of_a_quantity_is_not_handed_on_as_one(
    own: dict[str, Any], bench: Bench, pump: Node
) -> None:
    with pytest.raises(MessageError, match="quantities has"):
        readable({"quantities": own})
    bench.take(pump.says(time_ms=NOW_MS, quantities=own), now=NOW_MS)
    for reading in readings(bench):
        assert not any(name.startswith("quantities") for name, _, _ in numbers(reading.values))


def test_a_spectrum_in_senml_keeps_its_levels(bench: Bench, pump: Node) -> None:
    bench.take(pump.says(**SPECTRUM), now=NOW_MS)
    (reading,) = readings(bench)
    text = next(one["vd"] for one in as_senml(reading) if one["n"] == "spectrum")
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == bytes(range(256))
    (packed,) = (one[8] for one in cbor2.loads(senml_cbor(reading)) if one[0] == "spectrum")
    assert packed == bytes(range(256))


def test_a_backlog_is_marked_and_takes_no_last_value_away(
    bench: Bench, pump: Node, mosquitto: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    now_ms = time.time_ns() // 1_000_000
    old = {"time_ms": now_ms - 3_600_000, "uptime_ms": 1000}
    new = {"time_ms": now_ms + 600_000, "uptime_ms": 4_201_000}  # its clock is ahead: a slow test is no backlog
    bench.take(pump.says(**old, rms_g=0.1), pump.says(**new, rms_g=0.9), now=now_ms)
    path = write(tmp_path, bench, mosquitto, formats=["json", "senml", "senml-cbor"])
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(lambda: len(listener.of("pump-7/telemetry")) == 2, what="both records")
    assert [(one["values"]["rms_g"], one["historical"]) for one in listener.of("pump-7/telemetry")] == [
        (0.1, True),
        (0.9, False),
    ]
    assert len(listener.of("pump-7/telemetry/senml")) == 2
    late = Listener(mosquitto.port, "comes-later")
    wait_until(lambda: late.of(f"{PLACE}/pump-7/telemetry", kept=True), what="the last value, for whoever comes later")
    late.stop()
    assert [one["values"]["rms_g"] for one in late.of("pump-7/telemetry", kept=True)] == [0.9]
    assert late.of("open/schema/telemetry", kept=True) == [schema("telemetry")]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_each_record_comes_once_whenever_the_bridge_is_killed(
    bench: Bench, pump: Node, mosquitto: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    """Killed in the middle of what is under way, again and again, and the broker restarted in between.

    The judge is away meanwhile: Mosquitto 2.0.11, started again, sends once more what was under way to a subscriber.
    """
    judge = Listener(mosquitto.port, "judge")
    judge.stop()
    path = write(tmp_path, bench, mosquitto)
    command = [sys.executable, "-m", "quaver.cli", "bridge", "run", str(path)]
    count = 0
    for turn in range(5):
        bench.take(*(pump.says(uptime_ms=1000 + n) for n in range(300)), now=NOW_MS)
        count += 300
        before = len(listener.of("pump-7/telemetry"))
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as bridge:
            try:
                wait_until(
                    lambda start=before: len(listener.of("pump-7/telemetry")) > start + 20, what="some of the records"
                )
            finally:
                bridge.send_signal(signal.SIGKILL)
        if turn == 2:
            mosquitto.stop()
            mosquitto.start()
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    judge.start()
    wait_until(lambda: len(judge.of("pump-7/telemetry")) >= count, what="all records")
    judge.stop()
    assert [one["seq"] for one in judge.of("pump-7/telemetry")] == list(range(count))


def test_a_broker_that_is_away_holds_up_nothing_else(
    bench: Bench,
    pump: Node,
    mosquitto: Mosquitto,
    listener: Listener,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path, bench, mosquitto, home_assistant="homeassistant")
    path.write_text(path.read_text() + '[prometheus]\nlisten = "127.0.0.1:0"\n')
    command = [sys.executable, "-m", "quaver.cli", "bridge", "run", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bridge:
        try:
            assert bridge.stderr is not None
            where = bridge.stderr.readline().rpartition(" ")[2].strip()

            def metrics() -> str:
                with urllib.request.urlopen(where, timeout=20) as answer:
                    return str(answer.read().decode())

            bench.take(pump.says("status"), pump.says(temperature_c=41.5, level=2), now=NOW_MS)
            wait_until(lambda: listener.of("pump-7/telemetry"), what="the record")
            mosquitto.stop()
            bench.take(*(pump.says(rms_g=0.5) for _ in range(50)), now=NOW_MS)
            wait_until(lambda: 'quaver_bridge_sink_up{sink="mqtt"} 0.0' in metrics(), what="that the sink is down")
            assert 'quaver_bridge_sink_waiting{sink="mqtt"} 50.0' in metrics()
            labels = '{area="hall",asset="pump",line="line-2",node="pump-7",site="plant"}'
            assert f"quaver_rms_meters_per_second_squared{labels} {0.5 * 9.80665}" in metrics()
            mosquitto.start()
            wait_until(lambda: len(listener.of("pump-7/telemetry")) == 51, what="what waited")
        finally:
            bridge.send_signal(signal.SIGINT)
            said = bridge.stderr.read() if bridge.stderr else ""
        assert bridge.wait(20) == 0
    assert "mqtt: broker mqtt://127.0.0.1" in said and "what is new waits in the store" in said
    assert "mqtt: connected again; 50 records waited" in said


def test_a_database_that_is_cut_is_waited_for_and_each_record_comes_once(
    pump: Node, keys: KeyStore, mosquitto: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    """Under ingest and bridge at once, as by a power cut, while records come."""
    path, opened = tmp_path / "bridge.toml", f"open/{PLACE}/pump-7/telemetry"
    broker = f'broker = "mqtt://127.0.0.1:{mosquitto.port}"\n'
    with Postgresql(QUICK) as server:
        where = PostgresqlUrl(server.create())
        tables = f"[mqtt]\n{broker}[sparkplug]\n{broker}" + '[prometheus]\nlisten = "127.0.0.1:0"\n'
        path.write_text(f'store = "{where}"\nbegin = "first"\n{tables}')
        ingest = start(mosquitto.port, where, keys)
        said_by(ingest, "storing the messages from")
        command = [sys.executable, "-m", "quaver.cli", "bridge", "run", str(path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bridge:
            try:
                assert bridge.stderr is not None
                metrics = bridge.stderr.readline().rpartition(" ")[2].strip()
                count = 0
                for _ in range(2):
                    load = [(pump.topic("telemetry"), pump.seal(rms_g=0.5)) for _ in range(300)]
                    publishing = threading.Thread(target=publish, args=(mosquitto.port, load[:200]))
                    publishing.start()
                    wait_until(lambda some=count: len(listener.of(opened)) > some, what="some records")
                    server.stop("immediate")
                    publishing.join()
                    publish(mosquitto.port, load[200:])
                    said_by(ingest, "waiting until it is back; the broker keeps new messages")
                    wait_until(lambda: b"quaver_store_up 0.0" in scraped(metrics), what="that the store is away")
                    assert b'quaver_bridge_sink_up{sink="mqtt"} 1.0' in scraped(metrics)
                    server.start()
                    count += len(load)
                    said_by(ingest, "the store is free again")
                    wait_until(lambda all_=count: len(listener.of(opened)) == all_, what="all records")
            finally:
                bridge.send_signal(signal.SIGINT)
                said = bridge.stderr.read() if bridge.stderr else ""
            assert bridge.wait(20) == 0
        with open_records(where, write=False) as store:
            (account,), _ = ledger(store)
            assert (account.received, account.unexplained, account.refused) == (600, 0, {})
        ingest.send_signal(signal.SIGINT)
        ingest.communicate(timeout=PATIENCE_S)
    assert [one["seq"] for one in listener.of(opened)] == list(range(600))
    lines = [line.rpartition("; ")[2] for line in said.splitlines() if "keeps its place" in line or "again" in line]
    back = f"quaver: {where}: the store can be read again"
    assert lines == 2 * ["each sink keeps its place", back], said


def scraped(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return bytes(answer.read())


def test_home_assistant_finds_a_node_and_what_it_measures(
    bench: Bench, pump: Node, mosquitto: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    fan = Node(bench.keys, FAN, "fan-1")
    bench.take(pump.says("status"), pump.says(temperature_c=41.5, fault=0), fan.says(), now=NOW_MS)
    path = write(tmp_path, bench, mosquitto, home_assistant="homeassistant")
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(lambda: len(listener.of("/config")) == 2, what="both devices")
    told = listener.of(f"homeassistant/device/quaver_{PUMP.hex()}/config")[0]
    assert told["device"]["name"] == "pump-7" and told["device"]["model"] == "pico_w" and told["origin"]["name"]
    temperature = told["components"]["temperature_c"]
    assert temperature["device_class"] == "temperature" and temperature["unit_of_measurement"] == "°C"
    assert temperature["state_topic"] == f"open/{PLACE}/pump-7/telemetry"
    assert temperature["expire_after"] == 180  # three intervals of 60 s
    assert "temperature_c" not in listener.of(f"quaver_{FAN.hex()}/config")[0]["components"]
    ids = [one["unique_id"] for device in listener.of("/config") for one in device["components"].values()]
    assert len(ids) == len(set(ids))

    bench.take(fan.says(temperature_c=30.0), now=NOW_MS)
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(
        lambda: "temperature_c" in listener.of(f"quaver_{FAN.hex()}/config")[-1]["components"], what="more of it"
    )


def test_what_the_broker_does_not_allow_is_told_and_waits(bench: Bench, pump: Node, tmp_path: Path) -> None:
    """With the ACL of the documentation, which lets the bridge write below open/ alone."""
    text = (ROOT / "docs" / "bridge.md").read_text()
    (tmp_path / "acl").write_text(text.partition("```acl\n")[2].partition("```")[0])
    (tmp_path / "passwords").write_text("bridge:secret\ndashboard:other\n")
    subprocess.run(["mosquitto_passwd", "-U", tmp_path / "passwords"], check=True)
    rules = f"allow_anonymous false\npassword_file {tmp_path}/passwords\nacl_file {tmp_path}/acl"
    login = tmp_path / "bridge.login"
    bench.take(pump.says(), now=NOW_MS)
    with Mosquitto(tmp_path / "strict", rules) as broker:

        def says(words: str, user: str, **mqtt: Any) -> None:
            login.write_text(user)
            login.chmod(0o600)
            path = write(tmp_path, bench, broker, login_file="bridge.login", **mqtt)
            command = [sys.executable, "-m", "quaver.cli", "bridge", "run", str(path)]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bridge:
                assert bridge.stderr is not None
                try:
                    assert any(words in line for line in bridge.stderr)
                finally:
                    bridge.kill()

        says("bad user or password", "bridge:wrong")
        says(
            f"refused a message on elsewhere/{PLACE}/pump-7/telemetry; allow this user",
            "bridge:secret",
            prefix="elsewhere",
        )
        path = write(tmp_path, bench, broker, login_file="bridge.login")
        assert main(["bridge", "run", str(path), "--until-done"]) == 0


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_home_assistant_keeps_what_a_node_was_before_its_last_will(
    bench: Bench, pump: Node, mosquitto: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    will = pump.says("status", state=0, firmware=None, board=None, interval_s=None)
    bench.take(pump.says("status"), pump.says(temperature_c=41.5), will, now=NOW_MS)
    path = write(tmp_path, bench, mosquitto, home_assistant="homeassistant")
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(lambda: listener.of("/config"), what="the device")
    (told,) = listener.of("/config")
    assert told["device"]["model"] == "pico_w" and told["components"]["temperature_c"]["expire_after"] == 180


def test_a_place_is_found_again_in_a_store_that_was_vacuumed(bench: Bench, pump: Node) -> None:
    bench.take(*(pump.says() for _ in range(10)), now=NOW_MS)
    with Source(bench.path) as source:
        place = source.after(Place(), 5)[-1].place
        moved = source.find(place._replace(row=99))
        assert moved == place and len(source.after(moved, 100)) == 5
        with pytest.raises(StoreError, match="is another store"):
            source.find(Place(3, place.node, 7, 7))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_last_will_is_the_latest_status_though_its_number_is_older(bench: Bench, pump: Node) -> None:
    will = pump.says("status", state=0)
    bench.take(pump.says("status"), pump.says(), will, now=NOW_MS)
    with Source(bench.path) as source:
        assert [one.values["state"] for one in source.newest("status")] == ["offline"]
        told = [(one.values["state"], one.latest) for one in source.after(Place(), 9) if one.kind == "status"]
    assert told == [("online", False), ("offline", True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("store = 1", "store"),
        ('store = "x"', "there is no sink: add a table"),
        ('store = "x"\n[mqtt]\nbroker = "mqtt://me:secret@h"', "do not belong into this file"),
        ('store = "x"\n[mqtt]\nbroker = "http://h"', "mqtt.broker"),
        ('store = "x"\n[mqtt]\nbroker = "mqtt://h"\nprefix = "a/#"', "mqtt.prefix: expected the beginning of a topic"),
        ('store = "x"\n[mqtt]\nbroker = "mqtt://h"\nformats = ["xml"]', "mqtt.formats"),
        ('store = "x"\n[mqtt]\nbroker = "mqtt://h"\nformats = ["senml"]\nhome_assistant = "ha"', 'the format "json"'),
        ('store = "x"\n[prometheus]\nlisten = "9464"', "expected address:port"),
        ('store = "x"\n[mqtt]\nbroker = "mqtt://h"\nspeed = 3', "mqtt.speed"),
        ("store = ", "is no TOML"),
        ('store = "none.sqlite"\n[prometheus]', "there is no such store"),
    ],
)
def test_a_wrong_file_is_refused_in_a_line(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    assert main(["bridge", "run", str(path)]) != 0
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and "secret" not in said


def test_a_login_is_read_from_a_private_file_alone(
    bench: Bench, mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    login = tmp_path / "bridge.login"
    login.write_text("me:secret\n")
    login.chmod(0o644)
    path = write(tmp_path, bench, mosquitto, login_file="bridge.login")
    assert main(["bridge", "run", str(path), "--until-done"]) == 26
    said = capsys.readouterr().err
    assert "other users can read it" in said and "secret\n" not in said
    login.chmod(0o600)
    assert main(["bridge", "run", str(path), "--until-done"]) == 0


def test_the_example_can_be_started_from(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bridge.toml"
    assert main(["bridge", "new", str(path)]) == 0
    assert main(["bridge", "new", str(path)]) == 26
    assert "exists; name a new file" in capsys.readouterr().err
    path.write_text(path.read_text().replace("plant.sqlite", str(bench.path)))
    assert main(["bridge", "status", str(path)]) == 0
    assert "no sink has begun" in capsys.readouterr().out
