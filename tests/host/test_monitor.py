"""The monitor: records decoded as the wire says, everything else a counted line, and brokers that fail."""

import socket
import subprocess
import threading
from collections.abc import Callable

import cbor2
import paho.mqtt.publish as publish
import pytest

from quaver.bench.ports import free_port
from quaver.broker.address import BrokerUrl
from quaver.broker.client import SILENCE_S
from quaver.broker.embedded import EmbeddedBroker
from quaver.errors import BrokerError
from quaver.fleet.state import Fleet
from quaver.messages.monitor import Item, Link, Monitor, Notice, Problem
from quaver.messages.record import MessageError, Record, decode

ROOT = "plant/hall/line-2/pump-7/node-1"
WAIT_S = 10.0
# group 9: rms, peak, crest, kurtosis, skew, velocity, zone, envelope, temperature, shaft's speed
TELEMETRY = {
    0: 2, 1: 0, 2: "node-1", 3: 4, 4: 77, 5: b"\x01\xe2\x40", 7: 2, 8: 0b100001,
    9: [2000, 10000, 250, 155, None, None, None, None, 2752], 10: [23000, 2000, 4140, 4600, 90, 5000, 1250],
    11: [266670, None, 4096, 12], 12: [1000, 5000, 2005, 2500],
}  # fmt: skip
EVENT = {0: 2, 1: 1, 2: "node-1", 3: 4, 4: 78, 5: b"\x01\xe2\x41", 20: 1, 21: 2, 22: "kurtosis", 23: 9.5, 24: 4.5}
STATUS = {0: 2, 1: 2, 2: "node-1", 30: 1, 31: "0.1.0", 32: "pico_w", 33: 60}


def dumps(message: object) -> bytes:
    return cbor2.dumps(message, canonical=True)


def bare(message: dict[int, object], **changes: object) -> bytes:
    return dumps(message | {int(key[1:]): value for key, value in changes.items()})


def group(**changes: object) -> bytes:
    """TELEMETRY with other values at places of its group 9."""
    values = list(TELEMETRY[9])
    for place, value in changes.items():
        values[int(place[1:])] = value
    return bare(TELEMETRY, _9=values)


def test_telemetry() -> None:
    record = decode(f"{ROOT}/telemetry", dumps(TELEMETRY), received=0.5)
    assert record.node == ROOT
    assert record.as_json() == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "topic": f"{ROOT}/telemetry",
        "kind": "telemetry",
        "site": "plant",
        "area": "hall",
        "line": "line-2",
        "asset": "pump-7",
        "node": "node-1",
        "version": 2,
        "boot": 4,
        "seq": 77,
        "uptime_ms": 123456,
        "quality": ["dropped", "stuck"],
        "rate_hz": 26667.0,
        "samples": 4096,
        "dropped": 12,
        "rms_g": 0.1,
        "peak_g": 0.5,
        "crest": 5.0,
        "kurtosis": 3.1,
        "peaks": [[100.0, 0.25], [200.5, 0.125]],
        "temperature_c": 21.5,
        "energy": {
            "voltage_v": 230.0,
            "current_a": 2.0,
            "power_w": 414.0,
            "apparent_va": 460.0,
            "power_factor": 0.9,
            "frequency_hz": 50.0,
            "energy_kwh": 12.5,
        },
        "level": "alarm",
    }


def test_the_analysis() -> None:
    line = [10436, 1234, 1820, 940, 310]
    values = decode(
        f"{ROOT}/telemetry",
        bare(TELEMETRY, _9=[2000, 10000, 250, 155, -7, 245, 2, 400, None, 2995, 85], _13=[20, 40],
             _14=line * 3 + [None] * 5, _15=[2, 64, 1234, 0, 87], _16="no speed"),
    ).values  # fmt: skip
    assert (values["skew"], values["velocity_mm_s"], values["zone"], values["envelope_g"]) == (-0.07, 2.45, "C", 0.02)
    assert (values["shaft_hz"], values["shaft_confidence"], values["bands"]) == (29.95, 0.85, [0.001, 0.002])
    assert "temperature_c" not in values
    assert values["lines"]["bpfo"] == {
        "hz": 104.36, "g": 0.01234, "score": 18.2, "second": 9.4, "third": 3.1
    }  # fmt: skip
    assert set(values["lines"]["ftf"].values()) == {None}
    assert (values["machine"], values["learned"], values["running_h"]) == ("watching", 64, 123.4)
    assert (values["fault"], values["margin_db"], values["abstained"]) == ("outer race", 8.7, "no speed")


