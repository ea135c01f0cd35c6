"""What the device tests share: a node in service on a board, and everything an independent client saw of it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from pycddl import Schema, ValidationError

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.build.tree import with_twins
from quaver.emulator.bus import Attached
from quaver.pytest_plugin import Target
from quaver.recordings import RecordingSource, load
from quaver.recordings.machine import Machine
from quaver.recordings.sources import Source
from quaver_wire.decoder import decode
from quaver_wire.fields import EVENTS, LEVELS, WireError

CDDL = (Path(__file__).resolve().parents[2] / "protocols" / "quaver.cddl").read_text()
# Recordings of real machines that a developer may have beside the checkout; the model stands in without them.
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"
PATIENCE_S = 90.0  # for a test to be sure that something is not coming; nothing waits this long when all is well


class Client:
    """An MQTT client of its own making (paho): what it saw, in order, by kind."""

    def __init__(self, port: int) -> None:
        self._changed = threading.Condition()
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.broken: list[str] = []
        # A session with a name: what arrives while this client is not yet back after a restart is kept for it.
        self._paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="observer", clean_session=False)
        self._paho.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._paho.on_message = self._take
        subscribed = threading.Event()  # else a test that stops its broker at once has no session with it
        self._paho.on_subscribe = lambda *_: subscribed.set()
        self._paho.reconnect_delay_set(1, 1)
        self._paho.connect("127.0.0.1", port)
        self._paho.loop_start()
        assert subscribed.wait(PATIENCE_S)

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        leaf = message.topic.rpartition("/")[2]
        try:
            Schema(f"start = {leaf}\n{CDDL}").validate_cbor(message.payload)
            payload = decode(message.payload, leaf)
        except (ValidationError, WireError) as error:  # in paho's thread: kept for the test's end
            self.broken.append(f"{message.topic}: {error}")
            return
        with self._changed:
            self.messages.append((message.topic, payload))
            self._changed.notify_all()

    def of(self, leaf: str) -> list[dict[str, Any]]:
        return [payload for topic, payload in self.messages if topic.rpartition("/")[2] == leaf]

    def alarms(self) -> list[dict[str, Any]]:
        return [e for e in self.of("event") if EVENTS[e["code"]] == "level" and LEVELS[e["event_level"]] == "alarm"]

    def wait(self, wanted: Callable[["Client"], Any], what: str) -> Any:
        """Block until `wanted(self)` is true; fails the test when it does not come true."""
        with self._changed:
            if not self._changed.wait_for(lambda: wanted(self), PATIENCE_S):
                seen = [f"{topic} {payload}" for topic, payload in self.messages[-5:]] + self.broken
                pytest.fail(f"waited for {what}; the last messages were: {seen}", pytrace=False)
            return wanted(self)

    def stop(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


def signal(name: str) -> Source:
    """Real or modelled vibration: "normal" and faults by the names of the Case Western set."""
    path = RECORDINGS / f"cwru_{name}_0.npz"
    if path.exists():
        return RecordingSource(load(path))
    if name == "normal":
        return Machine(rpm=1797)
    return Machine(rpm=1797, fault="inner" if name.startswith("ir") else "outer", severity=1.0)


@pytest.fixture(scope="session")
def board_files(board_target: Target) -> Mapping[str, bytes]:
    """The firmware without its main.py: the tests on the shared board drive the parts themselves."""
    if not board_target.emulated:
        return {}  # a real board comes with its own
    files = {path: data for path, data in firmware_files(board_target.board).items() if path != "main.py"}
    return with_twins(files, board_target.board)


@pytest.fixture(autouse=True)
def _let_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """The shared board's heap holds nothing that an earlier test made: a measurement takes 24 kB in one piece."""
    yield
    if "board" in request.fixturenames:
        request.getfixturevalue("board").exec("globals().clear()\nimport gc\ngc.collect()\ndel gc")


@pytest.fixture
def client(mosquitto: Any) -> Iterator[Client]:
    with ExitStack() as stack:
        client = Client(mosquitto.port)
        stack.callback(client.stop)
        yield client
        assert not client.broken  # everything that a node says is of the schema


@pytest.fixture
def start_node(board_target: Target, start_board: Callable[..., Board], mosquitto: Any) -> Callable[..., Board]:
    """Puts a node into service on a fresh board, publishing to Mosquitto; own: files of drivers that it has besides."""

    def start(rig: tuple[Attached, ...], config: dict[str, Any], own: Mapping[str, bytes] | None = None) -> Board:
        host = "127.0.0.1" if board_target.where == "unix:" else "10.0.0.1"
        whole = {
            "site": "plant",
            "area": "hall",
            "line": "line1",
            "asset": "motor1",
            "node": "n1",
            "wifi": {"ssid": "quaver", "password": "emulated"},
            "broker": {"host": host, "port": 1883},
            "temperature": None,
            "energy": None,
            "vibration": {"samples": 4096},  # brief ones do where the verdict is not the point
            **config,
        }
        files = {**firmware_files(board_target.board, whole), **(own or {})}
        return start_board(files=files, rig=rig, broker_port=mosquitto.port)

    return start


@pytest.fixture
def make_plant(mosquitto: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes plants of nodes and gateways, each in an air of its own: make(seed, path, clock)."""
    from quaver.emulator.radio import Air

    from .plant import Plant

    with ExitStack() as stack:
        plants: list[Plant] = []

        def make(seed: int, path: Any = None, clock: Any = None) -> Plant:
            plants.append(Plant(stack.enter_context(Air(clock, seed=seed, path=path)), mosquitto, tmp_path, stack))
            return plants[-1]

        yield make
        for plant in plants:  # pytest shows it under a test that failed
            for name, board in plant.boards.items():
                print(f"{name}:\n{board.console().decode()[-2000:]}")
