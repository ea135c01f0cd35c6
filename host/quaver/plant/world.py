"""Runs a plant: draws what happens from its seed, runs its islands from border to border, and takes in their records.

What is sent in all islands up to a border is put in order of time and handed to the ingest, the product's own, whose
clock is the plant's; and to the other islands whose nodes listen to it. The same plant and seed give the same store,
record for record, whatever the machine has to do beside.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.emulator.site_broker import Message
from quaver.errors import PlantError
from quaver.fleet.keys import KeyStore
from quaver.fleet.sealed_command import Commands
from quaver.ingest.intake import RECORD_CLASSES
from quaver.messages.sealing import Opened, Opener
from quaver.plant.faults import Drift, Injected, injected, sags
from quaver.plant.island import Change, IslandPlan, Member, Worker
from quaver.plant.life import Life
from quaver.plant.site_ingest import SiteIngest
from quaver.plant.spec import Gateway, Node, Plant
from quaver.store.store import Store
from quaver_wire.fields import EVENTS

RADIO, POWER = "radio.json", "power.json"
_RECORDED = 1000  # messages
_REPLAYED = 20  # messages that a stranger sends again
_FORGED = 20
_OBEYED_S = 600.0  # for which a node may obey a technician's command
# Of a station, by its board, the processor's time in that of a unix board; and how much more of it an air takes.
_COSTS = {"unix": 1, "pico_w": 200, "esp32_c3": 200}
_AIR_COSTS = 5
_ASIDE = ("ingest_down", "full_disk", "retire", "replay", "forged")  # which befall no island
_EVENTS_MAX = 100
_LEVEL, _FAULT = EVENTS.index("level"), EVENTS.index("fault")
_ALARM = 2


def clock(seconds: float) -> str:
    """5025.0 as "1:23:45", with days before."""
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    text = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text


@dataclass
class NodeView:
    """What is known of a node while the plant runs. level: 0 ok, 1 warning, 2 alarm; named: a fault's name.

    injected: what is being done to it, and the moment at which that ends. drawn_ma: in the mean since its power came,
    at most; None for a board that nobody publishes currents of.
    """

    place: str
    records: int = 0
    boots: int = 0
    level: int = 0
    named: str = ""
    seen_s: float | None = None
    injected: str = ""
    until_s: float = 0.0
    drawn_ma: float | None = None


@dataclass
class Progress:
    """How far a run is: seconds of the plant's time, records stored, messages refused, and each node by name.

    events: the last of what happened, in lines. said: security events of the ingest.
    """

    time_s: float = 0.0
    records: int = 0
    refused: int = 0
    nodes: dict[str, NodeView] = field(default_factory=dict)
    events: deque[str] = field(default_factory=lambda: deque(maxlen=_EVENTS_MAX))
    said: list[str] = field(default_factory=list)


class _Keys:
    """The device keys of a plant, by node id, drawn from its seed."""

    def __init__(self, keys: Mapping[bytes, tuple[str, bytes]]) -> None:
        self._keys = keys

    def device_keys(self, node_id: bytes) -> Mapping[int, bytes]:
        found = self._keys.get(node_id)
        return {1: found[1]} if found else {}

    def name_of(self, node_id: bytes) -> str | None:
        found = self._keys.get(node_id)
        return found[0] if found else None


class _Watcher:
    """Opens messages for the ingest, and notes what they tell of their node."""

    def __init__(self, opener: Opener, keys: _Keys, progress: Progress) -> None:
        self._opener = opener
        self._keys = keys
        self._progress = progress
        self.now_s = 0.0

    def open(self, message_class: str, message: bytes) -> Opened:
        opened = self._opener.open(message_class, message)
        name = self._keys.name_of(opened.node_id) or ""
        view, values = self._progress.nodes[name], opened.record
        view.records += 1
        view.boots = max(view.boots, opened.boot)
        view.seen_s = self.now_s
        if message_class == "telemetry":
            view.level = values.get("level", 0)
        elif message_class == "event" and values.get("code") == _LEVEL and values.get("event_level") == _ALARM:
            view.level = _ALARM
            self._tell(f"alarm {name}: {values.get('subject', '')}")
        elif message_class == "event" and values.get("code") == _FAULT:
            view.named = str(values.get("subject", ""))
            self._tell(f"fault named {name}: {view.named}")
        return opened

    def _tell(self, line: str) -> None:
        self._progress.events.append(f"{clock(self.now_s)} {line}")


class World:
    """A running plant; a context manager. folder: gets `records.sqlite`, which must not be there yet.

    workers: processes; by default one for each processor. files: of the nodes' firmware, where it is not this one's.
    commit_s: of the plant's time, how often records get into the store.
    Entering raises PlantError and BuildError.
    """

    def __init__(
        self,
        plant: Plant,
        folder: Path,
        workers: int | None = None,
        files: Mapping[str, bytes] | None = None,
        commit_s: float = 60.0,
    ) -> None:
        self.plant = plant
        self.path = folder / "records.sqlite"
        self.injected = injected(plant)
        nodes = plant.stations()
        self.progress = Progress(nodes={node.name: NodeView(node.place) for node in nodes})
        self._files = files
        self._commit_s = commit_s
        self._unnoted = deque(self.injected)
        self._count = max(1, min(workers or os.cpu_count() or 1, len(nodes)))
        self._stack = ExitStack()
        self._workers: list[Worker] = []
        self._shares: list[list[int]] = []  # of each worker its islands
        self._mail: list[list[Message]] = []  # for each island, at the next border
        self._home: dict[str, int] = {}  # of each node the island that it is on
        self._ids: dict[str, bytes] = {}
        self._heard: deque[tuple[float, Message]] = deque(maxlen=_RECORDED)  # what a stranger can have recorded

    def __enter__(self) -> Self:
        if self.path.exists():
            raise PlantError(f"{self.path}: is there already; give another folder, or remove it")
        with ExitStack() as stack:
            plans = self._islands()
            self._shares = shares(plans, self._count)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._watcher = _Watcher(Opener(self._keys), self._keys, self.progress)
            begin_ms = round(self.plant.start.timestamp() * 1000)
            self._ingest = SiteIngest(self.path, begin_ms, self._watcher, self._keys.name_of, self.progress.said.append)
            stack.callback(self._ingest.close)
            self._mail = [[] for _ in plans]
            for share in self._shares:
                worker = self._hire()
                stack.callback(worker.close)
                self._workers.append(worker)
                worker.ask("build", [plans[island] for island in share])
            for worker in self._workers:
                worker.answer()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def store(self) -> Store:
        return self._ingest.store

    def _hire(self) -> Worker:
        """Who runs islands; another kind for who is to do more to a plant than its file can say."""
        return Worker()

    def _islands(self) -> list[IslandPlan]:
        """Gateways with their nodes, and each other node by itself: the broker joins them, and that passes borders."""
        plant = self.plant
        files: dict[str, Mapping[str, bytes]] = {
            board: {**firmware_files(board), **device_libraries(load_board(board))}
            for board in {node.board for node in plant.stations()} - {"unix"}
        }
        files["unix"] = self._files if self._files is not None else firmware_files("unix")
        machines = plant.machines()
        keys: dict[bytes, tuple[str, bytes]] = {}
        members: list[Member] = []
        for node in plant.stations():
            key = hashlib.sha256(f"{plant.seed} key {node.name}".encode()).digest()
            life = None
            drifts: dict[str, tuple[Drift, ...]] = {}
            if isinstance(node, Node):
                seed = int.from_bytes(hashlib.sha256(f"{plant.seed} {node.place}".encode()).digest()[:4], "big")
                life = Life(machines[node.place], plant.start, seed)
                drifts = {sensor: tuple(self._drifts(node.name, sensor)) for sensor in node.sensors}
            member = Member(node, life, key, drifts)
            keys[member.node_id] = node.name, key
            self._ids[node.name] = member.node_id
            members.append(member)
        plans: list[IslandPlan] = []
        for group in _together(members):
            names = [member.node.name for member in group]
            self._home.update(dict.fromkeys(names, len(plans)))
            plans.append(IslandPlan(tuple(group), tuple(self._changes(names)), plant.start, plant.seed, files))
        self._keys = _Keys(keys)
        return plans

    def _drifts(self, name: str, sensor: str) -> Iterator[Drift]:
        for one in self.injected:
            if (one.kind, one.node, one.sensor) == ("drift", name, sensor):
                yield Drift(one.at, one.lasts, one.drift)

    def _changes(self, names: list[str]) -> Iterator[Change]:
        for one in self.injected:
            if one.node not in (*names, "") or one.kind in _ASIDE or (one.kind == "clock" and one.of == "ingest"):
                continue
            if one.kind == "brownout":
                for gone, back in sags(self.plant, one):
                    yield Change(gone, "power_cut", True, one.node)
                    yield Change(back, "power_cut", False, one.node)
            elif one.kind == "flash_cut":
                yield Change(one.at, one.kind, True, one.node, lasts=one.lasts, operation=one.operation, torn=one.torn)
            elif one.kind != "drift":
                for at, on in ((one.at, True), (one.ends, False)):
                    yield Change(at, one.kind, on, one.node, one.sensor, one.loss, jump=one.jump)

    def run(self, told: Callable[[Progress], None] = lambda progress: None) -> None:
        """To the end of the plant's duration. `told` is called at every border. Raises PlantError."""
        plant = self.plant
        border, committed = 0.0, 0.0
        self._aside = deque(sorted(self._moments(), key=lambda moment: moment[0]))
        while border < plant.duration:
            border = min(border + plant.exchange, plant.duration)
            for worker, share in zip(self._workers, self._shares, strict=True):
                worker.ask("advance", border, [self._mail[island] for island in share])
            sent: list[tuple[float, int, Message]] = []
            for worker, share in zip(self._workers, self._shares, strict=True):
                for island, report in zip(share, worker.answer(), strict=True):
                    sent += [(time_s, island, message) for time_s, message in report.sent]
                    for name, why in report.dead.items():
                        raise PlantError(f"node {name} ended at {border:.0f} s: {why}")
            sent.sort(key=lambda one: one[:2])
            self._exchange(sent)
            for time_s, _, message in sent:
                self._come_to(time_s)
                self._take_in(time_s, message)
            self._come_to(border)
            if border - committed >= self._commit_s:
                self._commit(border)
                committed = border
            self.progress.time_s = border
            self._note_injected()
            told(self.progress)
        self._ingest.settle(border)
        self._count_records()
        self._write_tallies()

    def _write_tallies(self) -> None:
        """Beside the store: what no node knows of its own radio and of what it draws, and a report tells."""
        for verb, name in (("tallies", RADIO), ("currents", POWER)):
            self.path.with_name(name).write_text(json.dumps(self._of_nodes(verb)))

    def _of_nodes(self, verb: str) -> dict[str, Any]:
        """What the workers answer, by node."""
        found: dict[str, Any] = {}
        for worker in self._workers:
            worker.ask(verb)
            found |= worker.answer()
        return found

    def _note_injected(self) -> None:
        """What began since the last border, for who watches."""
        while self._unnoted and self._unnoted[0].at <= self.progress.time_s:
            one = self._unnoted.popleft()
            words = one.kind.replace("_", " ")
            self.progress.events.append(f"{clock(one.at)} {words} {one.node or 'the plant'}")
            if one.node:
                view = self.progress.nodes[one.node]
                view.injected, view.until_s = words, one.at + one.lasts

    def _exchange(self, sent: list[tuple[float, int, Message]]) -> None:
        """What the nodes of one island have to say to those of others: no record, which are for the ingest alone."""
        self._mail = [[] for _ in self._mail]
        for _, island, message in sent:
            if message.topic.rpartition("/")[2] in RECORD_CLASSES:
                continue
            for other, box in enumerate(self._mail):
                if other != island:
                    box.append(message)

    def _take_in(self, time_s: float, message: Message) -> None:
        self._heard.append((time_s, message))
        self._watcher.now_s = time_s
        self._ingest.take(time_s, message)

    def _commit(self, time_s: float) -> None:
        self._ingest.commit(time_s)
        self._count_records()
        for name, drawn in self._of_nodes("currents").items():
            self.progress.nodes[name].drawn_ma = drawn

    def _count_records(self) -> None:
        self.progress.records = self._ingest.received
        self.progress.refused = sum(self._ingest.refused.values())

    # What happens to the ingest, or comes from somebody at the broker.

    def _moments(self) -> Iterator[tuple[float, Callable[[], None]]]:
        ingest = self._ingest
        for one in self.injected:
            if one.kind == "ingest_down":
                yield one.at, partial(ingest.stop, one.at, one.ends)
            elif one.kind == "full_disk":
                yield one.at, partial(ingest.fill_disk, one.at, True)
                yield one.ends, partial(ingest.fill_disk, one.ends, False)
            elif one.kind == "clock" and one.of == "ingest":
                yield one.at, partial(ingest.set_clock, one.at, one.jump)
                yield one.ends, partial(ingest.set_clock, one.ends, 0.0)
            elif one.kind == "replay":
                yield one.at, partial(self._replay, one)
            elif one.kind == "forged":
                yield one.at, partial(self._forge, one)
            elif one.kind == "retire":
                yield one.at, partial(self._retire, one)

    def _come_to(self, time_s: float) -> None:
        while self._aside and self._aside[0][0] <= time_s:
            self._aside.popleft()[1]()

    def _replay(self, one: Injected) -> None:
        theirs = [m for _, m in self._heard if m.topic.split("/")[-2] == one.node]
        for message in theirs[:_REPLAYED]:
            self._take_in(one.at, message)

    def _forge(self, one: Injected) -> None:
        chance = random.Random(f"{self.plant.seed} stranger {one.at}")  # noqa: S311 - a seeded simulation
        known = [m for _, m in self._heard if m.topic.rpartition("/")[2] in RECORD_CLASSES and m.payload]
        for _ in range(_FORGED if known else 0):
            message = chance.choice(known)
            spoiled = bytearray(message.payload)
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
            self._take_in(one.at, Message(message.topic, bytes(spoiled), 1))

    def _retire(self, one: Injected) -> None:
        """As `quaver node NAME retire` does it, of the wrong node: its island gets the command at the next border."""
        node = next(node for node in self.plant.nodes() if node.name == one.node)
        chance = random.Random(f"{self.plant.seed} command {one.node} {one.at}")  # noqa: S311 - a seeded simulation
        store = KeyStore(self.path.parent / "keys")
        node_id = self._ids[one.node]
        keys = store.create(node_id, one.node, self._keys.device_keys(node_id)[1])
        commands = Commands(store, lambda: self.plant.start.timestamp() + one.at)
        sealed = commands.seal(
            keys, 1, "retire", {"confirm": one.node}, identity=chance.getrandbits(31), expires_s=_OBEYED_S
        )
        self._mail[self._home[one.node]].append(Message(f"{node.place}/{one.node}/command", sealed, qos=1))

    def fingerprint(self) -> str:
        """SHA-256 over every record that is stored, and when it came."""
        return fingerprint(self.store)


