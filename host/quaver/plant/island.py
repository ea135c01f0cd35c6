"""Nodes that share a clock, in a plant whose other nodes live beside them.

Within an island everything happens in one order. Between islands messages alone pass, at the borders of the plant's
exchange interval: until then no island can have an effect on another, so they run side by side, and the result is that
of one clock. A worker is a process that runs islands one after the other, from border to border.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import multiprocessing
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from quaver.board.spec import load_board
from quaver.emulator.bus import Attached
from quaver.emulator.charge import mean_ma
from quaver.emulator.clock import Clock
from quaver.emulator.identity import Identity
from quaver.emulator.lan import Lan, Way
from quaver.emulator.setup import Setup
from quaver.emulator.site_broker import Message, SiteBroker
from quaver.errors import BoardError, PlantError, QuaverError
from quaver.fleet.link_keys import board_file, derive
from quaver.plant.faults import Drift
from quaver.plant.life import Life
from quaver.plant.node import SLOW_SENSORS
from quaver.plant.radio import LINK, IslandAir
from quaver.plant.spec import Gateway, Machine, Node

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from quaver.emulator.child_board import ChildBoard
    from quaver.emulator.unix import UnixBoard
    from quaver.recordings.sources import Source

_MQTT, _NTP = 1883, 123
_HOSTS = {"unix": "127.0.0.1", "pico_w": "10.0.0.1", "esp32_c3": "10.0.0.1"}  # the site's one host, as boards know it
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_STEADY_S = 60.0  # between two looks of the slow sensors at the machine
_PARTS = {"vibration": "iis3dwb", "temperature": "tmp117", "energy": "sdm120"}


@dataclass(frozen=True)
class Change:
    """What happens to a node, or to the broker (node ""), at a moment. what: as in `Fault.kind`; on: it begins."""

    at: float
    what: str
    on: bool
    node: str = ""
    sensor: str = ""
    loss: float = 0.0
    jump: float = 0.0
    lasts: float = 0.0
    operation: int = 0
    torn: bool = False


@dataclass(frozen=True)
class Member:
    """A node or gateway of an island, what its machine does, its device key, and by sensor how each drifts."""

    node: Node | Gateway
    life: Life | None
    key: bytes
    drifts: Mapping[str, tuple[Drift, ...]] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        name = self.node.name
        return Identity.of_esp32(name) if self.node.board == "esp32_c3" else Identity.of(name)

    @property
    def node_id(self) -> bytes:
        return self.identity.unique_id.rjust(8, b"\0")

    @property
    def sensors(self) -> tuple[str, ...]:
        return self.node.sensors if isinstance(self.node, Node) else ()

    def gain(self, sensor: str, time_s: float) -> float:
        """What a sensor's reading is multiplied by at a moment, as it drifts."""
        return math.prod(drift.gain(time_s) for drift in self.drifts.get(sensor, ()))

    # As the source of its accelerometer, as in `Life`.

    def at(self, time_s: float) -> Source:
        assert self.life is not None
        gain = self.gain("vibration", time_s)
        source = self.life.at(time_s)
        return source if gain == 1.0 else Scaled(source, gain)

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        return self.at(0.0).samples(capture, rate_hz, first, count)


@dataclass(frozen=True)
class Scaled:
    """What a sensor shows of a source whose sensitivity is off."""

    source: Source
    gain: float

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        return self.source.samples(capture, rate_hz, first, count) * np.float32(self.gain)


@dataclass(frozen=True)
class IslandPlan:
    members: tuple[Member, ...]
    changes: tuple[Change, ...]
    start: datetime
    seed: int
    files: Mapping[str, Mapping[str, bytes]]  # of each board's firmware, without configuration and key


@dataclass
class Report:
    """What an island did up to a border: (time, message) as nodes sent them, and what of it can't go on."""

    sent: list[tuple[float, Message]] = field(default_factory=list)
    dead: dict[str, str] = field(default_factory=dict)


def _wifi(board: str) -> dict[str, Any]:
    return {
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": _HOSTS[board], "port": _MQTT},
        "time_server": _HOSTS[board],
    }


