"""The bridge as a Sparkplug edge node: every message by the specification's rules, whatever is killed or away."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fleet import Node
from hypothesis import given
from hypothesis import strategies as st
from sparkplug_host import Host, Rules, value_of, values
from test_bridge import ENERGIES, NOW_MS, SPECTRUM
from test_ingest import FAN, Bench

from quaver.bench.mosquitto import Mosquitto
from quaver.bridge import sparkplug
from quaver.bridge.run import Bridge
from quaver.bridge.sparkplug import SparkplugNode, device_id
from quaver.bridge.sparkplug_payload import (
    BOOLEAN,
    DOUBLE,
    INT32,
    INT64,
    STRING,
    Metric,
    commands,
    encode,
    encode_numbers,
    join,
)
from quaver.bridge.spec import read_bridge
from quaver.bridge.state import State
from quaver.cli import main
from quaver.errors import BridgeError
from quaver.messages.quantities import QUANTITIES
from quaver.query import source
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
OTHERS = json.loads((Path(__file__).parent / "data" / "sparkplug_payloads.json").read_text())["payloads"]
TYPES = {"Int32": INT32, "Int64": INT64, "Double": DOUBLE, "Boolean": BOOLEAN, "String": STRING}
DEVICE = "plant:hall:line-2:pump:pump-7"
OFFLINE, ONLINE = 0, 1


HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of the start of a test is one of now, however long the test takes."""
    for module in (source, sparkplug):
        monkeypatch.setattr(module, "HISTORICAL_MS", HOUR_MS)


@pytest.fixture
def host(mosquitto: Mosquitto) -> Iterator[Host]:
    """Whatever it heard, it was by the rules."""
    with Host(mosquitto.port) as found:
        yield found
    assert not found.rules.faults and found.heard


def write(bench: Bench, mosquitto: Mosquitto, **keys: Any) -> Path:
    path = bench.path.parent / "bridge.toml"
    more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    path.write_text(f'store = "{bench.path}"\nbegin = "first"\n[sparkplug]\nbroker = "{url}"\n{more}')
    return path


@contextmanager
def running(path: Path) -> Iterator[list[str]]:
    """The bridge of a file, while it runs; and what it said."""
    spec = read_bridge(path)
    assert spec.sparkplug is not None
    said: list[str] = []
    bridge = Bridge(
        spec.store, spec.state, [SparkplugNode(spec.sparkplug, spec.store, spec.state)], said.append, begin_now=False
    )
    bridge.start()
    try:
        yield said
    finally:
        bridge.stop()


def told(host: Host, name: str, *kinds: str) -> list[tuple[Any, bool]]:
    """(value, whether it is historical) of a metric, as often as it was told."""
    found = [one for kind in kinds for payload in host.of(kind) for one in payload.metrics if one.name == name]
    return [(value_of(one), one.is_historical) for one in found]


def count(host: Host, kind: str) -> Callable[[int], Any]:
    return lambda many: wait_until(lambda: len(host.of(kind)) >= many, what=f"{many} {kind}, of {host.kinds()}")


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "other_command"])
def test_payloads_are_as_another_codec_makes_them(name: str) -> None:
    """Byte for byte, so that it reads ours too."""
    said = OTHERS[name]["said"]
    metrics = [
        Metric(
            one["name"],
            TYPES[one["type"]],
            one["value"],
            one["timestamp"],
            one.get("properties", {}).get("engUnit", {}).get("value", ""),
            one.get("isHistorical", False),
        )
        for one in said["metrics"]
    ]
    assert encode(metrics, said["timestamp"], said.get("seq"), units=True).hex() == OTHERS[name]["hex"]


@given(
    numbers=st.dictionaries(
        st.sampled_from(list(QUANTITIES)), st.floats(allow_nan=False) | st.integers(-(2**53), 2**53), min_size=1
    ),
    time_ms=st.integers(0, 2**63),
    seq=st.integers(0, 255),
)
@pytest.mark.parametrize("historical", [False, True])
def test_what_is_encoded_ready_made_is_what_protobuf_makes(
    numbers: dict[str, float], time_ms: int, seq: int, historical: bool
) -> None:
    metrics = [
        Metric(name.replace(".", "/"), DOUBLE, value, time_ms, "", historical) for name, value in numbers.items()
    ]
    parts = [encode_numbers(numbers, time_ms, historical), encode([Metric("level", STRING, "alarm", time_ms)])]
    whole = encode([*metrics, Metric("level", STRING, "alarm", time_ms)], NOW_MS, seq)
    assert join(parts, NOW_MS, seq) == whole