def _together(members: Iterable[Member]) -> list[list[Member]]:
    """Those that a gateway joins, directly or through another's nodes, share an air, and so an island."""
    found: dict[str, list[Member]] = {}  # of each name its island; gateways come before their nodes
    for member in members:
        own = [member]
        for gateway in member.node.gateway if isinstance(member.node, Node) else ():
            if found[gateway] is not own:
                own = found[gateway] + own
                found.update((one.node.name, own) for one in own)
        found[member.node.name] = own
    return list({id(island): island for island in found.values()}.values())


def shares(plans: Sequence[IslandPlan], count: int) -> list[list[int]]:
    """Of so many workers each one's islands, by their number: the costliest first, each to who has least to do."""
    costs = [sum(_COSTS[one.node.board] for one in plan.members) * _air(plan) for plan in plans]
    found: list[list[int]] = [[] for _ in range(count)]
    for island in sorted(range(len(plans)), key=lambda island: (-costs[island], island)):
        min(found, key=lambda share: sum(costs[other] for other in share)).append(island)
    return found


def _air(plan: IslandPlan) -> int:
    return _AIR_COSTS if any(isinstance(member.node, Gateway) for member in plan.members) else 1


def fingerprint(store: Store) -> str:
    digest = hashlib.sha256()
    rows = store.query(
        "SELECT node.id, boot, seq, class, record.received_ms, uptime_ms, body FROM record "
        "JOIN node ON node.number = record.node ORDER BY node.id, boot, seq"
    )
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()