def test_single_precision_reads_short() -> None:
    payload = dumps(EVENT | {23: 0.5}).replace(dumps(0.5), b"\xfa\x3d\xcc\xcc\xcd")
    assert decode(f"{ROOT}/event", payload).values["value"] == 0.1


def test_event_and_status() -> None:
    event = decode(f"{ROOT}/event", dumps(EVENT)).values
    assert (event["code"], event["event_level"], event["subject"]) == ("level", "alarm", "kurtosis")
    failed = decode(f"{ROOT}/event", dumps(EVENT | {36: [202, 107]})).values
    assert (failed["reason"], failed["text"]) == ([202, 107], "another part answers (identity 0x6B)")
    old = decode(f"{ROOT}/event", dumps(EVENT | {25: "no answer (errno 19)"})).values  # as before there were reasons
    assert (old["text"], "reason" in old) == ("no answer (errno 19)", False)
    status = decode(f"{ROOT}/status", dumps(STATUS)).values
    assert (status["state"], status["board"], status["interval_s"]) == ("online", "pico_w", 60)


def test_later_nodes_are_readable() -> None:
    """A key or a code that this version doesn't know costs nothing of the rest."""
    values = decode(f"{ROOT}/event", bare(EVENT, _20=200, _999=[1, {2: 3}])).values
    assert values["code"] == "200"
    assert values["value"] == 9.5
    assert decode(f"{ROOT}/telemetry", bare(TELEMETRY, _8=1 << 40)).values["quality"] == ["bits 0x10000000000"]


@pytest.mark.parametrize(
    ("topic", "payload", "kind", "line"),
    [
        ("hello", b"world", "topic", "not a node's topic"),
        (f"{ROOT}/telemetry/x", dumps(TELEMETRY), "topic", "not a node's topic"),
        (f"{ROOT}/config", dumps(TELEMETRY), "topic", "expected site/area/line/asset/node/"),
        ("a//c/d/node-1/telemetry", dumps(TELEMETRY), "topic", "not a node's topic"),
        (f"{ROOT}/telemetry", b"", "cbor", "empty payload"),
        (f"{ROOT}/telemetry", dumps(TELEMETRY)[:-3], "cbor", r"broken CBOR \(\d+ bytes\): ends too early"),
        (f"{ROOT}/telemetry", dumps(TELEMETRY) + b"xy", "cbor", "2 bytes after the message"),
        (f"{ROOT}/telemetry", b"\x81" * 5000, "cbor", "broken CBOR"),
        (f"{ROOT}/telemetry", b"\xa2\x00\x01\x00\x01", "cbor", "broken CBOR"),
        (f"{ROOT}/telemetry", b'{"rms": 1}', "cbor", "broken CBOR"),
        (f"{ROOT}/telemetry", dumps([1, 2]), "cbor", "broken CBOR .*: not a map"),
        (f"{ROOT}/telemetry", dumps({}), "field", "no version"),
        (
            f"{ROOT}/telemetry",
            bare(TELEMETRY, _0=1),
            "version",
            "version 1: this quaver reads version 2; update the older one",
        ),
        (f"{ROOT}/telemetry", dumps(EVENT), "field", "kind is 1: expected 0"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _2="other"), "node", "names node 'other': expected 'node-1'"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _2="\x1b[2J"), "node", r"'\\x1b\[2J'"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _4=-1), "field", "seq is -1: expected an unsigned integer"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _8=True), "field", "quality is True"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _5=12), "field", "uptime_ms is 12: expected milliseconds"),
        (f"{ROOT}/telemetry", group(_0="x"), "field", "rms_g is 'x': expected a number"),
        (f"{ROOT}/telemetry", group(_0=1.5), "field", "rms_g is 1.5"),
        (f"{ROOT}/event", bare(EVENT, _23=float("nan")), "field", "value is nan: expected a finite number"),
        (f"{ROOT}/event", bare(EVENT, _26=[1, -2]), "field", r"drops is \[1, -2\]: expected an array of unsigned"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _12=[10, 20, 30]), "field", "peaks has 3 numbers"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _10=[1]), "field", "energy has 1 numbers: expected 7"),
        (f"{ROOT}/telemetry", bare(TELEMETRY, _14=[1] * 25), "field", "lines has 25 numbers: expected 20"),
        (f"{ROOT}/telemetry", b"\xa2\x00\x02\x01\x18\x00", "cbor", "shorter form"),
        (f"{ROOT}/telemetry", b"\x83\x43\xa1\x01\x0a\xa2\x04\x49", "sealed", "quaver ingest opens it"),
    ],
)  # fmt: skip
def test_what_is_no_record(topic: str, payload: bytes, kind: str, line: str) -> None:
    with pytest.raises(MessageError, match=line) as caught:
        decode(topic, payload)
    assert caught.value.kind == kind
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def take(monitor: Monitor, count: int) -> list[Item]:
    items = []
    while len(items) < count:
        item = monitor.get(WAIT_S)
        assert item is not None, items
        items.append(item)
    return items