def test_a_command_of_another_codec_is_read_and_what_is_none_is_passed_over() -> None:
    assert commands(bytes.fromhex(OTHERS["rebirth"]["hex"])) == {"Node Control/Rebirth": True}
    assert commands(bytes.fromhex(OTHERS["other_command"]["hex"]))["Node Control/Rebirth"] is False
    assert commands(b"\xff\xff\xff") == commands(b"") == {}


_BIRTH = [Metric("bdSeq", INT64, 0, NOW_MS), Metric("Node Control/Rebirth", BOOLEAN, False, NOW_MS)]
_BORN = [
    ("NBIRTH/n", encode(_BIRTH, NOW_MS, 0), 0, False),
    ("DBIRTH/n/d", encode([Metric("a", DOUBLE, 1.0, NOW_MS)], NOW_MS, 1), 0, False),
    ("DDATA/n/d", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 2), 0, False),
]


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (("DDATA/n/d", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 4), 0, False), "incrementing: 4 after 2"),
        (("DDATA/n/d", encode([Metric("b", DOUBLE, 2.0, NOW_MS)], NOW_MS, 3), 0, False), "b is not of the birth"),
        (("DDATA/n/d", encode([Metric("a", STRING, "x", NOW_MS)], NOW_MS, 3), 0, False), "a is not of the birth"),
        (("DDATA/n/d", encode([Metric("a", DOUBLE, 2.0, NOW_MS - 1)], NOW_MS, 3), 0, False), "order: a"),
        (("DDATA/n/d", encode([Metric("a", DOUBLE, 2.0, 7)], NOW_MS, 3), 0, False), "timestamp-in-UTC"),
        (("DDATA/n/e", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 3), 0, False), "not born"),
        (("DDATA/n/d", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 3), 1, False), "qos: 1"),
        (("DDATA/n/d", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 3), 0, True), "payloads-ddata-retain"),
        (("DDATA/n", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 3), 0, False), "topic-structure"),
        (("DDATA/m/d", encode([Metric("a", DOUBLE, 2.0, NOW_MS)], NOW_MS, 0), 0, False), "no session"),
        (("DDEATH/n/e", encode([], NOW_MS, 3), 0, False), "not born"),
        (("NDEATH/n", encode([Metric("bdSeq", INT64, 9, NOW_MS)]), 1, False), "payloads-ndeath-bdseq: 9"),
        (("NDEATH/n", encode([Metric("bdSeq", INT64, 0, NOW_MS)], NOW_MS, 3), 1, False), "payloads-ndeath-seq"),
        (("NDEATH/n", encode([Metric("bdSeq", INT64, 0, NOW_MS)]), 0, False), "payloads-ndeath-qos"),
        (("NBIRTH/n", encode([_BIRTH[0]._replace(value=2), _BIRTH[1]], NOW_MS, 0), 0, False), "increment: 2 after 0"),
        (("NBIRTH/n", encode(_BIRTH[:1], NOW_MS, 0), 0, False), "payloads-nbirth-rebirth-req"),
    ],
)
def test_the_rules_tell_what_breaks_them(message: tuple[str, bytes, int, bool], rule: str) -> None:
    rules = Rules()
    for ending, *rest in _BORN:
        rules.take(f"spBv1.0/g/{ending}", *rest)  # type: ignore[arg-type]
    assert not rules.faults
    rules.take(f"spBv1.0/g/{message[0]}", *message[1:])
    assert rules.faults and rule in rules.faults[0]


def test_no_two_topics_have_one_device_id() -> None:
    assert device_id("works/hall/line-1/pump/pump-7") == "works:hall:line-1:pump:pump-7"
    assert device_id("a:b/c") != device_id("a/b:c") and not set(device_id("a:b/c%3A")) & set("+/#")


