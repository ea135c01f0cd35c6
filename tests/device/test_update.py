"""A node takes a release over its broker: it is back with the new firmware, or by itself with the old one."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from quaver.board.spec import load_board
from quaver.broker.address import parse_broker_url
from quaver.build.compile import compile_mpy
from quaver.build.tree import with_packs, without_packs
from quaver.cli import main
from quaver.files.carried import payload
from quaver.fleet.operator import Operator
from quaver.messages.monitor import Monitor
from quaver.messages.record import Record
from quaver.messages.sealing import Opener
from quaver.release import bundle
from quaver.release.publish import chunks_of
from quaver.release.signing import PrivateKey

from .conftest import signal
from .test_operations import EXPIRES_S, ROOT, Plant, start_plant, time_server, where_it_may_differ  # noqa: F401

pytestmark = pytest.mark.needs_radio
KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
OTHER = PrivateKey(ec.derive_private_key(0x07E4, ec.SECP256R1()))
IDENTIFY = "command/identify.mpy"


@pytest.fixture
def plant(start_plant: Callable[..., Plant], request: pytest.FixtureRequest) -> Any:  # noqa: F811
    """A node in service, with a release key; a parameter is what its configuration has besides."""
    plant = start_plant({"release.key": KEY.public.xy}, **getattr(request, "param", {}))
    listed = [line for line in plant.files["firmware.txt"].decode().splitlines() if line[0] != " "]
    plant.own = {path: plant.files[path] for path in [*listed, "firmware.txt"]}
    return plant


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def digests_there(plant: Any) -> dict[str, str]:
    """Of what the node has at the paths of its own firmware."""
    code = (
        "import binascii, hashlib, json\n"
        f"digests = {{p: hashlib.sha256(open(p, 'rb').read()).digest() for p in {list(plant.own)}}}\n"
        "print(json.dumps({p: binascii.hexlify(d).decode() for p, d in digests.items()}))"
    )
    found: dict[str, str] = json.loads(plant.board.exec(code))
    return found


def module(path: str, change: Callable[[str], str], arch: str = "x64") -> bytes:
    source = (payload("firmware") / path).with_suffix(".py").read_text()
    changed = change(source)
    assert changed != source
    return compile_mpy(changed.encode(), path.replace(".mpy", ".py"), arch)


@pytest.fixture
def released(plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Builds a release of the node's own firmware with some files changed, and publishes it."""

    def release(changed: Mapping[str, bytes], sequence: int = 2, key: PrivateKey = KEY, **more: Any) -> Path:
        """more: as of build_release."""
        files = with_packs({**without_packs(plant.own), **changed}, load_board("unix"))
        monkeypatch.setattr(bundle, "firmware_files", lambda board: files)
        built = bundle.build_release(["unix"], sequence, expires=int(time.time()) + 10 * EXPIRES_S, key=key, **more)
        path = tmp_path / f"{sequence}.release"
        path.write_bytes(built.encode())
        assert main(["release", "publish", str(path), f"--broker={plant.url}", "--site=plant"]) == 0
        return path

    return release


def test_a_node_updates_and_confirms(plant: Plant, released: Callable[..., Path]) -> None:
    new = module(IDENTIFY, lambda source: source.replace("node: identify", "node: identifies itself"))
    path = released({IDENTIFY: new})
    assert plant.json("update", str(path))["sequence"] == 2
    assert plant.node("identify") == "n1: blinks\n"
    assert b"node: identifies itself" in plant.board.console()
    assert plant.board.get("release.sequence") == b"2"
    assert not [name for name in left(plant) if name not in ("release.key", "release.sequence")]


@pytest.mark.slowest
def test_a_node_fetches_what_differs_from_the_release_that_it_runs(plant: Any, released: Callable[..., Path]) -> None:
    """Whole, where the patches at the broker are not what was signed."""

    def says(text: str) -> bytes:
        return module(IDENTIFY, lambda source: source.replace("node: identify", f"node: {text}"))

    def staged() -> int:
        return int(re.findall(rb"is staged, (\d+) bytes", plant.board.console())[-1])

    first = bundle.read_release(released({IDENTIFY: says("first")}, sequence=1))
    path = released({IDENTIFY: says("second")}, after=[first])
    second = bundle.read_release(path)
    part = second.manifest.patches["unix"]
    topic = f"plant/release/{part.patches[:8].hex()}/0"
    publish.single(topic, bytes(part.size), qos=1, retain=True, port=plant.mosquitto.port)
    assert plant.json("update", str(path))["sequence"] == 2
    whole = staged()
    listing = second.manifest.boards["unix"].size
    assert whole > listing + 3000
    path = released({IDENTIFY: says("third")}, sequence=3, after=[first, second])
    part = bundle.read_release(path).manifest.patches["unix"]
    assert plant.json("update", str(path))["sequence"] == 3
    assert staged() == listing + part.size < listing + 1000
    assert plant.node("identify") == "n1: blinks\n"
    assert b"node: third" in plant.board.console()
    assert not [name for name in left(plant) if name not in ("release.key", "release.sequence")]