def test_nothing_else_is_lost(mosquitto) -> None:
    """Between every kind of nonsense, each good record arrives; each nonsense is a line and is counted.

    What others publish at the broker, on topics that can be no node's, is nobody's affair.
    """
    foreign = [("hello", b"x"), ("zigbee2mqtt/hall/lamp", b"{}"), (f"{ROOT}/config", b"x"), (f"{ROOT}/event/x", b"x")]
    nonsense = [(f"{ROOT}/status", dumps(EVENT)), (f"{ROOT}/telemetry", b"\xff"), (f"{ROOT}/event", bare(EVENT, _0=9))]
    messages = [(f"{ROOT}/status", dumps(STATUS), 1, False)]
    for seq in range(6):
        messages.append((*nonsense[seq % 3], 1, False))
        messages.append((*foreign[seq % 4], 1, False))
        messages.append((f"{ROOT}/telemetry", bare(TELEMETRY, _4=seq), 1, False))
    with Monitor(BrokerUrl("127.0.0.1", mosquitto.port)) as monitor:
        publish.multiple(messages, port=mosquitto.port)
        items = take(monitor, len(messages) - 6)
    assert [item.values["seq"] for item in items if isinstance(item, Record) and item.kind == "telemetry"] == [
        0, 1, 2, 3, 4, 5
    ]  # fmt: skip
    assert [item.kind for item in items if isinstance(item, Problem)] == ["field", "cbor", "version"] * 2
    assert monitor.problems == {"field": 2, "cbor": 2, "version": 2}


def test_an_acl_that_lets_nothing_through_is_told_once(tmp_path, start_mosquitto: Callable[..., object]) -> None:
    """The broker takes the subscription, and the records, and hands out none."""
    acl, passwords = tmp_path / "acl", tmp_path / "passwords"
    acl.write_text("topic write #\nuser me\ntopic read another/#\nuser she\ntopic read #\n")
    acl.chmod(0o600)
    passwords.touch()
    for user in ("me", "she"):
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, "right"], check=True)
    broker = start_mosquitto(f"allow_anonymous true\npassword_file {passwords}\nacl_file {acl}")
    now = [0.0]
    me, she = (BrokerUrl("127.0.0.1", broker.port, user, "right") for user in ("me", "she"))
    with Monitor(me, clock=lambda: now[0]) as shut, Monitor(she, clock=lambda: now[0]) as open_:
        publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, port=broker.port)
        assert isinstance(open_.get(WAIT_S), Record)
        now[0] = SILENCE_S - 1
        assert shut.get(0) is None
        now[0] = SILENCE_S
        told = shut.get(0)
        assert isinstance(told, Notice) and told.line.isprintable()
        assert "nothing has come within 30 s" in told.line and "ACL does not let this user read" in told.line
        now[0] = 1e6
        assert (shut.get(0), open_.get(0)) == (None, None)


def test_unknown_node_is_told_once_and_shown() -> None:
    with EmbeddedBroker() as broker, Monitor(broker.url) as monitor:
        for _ in range(2):
            publish.single(f"{ROOT}/telemetry", dumps(TELEMETRY), qos=1, port=broker.port)
        items = take(monitor, 3)
    assert [type(item) for item in items] == [Problem, Record, Record]
    assert isinstance(items[0], Problem) and "unknown node" in items[0].line and ROOT in items[0].line