def test_a_birth_tells_what_is_last_and_what_waited_is_historical(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    """Records that waited, some of one moment, so that seq goes around; a spectrum and an answer are no metrics."""
    fan = Node(bench.keys, FAN, "fan-1")
    bench.take(
        pump.says("status", time_ms=NOW_MS - 400),
        *(pump.says(time_ms=NOW_MS - 300 + min(n, 39), rms_g=n / 1000, temperature_c=41.5) for n in range(340)),
        pump.says(time_ms=NOW_MS - 1, energy=ENERGIES, quality=1, level=2),
        pump.says(**SPECTRUM),
        pump.says("answer"),
        fan.says("status", state=OFFLINE),
        now=NOW_MS,
    )
    path = write(bench, mosquitto)
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(lambda: host.of("NDEATH"), what="its end")
    kinds = host.kinds()
    assert kinds[:3] == ["NBIRTH", "DBIRTH", "DDATA"] and kinds[-1] == "NDEATH"
    node = values(host.of("NBIRTH")[0])
    assert node["bdSeq"] == 0 and node["Node Control/Rebirth"] is False and node["Devices/Online"] == 1
    topic, birth = next((topic, payload) for topic, payload in host.heard if "DBIRTH" in topic)
    assert topic == f"quaver/DBIRTH/bridge/{DEVICE}"
    now = values(birth)
    assert now["rms_g"] == 0.25 and now["temperature_c"] == 41.5  # the last measurement, and one of before
    assert (now["level"], now["fault"], now["state"], now["firmware"]) == ("alarm", "none", "online", "0.1.0")
    assert now["energy/power_w"] == 300.0 and "spectrum_hz" not in now
    units = {one.name: one.properties.values[0].string_value for one in birth.metrics if one.properties.keys}
    assert units["rms_g"] == "[g]" and units["energy/energy_kwh"] == "kW.h" and "zone" not in units
    assert {one.timestamp for one in birth.metrics if one.name == "energy/power_w"} == {NOW_MS - 1}
    assert f"quaver/DDATA/bridge/{DEVICE}" in {topic for topic, _ in host.heard}
    assert told(host, "rms_g", "DDATA") == [*((n / 1000, True) for n in range(340)), (0.25, True)]
    assert sorted(told(host, "state", "DDATA")) == [("offline", True), ("online", True)]
    assert 300 < len(host.of("DDATA")) < 320  # what is of one moment is no one message

    late = Host(mosquitto.port)
    late.publish("spBv1.0/g/NCMD/marker", b"")
    wait_until(lambda: late.heard, what="its own message, which comes after what is retained")
    assert not late.retained
    late.__exit__()


def test_a_node_of_which_only_backlog_is_new_is_born_for_it_and_dies(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    bench.take(pump.says(time_ms=NOW_MS - 90_000), pump.says("status", time_ms=NOW_MS, state=OFFLINE), now=NOW_MS)
    assert main(["bridge", "run", str(write(bench, mosquitto)), "--until-done"]) == 0
    wait_until(lambda: host.of("NDEATH"), what="its end")
    assert host.kinds() == ["NBIRTH", "DBIRTH", "DDATA", "DDEATH", "NDEATH"]
    assert told(host, "state", "DDATA") == [("offline", True)]


def test_what_is_new_goes_out_by_exception_and_births_follow_what_a_node_has(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    bench.take(pump.says("status", time_ms=NOW_MS), pump.says(time_ms=NOW_MS, temperature_c=41.5), now=NOW_MS)
    births, data, deaths = count(host, "DBIRTH"), count(host, "DDATA"), count(host, "DDEATH")
    with running(write(bench, mosquitto, group="plant", edge_node="line {2}")):
        births(1)
        data(1)  # what was there
        bench.take(pump.says(time_ms=NOW_MS + 1, temperature_c=42.0, level=1), now=NOW_MS)
        data(2)
        assert values(host.of("DDATA")[1]) == {"temperature_c": 42.0, "level": "warning"}
        assert not any(one.is_historical for one in host.of("DDATA")[1].metrics)
        bench.take(pump.says(time_ms=NOW_MS + 2, velocity_mm_s=2.5), now=NOW_MS)
        births(2)  # which has the value: nothing more is told of it
        assert values(host.of("DBIRTH")[1])["velocity_mm_s"] == 2.5
        assert values(host.of("DBIRTH")[1])["temperature_c"] == 42.0
        alarm = {"code": EVENTS.index("level"), "event_level": 2, "subject": "rms", "value": 0.5, "limit": 0.4}
        bench.take(*(pump.says("event", time_ms=NOW_MS + 3, **alarm) for _ in range(2)), now=NOW_MS)
        data(4)
        event = values(host.of("DDATA")[3])
        assert event == values(host.of("DDATA")[2])  # an event is one each time
        assert (event["event/code"], event["event/event_level"], event["event/value"]) == ("level", "alarm", 0.5)
        assert event["event/text"] is None
        host.asks_for_rebirth("plant/line {2}", value=False)
        host.asks_for_rebirth("plant/line {2}")
        births(3)
        assert [values(one)["bdSeq"] for one in host.of("NBIRTH")] == [0, 0]
        assert values(host.of("DBIRTH")[2])["event/code"] == "level"
        # The last will was made before the status that says online, and has the number before it.
        will = pump.says("status", time_ms=NOW_MS - 100, state=OFFLINE)
        bench.take(pump.says("status", time_ms=NOW_MS + 6), now=NOW_MS)
        bench.take(will, now=NOW_MS)
        deaths(1)
        wait_until(lambda: len(host.of("NDATA")) == 1, what="how many are online")
        assert values(host.of("NDATA")[0]) == {"Devices/Online": 0}
        bench.take(pump.says("status", time_ms=NOW_MS + 7), now=NOW_MS)
        births(4)
    wait_until(lambda: host.of("NDEATH"), what="its end")
    assert host.heard[0][0] == "plant/NBIRTH/line {2}" and len(host.of("NDEATH")) == 1


def test_what_has_no_field_is_a_metric_with_its_unit(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    def own(value: float, unit: str) -> Any:
        return {"quantities": {"oil_pressure": [value, unit]}}

    def units() -> list[str]:
        born = [{one.name: one for one in payload.metrics} for payload in host.of("DBIRTH")]
        return [birth["quantities/oil_pressure"].properties.values[0].string_value for birth in born]

    bench.take(pump.says("status", time_ms=NOW_MS), pump.says(time_ms=NOW_MS, **own(4.0, "bar")), now=NOW_MS)
    with running(write(bench, mosquitto)):
        count(host, "DDATA")(1)
        bench.take(pump.says(time_ms=NOW_MS + 1, **own(4.5, "bar")), now=NOW_MS)
        count(host, "DDATA")(2)
        assert values(host.of("DDATA")[1]) == {"quantities/oil_pressure": 4.5}
        bench.take(pump.says(time_ms=NOW_MS + 2, **own(450.0, "kPa")), now=NOW_MS)
        count(host, "DBIRTH")(2)
    assert units() == ["bar", "kPa"] and values(host.of("DBIRTH")[1])["quantities/oil_pressure"] == 450.0


def test_a_record_that_is_overtaken_or_old_is_historical(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    bench.take(pump.says(time_ms=NOW_MS), now=NOW_MS)
    with running(write(bench, mosquitto)):
        count(host, "DDATA")(1)
        for ms, rms_g in ((9, 0.5), (5, 0.125)):
            bench.take(pump.says(time_ms=NOW_MS + ms, rms_g=rms_g), now=NOW_MS)
        fan = Node(bench.keys, FAN, "fan-1")
        bench.take(fan.says(time_ms=NOW_MS - 2 * HOUR_MS, rms_g=0.75), now=NOW_MS)
        wait_until(lambda: len(told(host, "rms_g", "DDATA")) == 4, what="each record")
    assert sorted(told(host, "rms_g", "DDATA")[1:]) == [(0.125, True), (0.5, False), (0.75, True)]
    assert values(host.of("DBIRTH")[1])["rms_g"] is None  # of the fan, of which nothing of now is known


def test_each_session_has_a_number_of_its_own_whatever_is_killed(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    """The bridge killed, the broker started again under it, and the number goes from 255 to 0."""
    path = write(bench, mosquitto)
    with State(path.parent / "bridge.sqlite") as state:
        state.set_count("quaver/bridge", 253)
    host.rules.waits = True  # it begins with 253
    command = [sys.executable, "-m", "quaver.cli", "bridge", "run", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as bridge:
        try:
            bench.take(*(pump.says(time_ms=NOW_MS + n, rms_g=float(n)) for n in range(500)), now=NOW_MS)
            count(host, "DDATA")(3)
        finally:
            bridge.send_signal(signal.SIGKILL)
    count(host, "NDEATH")(1)
    host.rules.waits = False
    with running(path) as said:
        count(host, "NBIRTH")(2)
        wait_until(
            lambda: {value for value, _ in told(host, "rms_g", "DBIRTH", "DDATA")} >= set(range(500)),
            what="each record",
        )
        mosquitto.stop()
        wait_until(lambda: said, what="that it is away")
        bench.take(pump.says(time_ms=NOW_MS + 1000, rms_g=0.5), now=NOW_MS)
        mosquitto.start()
        wait_until(lambda: "connected again" in said[-1], what="that it is back")
        host.again(1)
        host.asks_for_rebirth()  # it may have missed the birth
        wait_until(lambda: values(host.of("NBIRTH")[-1])["bdSeq"] == 255, what="a birth of the new session")
        wait_until(lambda: values(host.of("DBIRTH")[-1])["rms_g"] == 0.5, what="what it did not hear meanwhile")
    count(host, "NDEATH")(2)
    with running(path):
        wait_until(lambda: values(host.of("NBIRTH")[-1])["bdSeq"] == 0, what="a birth of another session")
    assert sorted({values(one)["bdSeq"] for one in host.of("NBIRTH")}) == [0, 253, 254, 255]
    assert f"broker {mosquitto.url}: connection lost; what is new waits in the store" in said[0]


def test_nothing_is_published_while_the_primary_host_is_not_online(
    bench: Bench, pump: Node, mosquitto: Mosquitto, host: Host
) -> None:
    host.rules.waits = True
    births, deaths, data = count(host, "NBIRTH"), count(host, "NDEATH"), count(host, "DDATA")
    bench.take(pump.says(time_ms=NOW_MS), now=NOW_MS)
    host.state(True, NOW_MS, name="another")
    host.publish("spBv1.0/STATE/scada", b'["online"]', retain=True)
    with running(write(bench, mosquitto, primary_host="scada")) as said:
        wait_until(lambda: said, what="that it waits")
        assert said == ["sparkplug: the primary host scada is not online; what is new waits in the store"]
        assert not host.heard
        host.state(True, NOW_MS)
        births(1)
        data(1)
        wait_until(lambda: len(said) == 2, what="that it waits no more")
        assert "connected again; 1 records waited" in said[1]
        host.state(False, NOW_MS - 1)  # of a session of the host that is no more
        bench.take(pump.says(time_ms=NOW_MS + 1, rms_g=0.5), now=NOW_MS)
        data(2)
        assert not host.of("NDEATH") and not host.of("DDATA")[1].metrics[0].is_historical
        host.state(False, NOW_MS + 2)
        deaths(1)
        wait_until(lambda: len(said) == 3, what="that it waits again")
        bench.take(pump.says(time_ms=NOW_MS + 3, rms_g=0.75), now=NOW_MS)
        host.state(True, NOW_MS + 4)
        births(2)
        data(3)
        assert value_of(next(one for one in host.of("DBIRTH")[1].metrics if one.name == "rms_g")) == 0.75
        assert all(one.is_historical for one in host.of("DDATA")[2].metrics)
    assert [values(one)["bdSeq"] for one in host.of("NBIRTH")] == [0, 1]


def test_the_rights_in_the_documentation_are_enough_and_no_more(bench: Bench, pump: Node, tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text((ROOT / "docs/bridge.md").read_text().partition("```acl\n")[2].partition("```")[0])
    login = tmp_path / "login"
    login.write_text("bridge:x")
    login.chmod(0o600)
    with Mosquitto(tmp_path / "mosquitto", f"allow_anonymous true\nacl_file {acl}") as mosquitto:
        with Host(mosquitto.port, user="scada") as host, Host(mosquitto.port, user="dashboard") as other:
            bench.take(pump.says(time_ms=NOW_MS), now=NOW_MS)
            host.state(True, NOW_MS)
            with running(write(bench, mosquitto, login_file="login", primary_host="scada")):
                count(host, "DDATA")(1)
                other.asks_for_rebirth()
                host.asks_for_rebirth()
                count(host, "NBIRTH")(2)
            count(host, "NDEATH")(1)
        assert not other.heard and not host.rules.faults
        assert len(host.of("NBIRTH")) == 2


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('broker = "mqtt://me:secret@h"', "do not belong into this file"),
        ('broker = "mqtt://h"\ngroup = "a/b"', "sparkplug.group: expected printable characters without + / and #"),
        ('broker = "mqtt://h"\nedge_node = ""', "sparkplug.edge_node: expected printable characters"),
        ('broker = "mqtt://h"\nprimary_host = "#"', "sparkplug.primary_host"),
        ('broker = "mqtt://h"\naliases = true', "sparkplug.aliases"),
        ('group = "plant"', "sparkplug.broker"),
        ('broker = "mqtt://127.0.0.1:1"\nlogin_file = "none"', "none: there is no such file"),
    ],
)
def test_a_wrong_table_is_refused_in_a_line(
    table: str, words: str, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(f'store = "{bench.path}"\n[sparkplug]\n{table}\n')
    assert main(["bridge", "run", str(path)]) == BridgeError.exit_code
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and "secret" not in said
