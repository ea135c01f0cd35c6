"""What Home Assistant is told, held against the schema of its MQTT integration, whose version and files data/ names."""

import copy
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from fleet import PLACE, Node, publish
from jsonschema import Draft202012Validator
from test_bridge import ENERGIES, NOW_MS, Listener, listener, write  # noqa: F401  a fixture
from test_ingest import Bench

from quaver.bench.mosquitto import Mosquitto
from quaver.bridge.home_assistant import _WORDS, _Device, discovery
from quaver.cli import main
from quaver.messages.quantities import _BY_UNIT, OWN, QUANTITIES, quantity_of
from tests.waiting import wait_until

SCHEMA = json.loads((Path(__file__).parent / "data" / "home_assistant_discovery.schema.json").read_text())
JUDGE = Draft202012Validator(SCHEMA)
ALL = _Device(
    "e66164084373532b", "works/hall/line-1/pump/pump-7", 60, "0.1.0", "pico_w", frozenset({*QUANTITIES, *_WORDS})
)
# Of a discovery topic: mqtt/#discovery-topic
OBJECT_ID = re.compile(r"homeassistant/device/[a-zA-Z0-9_-]+/config")


def test_all_that_a_node_can_measure_is_by_the_documentation() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    told = json.loads(json.dumps(discovery(ALL, "open")))
    JUDGE.validate(told)
    assert len(told["components"]) == len(QUANTITIES) + len(_WORDS) + 1
    own = {f"{OWN}q{place}": quantity_of(f"{OWN}q{place}", unit) for place, unit in enumerate(_BY_UNIT)}
    machine = json.loads(json.dumps(discovery(replace(ALL, names=frozenset(own), own=own), "open")))
    JUDGE.validate(machine)  # whatever unit a machine's own quantity has
    assert len(machine["components"]) == len(own) + 1
    bare = json.loads(json.dumps(discovery(_Device("00", "a/b/c/d/e", names=frozenset({"rms_g"})), "open")))
    JUDGE.validate(bare)


def test_what_a_broker_is_told_is_by_the_documentation(
    bench: Bench,
    pump: Node,
    mosquitto: Mosquitto,
    listener: Listener,  # noqa: F811
    tmp_path: Path,
) -> None:
    bench.take(pump.says("status"), pump.says(temperature_c=41.5, energy=ENERGIES, fault=0, zone=1), now=NOW_MS)
    path = write(tmp_path, bench, mosquitto, home_assistant="homeassistant")
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    wait_until(lambda: listener.of("/config"), what="the device")
    (told,) = listener.of("/config")
    JUDGE.validate(told)
    assert any(OBJECT_ID.fullmatch(topic) for topic, _, _ in listener.heard)


def test_home_assistant_reads_what_is_its_own_alone(bench: Bench, pump: Node, tmp_path: Path) -> None:
    """With the ACL of the documentation."""
    text = (Path(__file__).parents[2] / "docs" / "bridge.md").read_text()
    (tmp_path / "acl").write_text(text.partition("```acl\n")[2].partition("```")[0])
    users = ("bridge", "home-assistant", "scada")
    (tmp_path / "passwords").write_text("".join(f"{user}:secret\n" for user in users))
    subprocess.run(["mosquitto_passwd", "-U", tmp_path / "passwords"], check=True)
    rules = f"allow_anonymous false\npassword_file {tmp_path}/passwords\nacl_file {tmp_path}/acl"
    login = tmp_path / "bridge.login"
    login.write_text("bridge:secret")
    login.chmod(0o600)
    bench.take(pump.says("status"), pump.says(temperature_c=41.5), now=NOW_MS)
    with Mosquitto(tmp_path / "strict", rules) as broker:
        heard: list[str] = []
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.username_pw_set("home-assistant", "secret")
        client.on_message = lambda _client, _data, message: heard.append(message.topic)
        client.connect("127.0.0.1", broker.port)
        client.subscribe("#", qos=1)
        client.loop_start()
        try:
            path = write(tmp_path, bench, broker, login_file="bridge.login", home_assistant="homeassistant")
            assert main(["bridge", "run", str(path), "--until-done"]) == 0
            login_of = {"user": "scada", "password": "secret"}
            publish(broker.port, [("spBv1.0/STATE/scada", b"{}")], **login_of)
            client.publish(f"open/{PLACE}/pump-7/telemetry", b"forged", qos=1)
            client.publish("homeassistant/device/quaver_x/config", b"forged", qos=1)
            client.publish("homeassistant/status", b"online", qos=1)  # comes last, by the broker's order
            wait_until(lambda: "homeassistant/status" in heard, what="its own message")
        finally:
            client.disconnect()
            client.loop_stop()
    assert f"homeassistant/device/quaver_{pump.id.hex()}/config" in heard
    assert heard.count(f"open/{PLACE}/pump-7/telemetry") == 1
    assert not any("quaver_x" in topic or topic.startswith("spBv1.0") for topic in heard)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("origin",), None),
        (("device", "identifiers"), None),
        (("device", "colour"), "red"),
        (("components", "rms_g", "unique_id"), None),
        (("components", "rms_g", "platform"), "switch"),
        (("components", "rms_g", "state_topic"), "open/#"),
        (("components", "temperature_c", "unit_of_measurement"), "degrees"),
        (("components", "energy_energy_kwh", "state_class"), "measurement"),
        (("components", "energy_power_w", "state_class"), "total_increasing"),
        (("components", "energy_power_w", "unit_of_measurement"), "BTU/h"),
        (("components", "energy_current_a", "unit_of_measurement"), "\u00b5A"),
        (("components", "rms_g", "state_class"), "measurement_angle"),
        (("components", "level", "options"), None),
        (("components", "level", "state_class"), "measurement"),
        (("components", "alarm", "device_class"), "sensor"),
        (("availability",), [{"payload_available": "online"}]),
        (("qos",), 3),
    ],
)
def test_the_schema_sees_a_wrong_message(place: tuple[str, ...], value: Any) -> None:
    told = json.loads(json.dumps(discovery(ALL, "open")))
    assert JUDGE.is_valid(told)
    wrong = inner = copy.deepcopy(told)
    for name in place[:-1]:
        inner = inner[name]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    assert not JUDGE.is_valid(wrong)