def test_announced_before_the_monitor_came(mosquitto) -> None:
    publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, retain=True, port=mosquitto.port)
    with Monitor(BrokerUrl("127.0.0.1", mosquitto.port)) as monitor:
        assert take(monitor, 1)[0].kind == "status"
        publish.single(f"{ROOT}/telemetry", dumps(TELEMETRY), qos=1, port=mosquitto.port)
        assert take(monitor, 1)[0].kind == "telemetry"
    assert not monitor.problems


def test_broker_restart(mosquitto) -> None:
    publish.single(f"{ROOT}/status", dumps(STATUS), qos=1, retain=True, port=mosquitto.port)
    with Monitor(BrokerUrl("127.0.0.1", mosquitto.port)) as monitor:
        assert take(monitor, 1)[0].kind == "status"
        mosquitto.stop()
        lost = take(monitor, 1)[0]
        mosquitto.start()
        back = take(monitor, 1)[0]
        assert take(monitor, 1)[0].kind == "status"
        publish.single(f"{ROOT}/event", dumps(EVENT), qos=1, port=mosquitto.port)
        assert take(monitor, 1)[0].kind == "event"
    assert isinstance(lost, Link) and not lost.up and "reconnecting" in lost.line
    assert isinstance(back, Link) and back.up


def test_broker_down() -> None:
    port = free_port()
    with pytest.raises(BrokerError, match=rf"broker mqtt://127.0.0.1:{port}: Connection refused; start it"):
        Monitor(BrokerUrl("127.0.0.1", port)).start()


def test_broker_name_unknown() -> None:
    with pytest.raises(BrokerError, match=r"broker mqtt://no-such-host.invalid:1883: .*; check the host's name"):
        Monitor(BrokerUrl("no-such-host.invalid")).start()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("timed out"), "no answer within 10 s; check its address, and the network"),
        (OSError(113, "No route to host"), "No route to host; check its address, and the network"),
    ],
)
def test_broker_out_of_reach(monkeypatch: pytest.MonkeyPatch, error: OSError, words: str) -> None:
    """Nobody can start a broker that lies behind a wall: the hint is another one."""

    def connect(*_: object, **__: object) -> socket.socket:
        raise error

    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(BrokerError, match=f"broker mqtt://plant.example:1883: {words}"):
        Monitor(BrokerUrl("plant.example")).start()


def test_broker_refuses(tmp_path, start_mosquitto: Callable[..., object]) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "me", "right"], check=True)
    broker = start_mosquitto(f"allow_anonymous false\npassword_file {passwords}")
    for user, password in (("", ""), ("me", "wrong")):
        with pytest.raises(BrokerError, match=r"refused the connection: .*; check") as caught:
            Monitor(BrokerUrl("127.0.0.1", broker.port, user, password)).start()
        assert "wrong" not in str(caught.value)
    with Monitor(BrokerUrl("127.0.0.1", broker.port, "me", "right")):
        pass


def test_not_a_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(BrokerError, match="check that the port is a broker's"):
            Monitor(BrokerUrl("127.0.0.1", server.getsockname()[1])).start()
        thread.join()


def records(*messages: tuple[str, dict[int, object]]) -> Fleet:
    fleet = Fleet()
    for message_class, message in messages:
        fleet.update(decode(f"{ROOT}/{message_class}", dumps(message), received=1.0))
    return fleet


def test_fleet_keeps_the_worst_level_that_stands() -> None:
    quiet = TELEMETRY | {7: 0}
    raised = records(("status", STATUS), ("telemetry", quiet), ("event", EVENT)).nodes[ROOT]
    assert (raised.state, raised.board, raised.captures, raised.level) == ("online", "pico_w", 1, "alarm")
    cleared = records(("telemetry", quiet), ("event", EVENT), ("event", EVENT | {21: 0})).nodes[ROOT]
    assert cleared.level == "ok"
    restarted = records(("telemetry", quiet), ("event", EVENT), ("event", EVENT | {20: 6, 21: 0})).nodes[ROOT]
    assert restarted.level == "ok"
    gone = records(("status", STATUS), ("status", STATUS | {30: 0})).nodes[ROOT]
    assert (gone.state, gone.board) == ("offline", "pico_w")
