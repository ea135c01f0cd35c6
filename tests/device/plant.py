"""A plant of nodes and gateways in one air, with a real broker and the ingest that takes in what they send."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path as FilePath
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import ec

from quaver.board.interface import Board
from quaver.board.spec import BoardSpec, load_board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files, tree
from quaver.build.libraries import device_libraries
from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity
from quaver.emulator.radio import Air
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.fleet.keys import KeyStore
from quaver.fleet.link_keys import LinkKey, board_file, derive
from quaver.gateway.collector import Radio
from quaver.gateway.links import LinkKeys, Links
from quaver.gateway.own import Identity as HostIdentity
from quaver.gateway.run import gateway
from quaver.gateway.spool import Spool
from quaver.ingest.run import ingest
from quaver.plant.node import standard_rig
from quaver.release.bundle import Release, build_release
from quaver.release.publish import publish
from quaver.release.signing import PrivateKey
from quaver.store.ledger import Account, ledger
from quaver.store.store import Store
from quaver_wire.fields import EVENTS

from .conftest import signal
from .test_time import asks

BRANCH = {"site": "plant", "area": "hall", "line": "line1", "asset": "motor1"}
PLACE = "plant/hall/line1/motor1"
NAMES = {"unix:": "unix", "rp2040:": "pico_w", "esp32_c3:": "esp32_c3"}
HOSTS = {"unix:": "127.0.0.1", "rp2040:": "10.0.0.1", "esp32_c3:": "10.0.0.1"}
PATIENCE_S = 240.0
RELEASE_KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
_UNTIL = int(time.time()) + 10_000_000
CHANGED = "command/identify.py"
MEASURES = {"iis3dwb": "vibration", "tmp117": "temperature", "sdm120": "energy"}


def lines(board: Board, *starts: str) -> list[str]:
    return [line for line in board.console().decode().splitlines() if line.startswith(starts)]


@cache
def _own(board: str) -> Release:
    """What a board of this firmware runs, as a release."""
    return build_release([board], 1, expires=_UNTIL, key=RELEASE_KEY)


class Plant:
    """Nodes and gateways in one air, one broker, and an ingest that has the keys of them all."""

    def __init__(self, air: Air, mosquitto: Any, folder: FilePath, stack: ExitStack) -> None:
        self.air = air
        self.boards: dict[str, Board] = {}
        self._stack = stack
        self.mosquitto = mosquitto
        self._path = folder / "records.sqlite"
        self.keys = KeyStore(folder / "keys")
        self.ids: dict[str, bytes] = {}  # as messages and the key store have them
        self._stopping = False
        self._device: Any = None
        self.said: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._ingest, daemon=True)

    def start(self, *names: str, esp32: Collection[str] = ()) -> None:
        """Enrol the nodes and gateways of these names, and take in what they will send. esp32: those on such a chip."""
        for name in names:
            identity = Identity.of_esp32(name) if name in esp32 else Identity.of(name)
            self.ids[name] = identity.unique_id.rjust(8, b"\0")
            self.keys.create(self.ids[name], name)
        self._thread.start()
        assert self._ready.wait(10)
        self._stack.callback(self._stop)
        self.store = self._stack.enter_context(Store(self._path, write=False))

    def _ingest(self) -> None:
        with Store(self._path) as store:
            for _ in ingest(BrokerUrl("127.0.0.1", self.mosquitto.port), store, self.keys, say=self.said.append):
                self._ready.set()
                if self._stopping:
                    return

    def _stop(self) -> None:
        self._stopping = True
        self._thread.join(20)

    def _open(
        self,
        where: str,
        name: str,
        config: dict[str, Any],
        rig: tuple[Attached, ...] = (),
        key: bytes | None = None,
        time_port: int = 0,
        more: Mapping[str, bytes] | None = None,
    ) -> Board:
        files = dict(firmware_files(NAMES[where], {**BRANCH, "node": name, "watchdog_s": 0, **config}))
        files |= {**device_libraries(load_board(NAMES[where])), **(more or {})}
        if time_port:
            files["main.py"] = asks(time_port) + files["main.py"]
        known = self.keys.get(self._id(name))
        if known is not None:
            [(generation, right)] = known.keys.items()
            files["device.key"] = json.dumps({"generation": generation, "key": (key or right).hex()}).encode()
        port = self.mosquitto.port if "broker" in config else None
        setup = Setup(files=files, rig=rig, air=self.air, name=name, broker_port=port)
        self.boards[name] = self._stack.enter_context(open_board(where, setup))
        return self.boards[name]

    def _id(self, name: str) -> bytes:
        """Also of one that is not enrolled."""
        return self.ids.get(name, Identity.of(name).unique_id)

    def gateway(
        self,
        where: str,
        *nodes: str,
        interval_s: int = 30,
        time_port: int = 0,
        files: Mapping[str, bytes] | None = None,
        **config: Any,
    ) -> Board:
        """time_port: of a time server of the test's own, or 0 for a gateway that does not know the time. files: others
        that it has on flash."""
        listed = {self._id(node).hex(): f"{PLACE}/{node}" for node in nodes}
        files = {"link.keys": board_file("gw", self._links("gw", nodes)), **(files or {})}
        config = {
            "role": "gateway",
            "interval_s": interval_s,
            "wifi": {"ssid": "quaver", "password": "emulated"},
            "broker": {"host": HOSTS[where], "port": 1883},
            "gateway": {"nodes": listed},
            "time_server": HOSTS[where] if time_port else "",
            **config,
        }
        return self._open(where, "gw", config, time_port=time_port, more=files)

    def _links(self, gateway: str, nodes: Iterable[str]) -> list[LinkKey]:
        """Its grants; for one that is not enrolled, such as nobody can prove."""
        return [
            derive(held, self._id(node), generation, gateway, 1)
            for node in nodes
            for generation, held in sorted((self.keys.device_keys(self._id(node)) or {1: b"n" * 32}).items())
        ]

    def host_gateway(
        self, *nodes: str, file: FilePath, name: str = "gw", links: Links | None = None
    ) -> Callable[[], None]:
        """The gateway of this machine, its Bluetooth in the air; what it returns ends it. links: its link keys, by
        default those of all."""
        places = {self._id(node): f"{PLACE}/{node}" for node in nodes}
        [key] = [known for known in self.keys.nodes() if known.name == name]
        who = HostIdentity(key.node_id, f"{PLACE}/{name}", key.generation, key.keys[key.generation])
        keys = links or LinkKeys(name, self._links(name, nodes))
        broker = BrokerUrl("127.0.0.1", self.mosquitto.port)
        tasks: list[asyncio.Task[None]] = []
        if self._device is None:
            self._device = self.air.device("host gateway", bytes.fromhex("280102030405"))
        radio = Radio(*backends(self._device))

        async def run() -> None:
            with Spool(file) as spool, contextlib.suppress(asyncio.CancelledError):
                tasks.append(asyncio.current_task())
                await gateway(broker, places, keys, spool, self.said.append, identity=who, radio=radio)

        done = self.air.start(run())

        def stop() -> None:
            self.air.post(lambda: tasks[0].cancel())
            done.result(20)

        ended = self._stack.enter_context(ExitStack())
        ended.callback(stop)
        return ended.close

    def node(
        self, where: str, name: str, key: bytes | None = None, files: Mapping[str, bytes] | None = None, **config: Any
    ) -> Board:
        """key: sealed with it, whatever the store holds. files: others that it has on flash."""
        whole = {
            "link": "ble",
            "ble": {"interval_ms": 200, "window_s": 10, "rest_s": 20},
            "temperature": None,
            "energy": None,
            "vibration": {"samples": 4096},
            "interval_s": 2,
            **config,
        }
        rig = tuple(sensor for sensor in standard_rig(signal("normal")) if whole[MEASURES[sensor.name]])
        return self._open(where, name, whole, rig, key, more=files)

    def nodes(self, names: Iterable[str], **config: Any) -> None:
        """Unix nodes of these names, put into service beside each other."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self.node("unix:", name, **config), names))

    def release(
        self,
        board: str,
        path: FilePath,
        least_s: int = 180,
        sequence: int = 2,
        time_port: int = 0,
        changes: Iterable[tuple[str, bytes, bytes]] = (),
    ) -> Release:
        """Build a release for a board, of this firmware with one line changed, and publish it; with patches.

        least_s: of its trial; another than the firmware's changes a second file. time_port: of the time server that
        whoever takes it asks, as in `gateway`. changes: more of them, each a source, what it has, and what it has
        instead.
        """

        def changed(spec: BoardSpec) -> dict[str, bytes]:
            found = sources(spec)
            own = (CHANGED, b"node: identify", b"node: identifies itself")
            trial = ("update/run.py", b"_LEAST_S = const(180)", b"_LEAST_S = const(%d)" % least_s)
            for source, before, after in (own, trial, *changes):
                assert before in found[source]
                found[source] = found[source].replace(before, after)
            if time_port:
                found["main.py"] = asks(time_port) + found["main.py"]
            return found

        sources = tree._sources
        own = _own(board)
        with mock.patch.object(tree, "_sources", changed):
            built = build_release([board], sequence, expires=_UNTIL, key=RELEASE_KEY, after=[own])
        path.write_bytes(built.encode())
        publish(built, "plant", url=BrokerUrl("127.0.0.1", self.mosquitto.port))
        return built

    def told(self, name: str) -> list[str]:
        """Its events, by their names."""
        return [EVENTS[event["code"]] for event in self.records(name, "event")]

    def records(self, name: str, message_class: str) -> list[dict[str, Any]]:
        """What of a node is in the store."""
        rows = self.store.query(
            "SELECT body, uptime_ms FROM record JOIN node ON node.number = record.node "
            "WHERE id = ? AND class = ? ORDER BY arrival",
            (self._id(name), message_class),
        )
        return [{**json.loads(body), "uptime_ms": uptime_ms} for body, uptime_ms in rows]

    def levels(self, name: str, subject: str, level: int) -> list[dict[str, Any]]:
        """Its events that say that the subject is at this level now: 0 ok, 2 alarm."""
        wanted = (EVENTS.index("level"), subject, level)
        told = self.records(name, "event")
        return [e for e in told if (e["code"], e.get("subject"), e.get("event_level")) == wanted]

    def alarms(self, name: str) -> list[dict[str, Any]]:
        return self.levels(name, "rms", 2)

    async def connections(self, name: str) -> int:
        """How many connections the station has; in the air."""
        return sum(len(c.le_connections) for c in self.air.link.controllers if c.name == name)

    def watch_connections(self, name: str) -> list[int]:
        """The list that it returns grows by how many connections the station has, each 50 ms."""
        seen: list[int] = []

        async def look() -> None:
            while True:
                seen.append(await self.connections(name))
                await asyncio.sleep(0.05)

        self.air.start(look())
        return seen

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """Meanwhile virtual time stands still: what is there costs nothing while more is made."""
        go_on: Future[None] = Future()

        async def stand() -> None:
            with self.air.loop.holding():
                await asyncio.wrap_future(go_on)

        ended = self.air.start(stand())
        try:
            yield
        finally:
            go_on.set_result(None)
            ended.result(PATIENCE_S)

    def count(self) -> int:
        return int(self.store.query("SELECT sum(received) FROM node", ())[0][0] or 0)

    def known(self) -> int:
        """How many nodes and gateways have something in the store."""
        return len(self.store.query("SELECT 1 FROM node WHERE received", ()))

    def accounts(self) -> dict[str, Account]:
        return {account.topic.rpartition("/")[2]: account for account in ledger(self.store)[0]}