@pytest.mark.slowest
def test_a_key_follows_the_other_and_only_a_release_that_names_the_node_goes_back(
    plant: Any, released: Callable[..., Path]
) -> None:
    rotating = str(released({}, sequence=5, next_key=OTHER))
    forged = str(released({}, sequence=6, key=OTHER))
    assert "it trusts another release key" in plant.node("update", forged, code=18)
    assert plant.json("update", rotating)["sequence"] == 5
    [node] = plant.keys.nodes()
    assert "it trusts another release key" in plant.node("update", str(released({}, sequence=7)), code=18)
    late = str(released({}, sequence=3, key=OTHER, downgrade=[bytes(8)]))
    assert "it runs that release or a later one" in plant.node("update", late, code=18)
    named = str(released({}, sequence=4, key=OTHER, downgrade=[bytes(8), node.node_id]))
    assert plant.json("update", named)["sequence"] == 4
    assert (plant.board.get("release.sequence"), plant.board.get("release.key")) == (b"4", OTHER.public.xy)


def left(plant: Plant) -> list[str]:
    """What an update has on flash, at the top."""
    names: list[str] = json.loads(plant.board.exec("import json, os\nprint(json.dumps(os.listdir('/')))"))
    return [name for name in names if name.startswith("release.") or name.endswith((".new", ".old"))]


BUILD = "build/node.mpy"
MEASURE = "node/measure.mpy"
MQTT = "links/mqtt.mpy"

EATS = "globals()['kept'] = [0]\n        while True: kept.append(bytes(512))  # now"
HANGS = "import time; time.sleep(999)  # now"
CRASHES = "import machine; asyncio.create_task(late(machine.reset))  # now"
DIES = "await asyncio.sleep(3)\n            raise ValueError('dies')\n            await self.once()"
LATE = "\n\nasync def late(crash):\n    await asyncio.sleep(140)\n    crash()\n"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({BUILD: ("def build()", "1 / 0\n\n\ndef build()")}, "restarted before it was confirmed"),
        ({MEASURE: ("tidy()  # now", HANGS)}, "restarted before it was confirmed: WDT_RESET"),
        (
            {MQTT: ("        if self._tls:\n", '        raise LinkError("of no use")\n        if self._tls:\n')},
            "not online within 300 s",
        ),
    ],
    ids=["crashes at its start", "hangs", "does not reach its broker"],
)
def test_a_version_that_fails_is_left_and_the_old_one_tells_why(
    plant: Any, released: Callable[..., Path], changed: dict[str, tuple[str, str]], reason: str
) -> None:
    def changing(words: tuple[str, str]) -> Callable[[str], str]:
        return lambda source: source.replace(*words)

    fails(plant, released({name: module(name, changing(words)) for name, words in changed.items()}), reason)


def fails(plant: Any, path: Path, reason: str) -> None:
    """The node tries it, and has its old version back."""
    said = plant.node("update", str(path), code=18)
    assert said.startswith("quaver: node n1: did not keep release 2: ") and reason in said
    assert said.endswith("; it runs its old firmware\n")
    assert plant.node("identify") == "n1: blinks\n"
    assert digests_there(plant) == digests(plant.own)
    assert left(plant) == ["release.key"]


def test_a_version_that_eats_the_heap_is_left(plant: Any, released: Callable[..., Path]) -> None:
    """No task finds memory any more, the one that guards the trial neither."""
    eats = module(MEASURE, lambda source: source.replace("tidy()  # now", EATS))
    fails(plant, released({MEASURE: eats}), "restarted before it was confirmed")


def test_a_version_whose_measuring_dies_each_time_is_left(plant: Any, released: Callable[..., Path]) -> None:
    """It measures, and the supervisor starts it again and again."""
    dies = module(MEASURE, lambda source: source.replace("await self.once()", f"await self.once()\n            {DIES}"))
    fails(plant, released({MEASURE: dies}), "within 300 s")


def test_a_version_that_crashes_after_a_while_is_left(plant: Any, released: Callable[..., Path]) -> None:
    """After it has measured and was acknowledged, in the third minute of three."""
    crashes = module(MEASURE, lambda source: source.replace("tidy()  # now", CRASHES) + LATE)
    fails(plant, released({MEASURE: crashes}), "restarted before it was confirmed")


