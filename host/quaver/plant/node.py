"""Runs one emulated node against a broker: builds its firmware, wires its sensors, and monitors it until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeGuard

from quaver.board.interface import Board
from quaver.broker.address import MQTT_PORT, BrokerUrl
from quaver.broker.embedded import EmbeddedBroker
from quaver.emulator.bus import Attached
from quaver.emulator.setup import Setup
from quaver.emulator.targets import EMULATED, open_board
from quaver.errors import BoardError, QuaverError
from quaver.messages.monitor import Item, Monitor, Notice
from quaver.messages.record import Record

if TYPE_CHECKING:
    from quaver.files.pinned import Progress
    from quaver.recordings.sources import Source

# How the guest of an emulated board names this machine's loopback.
_HOST_ADDRESS = {"rp2040:": "10.0.0.1", "esp32_c3:": "10.0.0.1", "unix:": "127.0.0.1"}
_PATIENCE_S = 120.0  # real seconds without a word from the node before it counts as stuck
# Without a record for so long after the start a notice is printed: when the node says that the broker took one, and
# when it does not (an emulated Pico W needs 9 s until its first).
_WONDER_S = (10.0, 30.0)
_ONLINE = b"node: online"  # what firmware/node/publish.py prints when the broker has acknowledged its status
_PROMPT_S = 3.0  # silence after which a prompt on the console means that the firmware is gone
_PROMPT = (">>> ", "MicroPython ", 'Type "help()"')
_TICK_S = 0.25
_LONGEST_NAME = 24  # characters of a level, as in firmware/build/config.py
_LEVEL_MARKS = "/+#"  # MQTT 3.1.1, section 4.7: what divides a topic, and the wildcards

Limits = Mapping[str, tuple[float, float]]


def board_of(name: str) -> str:
    """The board file's name for what a person calls a board: "pico_w", "pico-w", "rp2040:", "unix:".

    Raises BoardError for a board that has no emulation.
    """
    key = name.strip().lower().replace("-", "_")
    for board, where in EMULATED.items():
        if key in (board, where, where[:-1]):
            return board
    raise BoardError(f"board {name!r}: can't be emulated; expected one of {', '.join(EMULATED)}")


@dataclass(frozen=True)
class TopicPrefix:
    """A node's topic prefix, the first five levels of its topics. Raises QuaverError.

    The node would put its own defaults for names that can't be levels of a topic, and so be somewhere else.
    """

    site: str = "quaver"
    area: str = "emulation"
    line: str = "line-1"
    asset: str = "motor-1"
    node: str = "node-1"

    def __post_init__(self) -> None:
        for level, name in vars(self).items():
            # What is not printable is a control character (MQTT 3.1.1, 1.5.3), or not Unicode at all.
            if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() or set(name) & set(_LEVEL_MARKS):
                raise QuaverError(
                    f"{level} {name!r}: can't be a level of a topic; "
                    f"expected 1 to {_LONGEST_NAME} printable characters without {' '.join(_LEVEL_MARKS)}"
                )

    def __str__(self) -> str:
        return "/".join((self.site, self.area, self.line, self.asset, self.node))


@dataclass(frozen=True)
class Plan:
    """One emulated node.

    board: the board file's name, one of EMULATED. source: what its vibration sensor measures. interval_s:
    seconds of the node's own time between measurements. limits: feature -> (warning, alarm), beside what the
    node learns. real_time: pace the node's clock to the wall clock instead of as fast as it can. machine: the
    configuration's section of that name. samples: of one measurement; 0 for a whole one. image: another official
    image than the board file's, None for that.
    """

    board: str
    source: Source
    prefix: TopicPrefix = field(default_factory=TopicPrefix)
    interval_s: float = 1.0
    limits: Limits = field(default_factory=dict)
    real_time: bool = False
    machine: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 0
    image: Path | None = None


SLOW_SENSORS = {
    "temperature": {"driver": "tmp117", "bus": "i2c0", "address": 72},
    "energy": {"driver": "sdm120", "bus": "uart1", "address": 1},
}


def node_config(plan: Plan, broker: BrokerUrl) -> dict[str, Any]:
    """The config.json of the plan's node, with the broker as its board reaches it."""
    where = EMULATED[plan.board]
    # A loopback broker's port, whatever it is, is the guest's 1883: see `Setup.broker_port`.
    host, port = (_HOST_ADDRESS[where], MQTT_PORT) if broker.loopback else (broker.host, broker.port)
    config: dict[str, Any] = {
        "site": plan.prefix.site,
        "area": plan.prefix.area,
        "line": plan.prefix.line,
        "asset": plan.prefix.asset,
        "node": plan.prefix.node,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": host, "port": port, "user": broker.user, "password": broker.password},
        "vibration": {"driver": "iis3dwb", "bus": "spi0", "range_g": 16, "samples": plan.samples},
        "machine": dict(plan.machine),
        **SLOW_SENSORS,
        "interval_s": plan.interval_s,
    }
    if plan.limits:
        config["limits"] = {feature: list(pair) for feature, pair in plan.limits.items()}
    return config


def standard_rig(source: Source) -> tuple[Attached, ...]:
    """The sensors that `node_config` speaks of; `source` is what the accelerometer measures."""
    from quaver.emulator.sensors.iis3dwb import IIS3DWB
    from quaver.emulator.sensors.sdm120 import SDM120
    from quaver.emulator.sensors.tmp117 import TMP117

    return (
        Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(source)),
        Attached("tmp117", "i2c0", 0x48, TMP117()),
        Attached("sdm120", "uart1", 0, SDM120()),
    )