def node_config(node: Node, machine: Machine) -> dict[str, Any]:
    """The config.json of a plant's node, which is told its machine's bearing, and the speed when there is one."""
    site, area, line, asset = node.place.split("/")
    config: dict[str, Any] = {
        "site": site,
        "area": area,
        "line": line,
        "asset": asset,
        "node": node.name,
        "interval_s": node.interval,
        **(LINK if node.gateway else _wifi(node.board)),
        "vibration": None,
        "temperature": None,
        "energy": None,
    }
    if "vibration" in node.sensors:
        config["vibration"] = {"driver": "iis3dwb", "bus": "spi0", "range_g": 16, "samples": node.samples}
        config["machine"] = {"learn": node.learn, "bearing": machine.bearing or None}
        if all(shift.speed in (None, machine.speed) for shift in machine.shifts):
            config["machine"]["rpm"] = machine.speed
    for name in ("temperature", "energy"):
        if name in node.sensors:
            config[name] = dict(SLOW_SENSORS[name])
    return _merged(config, node.config)


def gateway_config(gateway: Gateway, members: Sequence[Member]) -> dict[str, Any]:
    """The config.json of a plant's gateway of these nodes."""
    site, area, line, asset = gateway.place.split("/")
    nodes = {
        one.node_id.hex(): f"{one.node.place}/{one.node.name}"
        for one in members
        if isinstance(one.node, Node) and gateway.name in one.node.gateway
    }
    config: dict[str, Any] = {
        "role": "gateway",
        "site": site,
        "area": area,
        "line": line,
        "asset": asset,
        "node": gateway.name,
        "interval_s": gateway.interval,
        "gateway": {"nodes": nodes},
        **_wifi(gateway.board),
    }
    return _merged(config, gateway.config)


def _link_keys(gateway: Gateway, members: Sequence[Member]) -> bytes:
    """What a plant's gateway was granted: its nodes."""
    granted = [
        derive(one.key, one.node_id, 1, gateway.name, 1)
        for one in members
        if isinstance(one.node, Node) and gateway.name in one.node.gateway
    ]
    return board_file(gateway.name, granted)


