"""Running an emulated node: its configuration, when it ends, and that nothing is left however it ends."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import cbor2
import paho.mqtt.publish as publish
import pytest

from quaver.board.image import image_artifact
from quaver.board.spec import load_board
from quaver.broker.address import BrokerUrl
from quaver.broker.embedded import EmbeddedBroker
from quaver.emulator.setup import Setup
from quaver.errors import BoardError, BrokerError, BuildError, QuaverError
from quaver.files.pinned import UMQTT
from quaver.messages.monitor import Link, Notice, Problem
from quaver.messages.record import Record
from quaver.plant.node import Emulation, Plan, TopicPrefix, board_of, healthy_machine, node_config, standard_rig

PLACE = TopicPrefix("plant", "hall", "line", "pump", "n7")
STATUS = {0: 2, 1: 2, 2: "n7", 30: 1}
TELEMETRY = {0: 2, 1: 0, 2: "n7", 3: 1, 9: [10000]}
ALARM = {0: 2, 1: 1, 2: "n7", 20: 1, 21: 2, 22: "rms", 23: 9.0, 24: 4.0}
Message = tuple[str, bytes]


def message(message_class: str, fields: dict[int, object], prefix: TopicPrefix = PLACE) -> Message:
    return f"{prefix}/{message_class}", cbor2.dumps(fields, canonical=True)


@dataclass
class FakeBoard:
    """A board whose node has published `script` when it opens, and then ended as `ended` says."""

    script: list[Message]
    ended: str | None = None
    where: str = "unix:"
    stopped: bool = False
    said: bytes = b"node: online\r\nlast words\r\n\r\n"
    setup: Setup = field(default_factory=Setup)

    def open(self, where: str, setup: Setup) -> "FakeBoard":
        self.where, self.setup = where, setup
        if self.script:
            publish.multiple([(*each, 1, False) for each in self.script], port=setup.broker_port)
        return self

    def alive(self) -> str | None:
        return self.ended

    def console(self) -> bytes:
        return self.said

    def __enter__(self) -> "FakeBoard":
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[FakeBoard, Emulation]]:
    before = threading.active_count()
    monkeypatch.setattr("quaver.build.firmware_files", lambda board, config: {"config": str(config).encode()})

    def prepare(*script: Message, ended: str | None = None, broker: BrokerUrl | None = None):
        board = FakeBoard(list(script), ended)
        monkeypatch.setattr("quaver.plant.node.open_board", board.open)
        return board, Emulation(Plan("unix", healthy_machine(), PLACE), broker)

    yield prepare
    assert threading.active_count() == before, "a thread was left behind"


@pytest.mark.parametrize("name", ["pico_w", "Pico-W", "rp2040", "rp2040:"])
def test_board_names(name: str) -> None:
    assert board_of(name) == "pico_w"


def test_board_without_emulation() -> None:
    with pytest.raises(BoardError, match="'esp32_s3': can't be emulated; expected one of pico_w, esp32_c3, unix"):
        board_of("esp32_s3")


@pytest.mark.parametrize("level", ["site", "area", "line", "asset", "node"])
@pytest.mark.parametrize("name", ["", "n" * 25, "a/b", "a+", "#", "a\0b", "a\nb", "\udcff"])
def test_a_name_that_the_node_would_not_take_is_refused(level: str, name: str) -> None:
    with pytest.raises(QuaverError) as caught:
        TopicPrefix(**{level: name})
    assert str(caught.value) == (
        f"{level} {name!r}: can't be a level of a topic; expected 1 to 24 printable characters without / + #"
    )


def test_names_that_the_node_takes() -> None:
    assert str(TopicPrefix("Werk 1", "Würzburg", "n" * 24, "a.b", "$")) == f"Werk 1/Würzburg/{'n' * 24}/a.b/$"


def test_config_reaches_a_broker_on_this_machine_through_the_board() -> None:
    plan = Plan("pico_w", healthy_machine(), PLACE, 2.5, {"rms": (1.0, 2.0)})
    config = node_config(plan, BrokerUrl("localhost", 1999, "me", "secret"))
    assert config["broker"] == {"host": "10.0.0.1", "port": 1883, "user": "me", "password": "secret"}
    assert config["limits"] == {"rms": [1.0, 2.0]}
    assert "/".join(config[level] for level in ("site", "area", "line", "asset", "node")) == str(PLACE)
    assert config["interval_s"] == 2.5
    elsewhere = node_config(Plan("unix", healthy_machine()), BrokerUrl("broker.example", 1884))
    assert elsewhere["broker"]["host"] == "broker.example" and elsewhere["broker"]["port"] == 1884
    assert "limits" not in elsewhere


def test_the_rig_has_the_sensors_of_the_config() -> None:
    plan = Plan("unix", healthy_machine())
    config = node_config(plan, BrokerUrl("localhost"))
    rig = {(part.name, part.bus, part.select) for part in standard_rig(plan.source)}
    assert rig == {
        (config["vibration"]["driver"], config["vibration"]["bus"], "spi0_cs"),
        (config["temperature"]["driver"], config["temperature"]["bus"], config["temperature"]["address"]),
        (config["energy"]["driver"], config["energy"]["bus"], 0),
    }


def test_ends_after_its_own_captures(run) -> None:
    stranger = message("telemetry", TELEMETRY | {2: "n8"}, TopicPrefix("plant", "hall", "line", "pump", "n8"))
    script = [message("status", STATUS), stranger, ("a/b/c/d/e/event", b"junk")]
    board, emulation = run(*script, *[message("telemetry", TELEMETRY)] * 3)
    steps: list[str] = []
    emulation.step = steps.append
    with emulation:
        items = [item for item in emulation.items(captures=2) if item is not None]
        assert emulation.own(items[-1]) and emulation.captures == 2
    assert [type(item) for item in items] == [Record, Problem, Record, Problem, Record, Record]
    assert board.stopped and board.setup.broker_port == emulation.broker.port
    assert steps[0] == "starting the broker" and steps[-1] == "waiting for the first measurement"


def test_a_download_is_told_as_one(run, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []
    monkeypatch.setattr("quaver.files.pinned.is_cached", lambda artifact: False)
    for prefix in ("quaver.files.pinned.fetch", "quaver.board.image.fetch"):
        monkeypatch.setattr(prefix, lambda artifact, progress: fetched.append((artifact, progress)))
    _, emulation = run()
    steps: list[str] = []

    def progress(name: str, done: int, total: int) -> None:
        pass

    emulation = Emulation(Plan("pico_w", healthy_machine(), PLACE), None, steps.append, progress)
    with emulation:
        pass
    image = image_artifact(load_board("pico_w"))
    assert fetched == [(UMQTT, progress), (image, progress)]
    assert steps[:3] == ["fetching the MQTT client", "fetching the image", "starting the broker"]


@pytest.mark.parametrize(
    ("said", "wonder", "told"),
    [
        (b"node: online\r\n", (0.0, 99.0), True),
        (b"node: quaver\r\n", (0.0, 99.0), False),
        (b"node: quaver\r\n", (0.0, 0.0), True),
    ],
)
def test_a_node_that_is_not_heard_is_a_line_long_before_it_is_a_failure(
    run, monkeypatch: pytest.MonkeyPatch, said: bytes, wonder: tuple[float, float], told: bool
) -> None:
    """As when a broker takes what the node publishes and hands it to nobody; an older record is not this node's."""
    monkeypatch.setattr("quaver.plant.node._WONDER_S", wonder)
    with EmbeddedBroker() as broker:
        publish.single(
            f"{PLACE}/status", cbor2.dumps(STATUS | {30: 0}, canonical=True), 1, retain=True, port=broker.port
        )
        board, emulation = run(broker=broker.url)
        board.said = said

        def compile_after_the_retained(board: str, config: object) -> dict[str, bytes]:
            # Its own subscription's retained record has come before there is a node.
            retained.append(emulation.monitor.get(10))
            emulation.monitor._items.put(retained[0])
            return {}

        retained: list[object] = []
        monkeypatch.setattr("quaver.build.firmware_files", compile_after_the_retained)
        with emulation:
            items = emulation.items()
            first = [item for item in (next(items) for _ in range(6)) if item is not None]
        line = f"no record yet from {PLACE}: may this node publish there at {broker.url}?"
        assert first == [retained[0], *([Notice(line)] if told else [])]