class Emulation:
    """A running plan; a context manager that leaves nothing behind, however it is left.

    broker: None starts an embedded one. step: told, in a few words, what is being waited for while it starts.
    progress: told of downloads, of which there are some the first time.
    Entering raises BoardError, BuildError, ArtifactError or BrokerError.
    """

    def __init__(
        self,
        plan: Plan,
        broker: BrokerUrl | None = None,
        step: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.plan = plan
        self.captures = 0
        self.started = 0.0
        self._given = broker
        self._progress = progress
        self._powered = 0.0
        self.step = step or (lambda words: None)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        from quaver.build import firmware_files

        with ExitStack() as stack:
            self.started = time.monotonic()
            self._fetch()
            if self._given is None:
                self.step("starting the broker")
                self.broker = stack.enter_context(EmbeddedBroker()).url
            else:
                self.broker = self._given
            self.step(f"connecting to {self.broker}")
            self.monitor = stack.enter_context(Monitor(self.broker, clock=None))  # `items` tells of a silence
            self.step("compiling the firmware")
            files = firmware_files(self.plan.board, node_config(self.plan, self.broker))
            self.step(f"booting {self.plan.board}")
            self._powered = time.time()
            setup = Setup(
                files=files,
                official=self.plan.image,
                rig=standard_rig(self.plan.source),
                broker_port=self.broker.port if self.broker.loopback else None,
                real_time=self.plan.real_time,
            )
            self.board: Board = stack.enter_context(open_board(EMULATED[self.plan.board], setup))
            self.step("waiting for the first measurement")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _fetch(self) -> None:
        """Fetch what building and booting take from the cache, so that a download is not told as one of them."""
        from quaver.board.image import image_artifact
        from quaver.board.spec import load_board
        from quaver.files.pinned import UMQTT, fetch, is_cached

        image = image_artifact(load_board(self.plan.board)) if self.plan.image is None else None
        for what, artifact in (("MQTT client", UMQTT), ("image", image)):
            if artifact is not None and not is_cached(artifact):
                self.step(f"fetching the {what}")
                fetch(artifact, self._progress)

    def seconds(self) -> float:
        """Real seconds since the start, of everything."""
        return time.monotonic() - self.started

    def own(self, item: Item | None) -> bool:
        """Whether it is a record of this plan's node; others may be at the same broker."""
        return isinstance(item, Record) and item.node == str(self.plan.prefix)

    def measured(self, item: Item | None) -> TypeGuard[Record]:
        """Whether it is a measurement of this plan's node."""
        return isinstance(item, Record) and self.own(item) and item.kind == "telemetry"

    def alarm(self, item: Item | None) -> Record | None:
        """The item, if it is this node's event that a feature reached its alarm level; else None."""
        if not isinstance(item, Record) or not self.own(item) or item.kind != "event":
            return None
        values = item.values
        return item if (values.get("code"), values.get("event_level")) == ("level", "alarm") else None

    def items(self, captures: int | None = None) -> Iterator[Item | None]:
        """What arrives at the broker, in order, and None a few times a second when nothing does.

        A Notice tells once when no message of this node has arrived for longer than that. Ends after `captures`
        telemetry records of this node; without, it never ends. Raises BoardError when the board or its firmware
        ends, or says nothing for two minutes and an interval; a firmware that worked may be stopped by somebody
        at its console while no number of captures is awaited.
        """
        pace = self.plan.interval_s if self.plan.real_time else 0.0
        heard = checked = begun = time.monotonic()
        early = True
        while captures is None or self.captures < captures:
            item = self.monitor.get(_TICK_S)
            now = time.monotonic()
            if isinstance(item, Record) and self.own(item):
                heard = now
                # A retained record came with the subscription, before there was this node.
                early = early and item.received < self._powered
                if item.kind == "telemetry":
                    self.captures += 1
            if now - checked >= _TICK_S:  # other nodes' records must not hide that this one has ended
                checked = now
                self._check(now - heard, _PATIENCE_S + pace, captures is None and self.captures > 0)
            yield item
            if early and now - begun > self._silence_limit_s(item):
                early = False
                yield Notice(f"no record yet from {self.plan.prefix}: may this node publish there at {self.broker}?")

    def _silence_limit_s(self, item: Item | None) -> float:
        # A record may still be on its way while others come.
        return _WONDER_S[0] if item is None and _ONLINE in self.board.console() else _WONDER_S[1]

    def _check(self, silent_s: float, patience_s: float, attended: bool) -> None:
        """Raise BoardError with the node's last words when it will not speak again."""
        name = self.plan.board
        ended = self.board.alive()
        if ended is not None:
            raise BoardError(f"{name} ended: {ended}{self._last_words()}")
        if silent_s > _PROMPT_S and self.board.console().endswith(b">>> "):
            if attended:  # somebody stopped a node that worked, to look into it over its console
                return
            raise BoardError(f"{name}: its firmware ended{self._last_words()}")
        if silent_s > patience_s:
            raise BoardError(f"{name} sent nothing to {self.broker} for {silent_s:.0f} s{self._last_words()}")

    def _last_words(self) -> str:
        """The last line of the console that is not the prompt's own."""
        for line in reversed(self.board.console().decode(errors="replace").splitlines()):
            if line.strip() and not line.startswith(_PROMPT):
                return f"; its console ended with: {line.strip()}"
        return "; its console is empty"


def healthy_machine() -> Source:
    """A modelled machine without a fault, for where there is no recording."""
    from quaver.recordings.sources import Machine

    return Machine()