def _merged(config: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    found = dict(config)
    for key, value in more.items():
        below = found.get(key)
        found[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return found


def _board(kind: str, setup: Setup) -> UnixBoard | ChildBoard:
    if kind == "pico_w":
        from quaver.emulator.rp2040.board import Rp2040Board

        return Rp2040Board(setup)
    if kind == "esp32_c3":
        from quaver.emulator.esp32c3.board import Esp32C3Board

        return Esp32C3Board(setup)
    from quaver.emulator.unix import UnixBoard

    return UnixBoard(setup)


class Island:
    """A running one. Raises PlantError where a board does not start."""

    def __init__(self, plan: IslandPlan) -> None:
        self._plan = plan
        self._clock = Clock()
        self._gate = self._clock.join("border")  # the first: at a border it is its turn before anybody's
        self._clock.live(self._gate)
        self._stack = contextlib.ExitStack()
        self._lan = self._stack.enter_context(Lan(self._clock, seed=plan.seed))
        self._broker = SiteBroker()
        self._report = Report()
        self._boards: dict[str, UnixBoard | ChildBoard] = {}
        self._told: set[str] = set()
        self._off: Counter[str] = Counter()  # of each node, what keeps its power off
        self._jump_s = 0.0  # of the time server
        self._lan.call(self._open)
        self._radio: IslandAir | None = None
        gateways = [member.node.name for member in plan.members if isinstance(member.node, Gateway)]
        if gateways:
            nodes = [member.node for member in plan.members if isinstance(member.node, Node)]
            self._radio = IslandAir(self._clock, plan.seed, gateways, nodes)
            self._stack.callback(self._radio.close)
        try:
            for member in plan.members:
                board = _board(member.node.board, self._setup(member))
                self._stack.callback(board.stop)
                self._boards[member.node.name] = board
        except QuaverError as error:
            self.close()
            raise PlantError(f"node {member.node.name}: {error}") from error
        self._lan.call(self._schedule)

    def _setup(self, member: Member) -> Setup:
        from quaver.emulator.sensors.iis3dwb import IIS3DWB
        from quaver.emulator.sensors.sdm120 import SDM120
        from quaver.emulator.sensors.tmp117 import TMP117

        node = member.node
        files = dict(self._plan.files[node.board])
        if isinstance(node, Node):
            assert member.life is not None
            config = node_config(node, member.life.machine)
        else:
            config = gateway_config(node, self._plan.members)
            files["link.keys"] = _link_keys(node, self._plan.members)
        files["config.json"] = json.dumps(config, separators=(",", ":")).encode()
        files["device.key"] = json.dumps({"generation": 1, "key": member.key.hex()}).encode()
        drawn = hashlib.sha256(f"{self._plan.seed} {node.name}".encode()).digest()
        rig = (
            Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(member, clock_error=drawn[0] / 12.8 - 10)),
            Attached("tmp117", "i2c0", 0x48, TMP117(member.life.celsius(0) if member.life else 20.0)),
            Attached("sdm120", "uart1", 0, SDM120()),
        )
        wanted = {_PARTS[sensor] for sensor in member.sensors}
        kept = tuple(part for part in rig if part.name in wanted)
        air = self._radio.air if self._radio else None
        return Setup(files=files, rig=kept, lan=self._lan, air=air, name=node.name, identity=member.identity)

    # In the network's thread, at a moment of which everybody else waits for the end.

    def _open(self) -> None:
        self._lan.serve(_MQTT, self._broker.connection)
        self._lan.answer(_NTP, self._date)
        self._broker.receive("#", lambda message: self._report.sent.append((self._lan.loop.time(), message)))

    def _schedule(self) -> None:
        loop = self._lan.loop
        for member in self._plan.members:
            if self._radio is None or not self._radio.has(member.node.name):
                self._lan.set_way(member.node.name, Way(loss=member.node.loss))
            if member.life is not None:
                loop.call_at(0.0, self._look, member, member.life)
        for change in self._plan.changes:
            loop.call_at(change.at, self._make, change)

    def _look(self, member: Member, life: Life) -> None:
        """The slow sensors at the machine as it is now."""
        loop = self._lan.loop
        now, board, sensors = loop.time(), self._boards[member.node.name], member.sensors
        if board.alive() is not None:
            return
        if "temperature" in sensors:
            board.set_sensor("tmp117", temperature=life.celsius(now) * member.gain("temperature", now))
        if "energy" in sensors:
            watts = life.watts(now) * member.gain("energy", now)
            board.set_sensor("sdm120", current=watts / (230.0 * 0.9))
        if {"temperature", "energy"} & set(sensors):
            loop.call_at(now + _STEADY_S, self._look, member, life)

    def _make(self, change: Change) -> None:
        if change.what == "broker_restart":
            if change.on:
                self._lan.serve(_MQTT, None)
                self._broker.restart()
            else:
                self._lan.serve(_MQTT, self._broker.connection)
            return
        if change.what == "clock":
            self._jump_s = change.jump if change.on else 0.0
            return
        board = self._boards[change.node]
        if change.what in ("power_cut", "gateway_dies"):
            self._power(change.node, not change.on)
        elif change.what == "flash_cut":
            board.cut_power(change.operation, change.torn, lambda: self._lan.post(self._cut, change))
        elif change.what == "wifi_gone":
            board.reach(not change.on)
        elif change.what == "lossy" and self._radio and self._radio.has(change.node):
            self._radio.lossy(change.node, change.loss if change.on else None)
        elif change.what == "out_of_range":
            assert self._radio is not None
            self._radio.range(change.node, not change.on)
        elif change.what == "lossy":
            usual = next(m.node.loss for m in self._plan.members if m.node.name == change.node)
            self._lan.set_way(change.node, Way(loss=change.loss if change.on else usual))
        else:
            board.set_sensor(_PARTS[change.sensor], fault=change.what if change.on else None)

    def _power(self, name: str, on: bool) -> None:
        """One that keeps it off goes, or comes."""
        self._off[name] += -1 if on else 1
        if self._off[name] == (0 if on else 1):
            self._boards[name].power(on)

    def _cut(self, change: Change) -> None:
        """Power went by itself, at an operation of the flash."""
        self._off[change.node] += 1
        self._lan.loop.call_later(change.lasts, self._power, change.node, True)

    def _deliver(self, inbound: Sequence[Message]) -> None:
        for message in inbound:
            self._broker.publish(message, local=False)

    def _date(self, request: bytes, now_s: float) -> bytes | None:
        """An SNTP answer (RFC 5905, section 7.3) with the plant's date."""
        if len(request) < 48:
            return None
        date = self._plan.start.timestamp() + now_s + self._jump_s + _NTP_EPOCH
        moment = struct.pack(">II", int(date) % (1 << 32), int(date % 1 * (1 << 32)))
        return b"\x24\x02\x06\xec" + bytes(20) + request[40:48] + moment + moment

    # For the worker.

    def advance(self, until_s: float, inbound: Sequence[Message]) -> Report:
        """Live up to a border, having got at the last one what others sent."""
        if inbound:
            self._lan.post(self._deliver, inbound)
        self._clock.begin(self._gate, round(until_s * 1e9))
        while pause := self._clock.due(self._gate):
            self._gate.rest(min(pause, 1.0))
            self._look_after()
        self._look_after()
        report, self._report = self._report, Report()
        return report

    def _look_after(self) -> None:
        """A board that has ended holds up nobody, and is told once."""
        for name, board in self._boards.items():
            if name not in self._told and (why := board.alive()) is not None:
                self._told.add(name)
                self._report.dead[name] = why

    def tallies(self) -> dict[str, dict[str, float]]:
        """What the radios of Bluetooth have done, by station."""
        return self._radio.tallies() if self._radio else {}

    def currents(self) -> dict[str, float]:
        """What each node draws in the mean, mA, of those whose board's currents are published."""
        from quaver.emulator.child_board import ChildBoard

        found = {}
        for name, board in self._boards.items():
            if isinstance(board, ChildBoard) and board.alive() is None:
                with contextlib.suppress(BoardError):  # nothing counts them on this machine: a column stays empty
                    drawn = mean_ma(load_board(board.board), board.states())
                    if drawn is not None:
                        found[name] = round(drawn, 3)
        return found

    def console(self, name: str) -> bytes:
        return self._boards[name].console()

    def close(self) -> None:
        self._stack.close()


# Workers: one process each.


class Worker:
    """A process with islands of its own; `ask` one thing at a time, `answer` awaits what came of it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, far = context.Pipe()
        self._process = context.Process(target=_work, args=(far,), daemon=True)
        self._process.start()
        far.close()

    def ask(self, verb: str, *about: object) -> None:
        self._line.send((verb, about))

    def answer(self) -> Any:
        """Raises PlantError: what the worker met, or that it is gone."""
        try:
            good, value = self._line.recv()
        except (EOFError, ConnectionError) as error:
            raise PlantError("a worker of the plant ended: this machine may be short of memory") from error
        if not good:
            raise PlantError(value)
        return value

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._line.send(("close", ()))
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()


def _work(line: Connection) -> None:
    islands: list[Island] = []

    def build(plans: Sequence[IslandPlan]) -> None:
        islands.extend(Island(plan) for plan in plans)

    def advance(until_s: float, inbound: Sequence[Sequence[Message]]) -> list[Report]:
        return [island.advance(until_s, mail) for island, mail in zip(islands, inbound, strict=True)]

    def console(name: str) -> bytes:
        return next(i.console(name) for i in islands if name in i._boards)

    def tallies() -> dict[str, dict[str, float]]:
        return {name: tally for island in islands for name, tally in island.tallies().items()}

    def currents() -> dict[str, float]:
        return {name: drawn for island in islands for name, drawn in island.currents().items()}

    verbs: dict[str, Callable[..., Any]] = {"build": build, "advance": advance, "console": console}
    verbs |= {"tallies": tallies, "currents": currents}
    try:
        while True:
            verb, about = line.recv()
            if verb == "close":
                return
            try:
                line.send((True, verbs[verb](*about)))
            except QuaverError as error:
                line.send((False, str(error)))
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        for island in islands:
            island.close()