def test_a_node_that_is_heard_raises_no_doubt(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.plant.node._WONDER_S", (0.3, 0.3))
    _, emulation = run(message("status", STATUS))
    with emulation:
        items = emulation.items()
        assert not any(isinstance(next(items), Notice) for _ in range(4))


def test_knows_its_own_alarm(run) -> None:
    other = message("event", ALARM | {2: "n8"}, TopicPrefix("plant", "hall", "line", "pump", "n8"))
    warning = message("event", ALARM | {21: 1})
    _, emulation = run(
        message("status", STATUS), other, warning, message("event", ALARM), message("telemetry", TELEMETRY)
    )
    with emulation:
        alarms = [alarm for item in emulation.items(captures=1) if (alarm := emulation.alarm(item))]
    assert [(alarm.node, alarm.values["value"]) for alarm in alarms] == [(str(PLACE), 9.0)]


def test_a_board_that_ends(run) -> None:
    board, emulation = run(message("status", STATUS), ended="killed by signal 9")
    last = "unix ended: killed by signal 9; its console ended with: last words"
    with pytest.raises(BoardError, match=last), emulation:
        for _ in emulation.items():
            pass
    assert board.stopped


def test_a_board_that_says_nothing(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.plant.node._PATIENCE_S", 0.3)
    board, emulation = run()
    silence = r"unix sent nothing to mqtt://127\.0\.0\.1:\d+ for \d+ s; its console"
    with pytest.raises(BoardError, match=silence), emulation:
        for _ in emulation.items():
            pass
    assert board.stopped


def test_a_firmware_that_ends(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.plant.node._PROMPT_S", 0.3)
    board, emulation = run(message("status", STATUS))
    board.said = b'Traceback:\r\nMemoryError: no\r\nMicroPython v1.27.0 on x\r\nType "help()" for more.\r\n>>> '
    ended = "unix: its firmware ended; its console ended with: MemoryError: no"
    with pytest.raises(BoardError, match=ended), emulation:
        for _ in emulation.items():
            pass
    assert board.stopped


def test_somebody_at_the_console_of_a_node_that_worked(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.plant.node._PROMPT_S", 0.0)
    monkeypatch.setattr("quaver.plant.node._PATIENCE_S", 0.0)
    board, emulation = run(message("status", STATUS), message("telemetry", TELEMETRY))
    board.said = b"KeyboardInterrupt:\r\n>>> "
    with emulation:
        items = emulation.items()
        while emulation.captures == 0:
            next(items)
        assert [next(items) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(143), BrokenPipeError])
def test_nothing_is_left_when_it_is_interrupted(run, error: BaseException) -> None:
    board, emulation = run(message("status", STATUS))
    with pytest.raises(BaseException) as caught, emulation:
        next(emulation.items())
        raise error
    assert caught.type is (error if isinstance(error, type) else type(error))
    assert board.stopped


def test_nothing_is_left_when_it_does_not_start(run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, emulation = run()

    def broken(board: str, config: object) -> dict[str, bytes]:
        raise BuildError("firmware/build/node.py:3: invalid syntax")

    monkeypatch.setattr("quaver.build.firmware_files", broken)
    with pytest.raises(BuildError), emulation:
        pass
    monkeypatch.setattr("quaver.build.firmware_files", lambda board, config: {})
    monkeypatch.setattr("quaver.plant.node.open_board", lambda where, setup: (_ for _ in ()).throw(BoardError("no")))
    with pytest.raises(BoardError, match="no"), emulation:
        pass
    _, emulation = run(broker=BrokerUrl("127.0.0.1", 1))
    with pytest.raises(BrokerError, match="Connection refused"), emulation:
        pass


def test_a_broker_of_ones_own(run) -> None:
    with EmbeddedBroker() as broker:
        _, emulation = run(message("status", STATUS), message("telemetry", TELEMETRY), broker=broker.url)
        with emulation:
            kinds = [item.kind for item in emulation.items(captures=1) if isinstance(item, Record)]
            assert not any(isinstance(item, Link) for item in [emulation.monitor.get(0)])
        assert emulation.broker == broker.url
    assert kinds == ["status", "telemetry"]