def test_a_node_that_is_retired_forgets_the_release_that_it_fetches(
    plant: Any, released: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = module(IDENTIFY, lambda source: source.replace("node: identify", "node: identifies itself"))
    release = bundle.read_release(released({IDENTIFY: new}))
    last = [topic for topic, chunk in chunks_of(release, "plant").items() if b"identifies itself" in chunk]
    publish.single(last[0], b"", qos=1, retain=True, port=plant.mosquitto.port)
    with Operator(parse_broker_url(plant.url), plant.keys, "n1", timeout_s=60, expires_s=EXPIRES_S) as node:
        [envelope] = release.envelopes
        digest = hashlib.sha256(envelope).digest()
        assert node.ask("update", {"digest": digest, "size": len(envelope)})["state"] == "fetching"
    monkeypatch.setattr("click.prompt", lambda *_, **__: "n1")
    assert plant.node("retire") == "n1: is retired, and erases what it holds\n"
    plant.says(b"no wifi.ssid in config.json")  # it started anew
    assert left(plant) == ["release.key"]


def test_a_release_that_does_not_fit_is_refused_and_leaves_nothing(plant: Any, released: Callable[..., Path]) -> None:
    filling = (
        "import os; f = open('/filler', 'wb')\nfor _ in range(os.statvfs('/')[3] - 12): f.write(bytes(4096))\nf.close()"
    )
    plant.board.exec(filling)
    plant.board.reset()
    plant.says(b"node: online", 2)
    modules = without_packs(plant.own)
    new = {path: content + bytes(1) for path, content in modules.items() if path.startswith("dsp/")}
    assert "no room: needs " in plant.node("update", str(released(new)), code=18)
    assert left(plant) == ["release.key"]


@pytest.mark.parametrize(
    "plant", [{"interval_s": 1, "vibration": {"samples": 1024}, "limits": {"rms": [0.15, 0.25]}}], indirect=True
)
def test_an_alarm_goes_out_while_a_release_is_fetched(plant: Any, released: Callable[..., Path]) -> None:
    modules = without_packs(plant.own)
    much = {path: content + bytes(1) for path, content in modules.items() if path.startswith(("dsp/l", "dsp/m"))}
    path = released(much)
    (envelope,) = bundle.read_release(path).envelopes
    url = parse_broker_url(plant.url)
    with Monitor(url, f"{ROOT}/event", opener=Opener(plant.keys)) as monitor:
        with Operator(url, plant.keys, "n1", timeout_s=200, expires_s=EXPIRES_S) as node:
            node.ask("update", {"digest": hashlib.sha256(envelope).digest(), "size": len(envelope)})
            plant.board.set_sensor("iis3dwb", source=signal("or007_6"))
            assert node.updated()[0] == "update_confirmed"
        told = [item.values for item in iter(lambda: monitor.get(0.5), None) if isinstance(item, Record)]
    codes = [(event["code"], event.get("event_level")) for event in told]
    assert codes.index(("level", "alarm")) < codes.index(("boot", None)) < codes.index(("update_confirmed", None))


def test_what_the_key_has_not_signed_is_refused_and_told(plant: Any, released: Callable[..., Path]) -> None:
    new = {IDENTIFY: module(IDENTIFY, lambda source: source.replace("node: identify", "node: identifies itself"))}
    with Monitor(parse_broker_url(plant.url), f"{ROOT}/event", opener=Opener(plant.keys)) as monitor:
        forged = released(new, key=OTHER)
        assert "it trusts another release key" in plant.node("update", str(forged), code=18)
        path = released(new)
        release = bundle.read_release(path)
        topic, chunk = next(
            (topic, chunk) for topic, chunk in chunks_of(release, "plant").items() if b"identifies itself" in chunk
        )
        publish.single(topic, bytes(len(chunk)), qos=1, retain=True, port=plant.mosquitto.port)
        assert "did not keep release 2: wrong_content" in plant.node("update", str(path), code=18)
        publish.single(topic, chunk, qos=1, retain=True, port=plant.mosquitto.port)
        assert plant.json("update", str(path))["sequence"] == 2
        assert "it runs that release or a later one" in plant.node("update", str(released({}, sequence=1)), code=18)
        told = [item.values for item in iter(lambda: monitor.get(0.5), None) if isinstance(item, Record)]
    refused = [event["subject"] for event in told if event["code"] == "message_refused"]
    assert refused[0] == "release_wrong_key"
