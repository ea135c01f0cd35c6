"""Rolls a release out over many real nodes on a network that loses packets, and says what became of each.

The nodes are the firmware on unix boards, 100 of them by default, each with its own process, flash, key and modelled
sensor, in real time. Their broker is a Mosquitto, their records go to `quaver ingest`, and `quaver rollout` is the
command itself. With --loss all of it goes through a network device of its own (a namespace, no other program sees it)
that drops that share of the IP packets, each way. Meanwhile the broker is stopped and started --restarts times, --cuts
nodes lose their power at random moments, and the rollout's own program is killed --kills times and called again.

--release good changes one line. It must be on every node at the end, or the rollout must say why not.
The others must leave all nodes but the canary and one wave untouched. Every node must be back on its old firmware with
hangs, which stops at its first measurement, crashes, which ends at its start, offline, which never reaches its broker,
minutes, which crashes two minutes after its start, and eats, which takes the whole heap at its first measurement. later
crashes twenty seconds after its start and heap takes 20 kB more for each measurement: both are confirmed before it
shows, so it is the rollout that must see it, in the time that it watches. Trials last two seconds instead of three
minutes, but for minutes and eats, which have those of the firmware.
"""

import argparse
import contextlib
import fcntl
import json
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import ec

from quaver.bench.mosquitto import Mosquitto
from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.build.compile import compile_mpy
from quaver.build.tree import with_packs, without_packs
from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import QuaverError
from quaver.files.carried import payload
from quaver.fleet.inventory import Entry, Inventory
from quaver.fleet.keys import KeyStore
from quaver.plant.node import healthy_machine
from quaver.release import bundle
from quaver.release.publish import publish
from quaver.release.signing import PrivateKey
from quaver.store.ledger import ledger
from quaver.store.store import Store

KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
SEQUENCE = 2
_PATIENCE_S = 300.0
_HERE, _THERE = "10.99.0.1", "10.99.0.2"  # the two ends of the device that loses packets
_PORT = 18883
_LINE_BYTES = 8000  # at most what a change of one line costs a node
_INSIDE = "QUAVER_ROLLOUT_NETWORK"  # set in the network of its own
_NTP = 2_208_988_800  # s from 1900 to 1970
_TRIAL = "update/run.mpy"  # has how long one lasts
_TIDY = "tidy()  # now"  # in a measurement
_WHOLE = ("_LEAST_S = const(180)",) * 2  # a trial as long as the firmware has it
_EATS = "globals()['kept'] = []\n        while True: kept.append(bytes(512))"
# File of the firmware -> what of its source becomes what.
CHANGES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "good": {"command/identify.mpy": ("node: identify", "node: identifies itself")},
    "hangs": {"node/measure.mpy": (_TIDY, "while True: pass  # now")},
    "crashes": {"build/node.mpy": ("def build()", "1 / 0\n\n\ndef build()")},
    "minutes": {
        "node/measure.mpy": (_TIDY, f"time.ticks_ms() > 120000 and __import__('machine').reset()\n        {_TIDY}"),
        _TRIAL: _WHOLE,
    },
    "eats": {"node/measure.mpy": (_TIDY, f"{_EATS}\n        {_TIDY}"), _TRIAL: _WHOLE},
    "later": {"node/measure.mpy": (_TIDY, f"self._late = 1 // (20000 // time.ticks_ms())\n        {_TIDY}")},
    "heap": {"node/measure.mpy": (_TIDY, f"self._h = [bytearray(20000), getattr(self, '_h', 0)]\n        {_TIDY}")},
    "offline": {
        "links/mqtt.mpy": ("        if self._tls:\n", '        raise LinkError("of no use")\n        if self._tls:\n'),
        "update/run.mpy": ("_LIMIT_S = const(300)", "_LIMIT_S = const(20)"),
    },
}
_CONFIRMED = ("later", "heap")  # before they fail


def _source(path: str) -> str:
    return (payload("firmware") / path).with_suffix(".py").read_text()


class RolloutFailure(Exception):
    """Something that the run rests on did not come about."""


# The network.


def own_network(loss: float, seed: int) -> None:
    """Enter a network of its own, in which all from 10.99.0.1 to 10.99.0.2 comes back to the first, as from the second,
    but for what is lost: so TCP on this machine meets packets that are lost."""
    if os.environ.get(_INSIDE) != "1":  # a process with threads can't enter one, and numpy has some
        command = ["unshare", "--map-root-user", "--net", sys.executable, *sys.argv]
        os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH", b"lossy", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    for command in ("link set lo up", f"addr add {_HERE}/24 dev lossy", "link set lossy up"):
        subprocess.run(["ip", *command.split()], check=True)
    if os.fork():
        os.close(device)
        return
    parent, drawn = os.getppid(), random.Random(seed)
    while os.getppid() == parent:
        if select.select([device], [], [], 0.5)[0]:
            packet = bytearray(os.read(device, 65536))
            if packet[0] >> 4 == 4 and drawn.random() >= loss:
                packet[12:16], packet[16:20] = packet[16:20], packet[12:16]  # no checksum changes by it
                os.write(device, packet)
    os._exit(0)


class TimeServer:
    """SNTP (RFC 4330), as much of it as nodes ask for."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("0.0.0.0", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            request, peer = self._socket.recvfrom(100)
            seconds, fraction = divmod(time.time(), 1)
            moment = struct.pack(">II", int(seconds) + _NTP, int(fraction * 2**32))
            answer = bytes([4 << 3 | 4, 2, 6, 0xEC]) + bytes(20) + request[40:48] + moment + moment
            with contextlib.suppress(OSError):
                self._socket.sendto(answer, peer)

    def main(self) -> bytes:
        """What begins a main.py whose node asks this server: the port of all time servers is not ours."""
        return (
            b"from links import ntp\n"
            b"async def ask(host, limit_ms, ask=ntp.ask):\n"
            b"    return await ask(host, limit_ms, %d)\n"
            b"ntp.ask = ask\n" % self.port
        )


# The fleet.


class Fleet:
    """count nodes, two at an asset, in service at one broker."""

    def __init__(self, folder: Path, count: int, lossy: bool, interval_s: float) -> None:
        self.folder = folder
        self.host = _THERE if lossy else "127.0.0.1"
        listener = f"\nlistener {_PORT} {_HERE}" if lossy else ""
        limits = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000"
        self.broker = Mosquitto(folder / "broker", limits + listener)
        self.broker.start()
        self.port = _PORT if lossy else self.broker.port
        self.url = f"mqtt://{self.host}:{self.port}"
        self.names = [f"n{number}" for number in range(count)]
        self.boards: dict[str, Board] = {}
        self.own: dict[str, bytes] = {}
        self.manifest = 0  # bytes, signed
        self._interval_s = interval_s
        self._time = TimeServer()
        self._keys = KeyStore(folder / "keys")
        self._ingest: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For the commands."""
        places = {"KEYS": "keys", "INVENTORY": "inventory.sqlite", "ROLLOUTS": "rollouts.sqlite", "RELEASE_KEY": "none"}
        own = {f"QUAVER_{name}": str(self.folder / path) for name, path in places.items()}
        return {**os.environ, **own, "QUAVER_BROKER": self.url}

    def place(self, name: str) -> list[str]:
        return ["plant", "hall", f"line{int(name[1:]) % 4}", f"m{int(name[1:]) // 2}", name]

    def start(self) -> None:
        """Every node is online at the end."""
        base = dict(firmware_files("unix", {}))
        del base["config.json"]  # each gets its own
        base["main.py"] = self._time.main() + base["main.py"]
        trial = re.sub(r"_LEAST_S = const\(\d+\)", "_LEAST_S = const(2)", _source(_TRIAL))  # a real one lasts minutes
        modules = without_packs(base) | {_TRIAL: compile_mpy(trial.encode(), "update/run.py", "x64")}
        base = with_packs(modules, load_board("unix"))
        listed = [line for line in base["firmware.txt"].decode().splitlines() if line[0] != " "]
        self.own = {path: base[path] for path in [*listed, "firmware.txt"]}
        entries = []
        for name in self.names:
            site, area, line, asset, _ = self.place(name)
            node = Identity.of(name).unique_id.rjust(8, b"\0")
            self._keys.create(node, name)
            entries.append(Entry(node, name, site=site, area=area, line=line, asset=asset, board="unix"))
        with Inventory(self.folder / "inventory.sqlite") as inventory:
            inventory.put_all(entries)
        self._start_ingest()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self._open(name, base), self.names))
        for name in self.names:
            self.wait(lambda name=name: b"node: online" in self.boards[name].console(), f"{name} to be online")  # type: ignore[misc]

    def _start_ingest(self) -> None:
        path = self.folder / "ingest.log"
        command = [sys.executable, "-m", "quaver.cli", "ingest", "--store", str(self.folder / "store.sqlite")]
        with path.open("wb") as log:
            self._ingest = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.wait(lambda: b"storing" in path.read_bytes() or self._ingest.poll() is not None, "ingest")
        if self._ingest.poll() is not None:
            raise RolloutFailure(path.read_text())

    def _open(self, name: str, base: Mapping[str, bytes]) -> None:
        levels = dict(zip(("site", "area", "line", "asset", "node"), self.place(name), strict=True))
        config = {
            **levels,
            "interval_s": self._interval_s,
            "watchdog_s": 30,
            "time_server": self.host,
            "wifi": {"ssid": "quaver", "password": "emulated"},
            "broker": {"host": self.host, "port": self.port},
            "vibration": {"samples": 4096},
            "temperature": None,
            "energy": None,
        }
        key = self._keys.get(Identity.of(name).unique_id.rjust(8, b"\0"))
        assert key is not None
        files = {
            **base,
            "config.json": json.dumps(config).encode(),
            "device.key": json.dumps({"generation": 1, "key": key.keys[1].hex()}).encode(),
            "release.key": KEY.public.xy,
        }
        rig = (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(healthy_machine())),)
        self.boards[name] = open_board("unix:", Setup(files=files, rig=rig, name=name, real_time=True))

    def stop(self) -> None:
        for board in self.boards.values():
            board.stop()
        if self._ingest is not None:
            self._ingest.terminate()
            self._ingest.wait()
        self.broker.stop()

    def wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise RolloutFailure(f"waited {_PATIENCE_S:.0f} s for {what}")
            time.sleep(0.05)

    def files(self, which: str) -> dict[str, bytes]:
        """All files of a release."""
        found = without_packs(self.own)
        for path, (before, after) in CHANGES[which].items():
            source = _source(path)
            if before not in source:
                raise RolloutFailure(f"{path} has changed: {before!r} is not there")
            found[path] = compile_mpy(source.replace(before, after).encode(), path.replace(".mpy", ".py"), "x64")
        return with_packs(found, load_board("unix"))

    def release(self, which: str) -> Path:
        """Build a release and publish it."""
        until = int(time.time()) + 10_000_000
        built = None
        for number, files in ((SEQUENCE - 1, self.own), (SEQUENCE, self.files(which))):
            with patch.object(bundle, "firmware_files", lambda _board, files=files: dict(files)):
                after = [built] if built else []
                built = bundle.build_release(["unix"], number, expires=until, key=KEY, after=after)
        assert built is not None
        self.manifest = len(built.envelopes[0])
        path = self.folder / f"{which}.release"
        path.write_bytes(built.encode())
        publish(built, "plant", url=BrokerUrl("127.0.0.1", self.broker.port))  # the site's own machine, no loss
        return path

    def settle(self) -> None:
        """Until what the nodes had sent when the rollout was over is in the store: what is under way is no gap."""
        deadline = time.monotonic() + _PATIENCE_S
        time.sleep(self._interval_s)
        with Store(self.folder / "store.sqlite", write=False) as store:
            while any(account.unexplained for account in ledger(store)[0]) and time.monotonic() < deadline:
                time.sleep(1)


# The run.


class Trouble(threading.Thread):
    """Restarts the broker and cuts nodes' power, at random moments, until it is told to stop or all is done."""

    def __init__(self, fleet: Fleet, restarts: int, cuts: int, over_s: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.done: Counter[str] = Counter()
        self.cut: list[str] = []
        self._fleet = fleet
        self._stopped = threading.Event()
        drawn = random.Random(seed)
        kinds = ["restart"] * restarts + ["cut"] * cuts
        self._plan = sorted((drawn.uniform(0, over_s), kind) for kind in kinds)
        self._drawn = drawn

    def run(self) -> None:
        began = time.monotonic()
        for at, kind in self._plan:
            if self._stopped.wait(max(at - (time.monotonic() - began), 0)):
                return
            if kind == "restart":
                self._fleet.broker.stop()
                time.sleep(2)
                self._fleet.broker.start()
            else:
                name = self._drawn.choice(self._fleet.names)
                self._fleet.boards[name].reset()
                self.cut.append(name)
            self.done[kind] += 1

    def end(self) -> None:
        self._stopped.set()
        self.join()


def rollout(fleet: Fleet, path: Path, given: argparse.Namespace, drawn: random.Random) -> tuple[int, dict[str, Any]]:
    """Call `quaver rollout start`, kill it now and then and call it again, and resume it where it pauses.

    Returns its last exit code, and what it says at the end.
    """
    kills, pauses = given.kills, 0
    limits = [f"--concurrency={given.concurrency}", f"--watch={given.watch}", f"--step={given.step}"]
    start = ["start", str(path), "--to", "plant/hall", "--expires=1800", *limits]
    command = start
    while True:
        called = [sys.executable, "-m", "quaver.cli", "rollout", *command, "--json"]
        process = subprocess.Popen(called, env=fleet.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=drawn.uniform(15, 40) if kills else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills -= 1
            print("the rollout's program was killed, and is called again", flush=True)
            continue
        code = process.returncode
        if code not in (0, 22, 23):
            raise RolloutFailure(f"quaver rollout ended with {code}: {err.decode()}")
        found = json.loads(out)
        if code == 22 and given.release == "good" and pauses < 20:
            pauses += 1
            print(f"paused, and resumed: {found['why']}", flush=True)
            command = ["resume"]
            continue
        print(err.decode().strip(), flush=True)
        return code, found


def fetched(board: Board) -> Iterator[int]:
    """How many bytes of contents a node has fetched for each update that it staged."""
    for found in re.findall(rb"is staged, (\d+) bytes", board.console()):
        yield int(found)


def on_flash(board: Board, paths: Iterable[str]) -> dict[str, bytes]:
    """Path -> content of files of a node. It does not run afterwards: it may be out of memory."""
    board.reset(run=False)
    return {path: board.get(path) for path in paths}


def judge(fleet: Fleet, code: int, found: dict[str, Any], given: argparse.Namespace) -> int:
    """Print what came of it; how many things are not as they must be."""
    wrong = 0
    nodes = {node["node"].rpartition("/")[2]: node for node in found["nodes"]}
    with Store(fleet.folder / "store.sqlite", write=False) as store:
        accounts, strangers = ledger(store)
    unexplained = sum(account.unexplained for account in accounts)
    print(
        f"ledger: {sum(account.received for account in accounts)} records of {len(accounts)} nodes, "
        f"{unexplained} unexplained, {sum(map(bool, strangers))} strangers",
        flush=True,
    )
    wrong += unexplained + len(strangers) + (len(accounts) != len(fleet.names))
    differs = {path: data for path, data in fleet.files(given.release).items() if fleet.own.get(path) != data}
    old = {path: fleet.own[path] for path in differs if path in fleet.own}
    new = {path: differs[path] for path in old}
    with ThreadPoolExecutor(4) as pool:
        flash = dict(
            zip(fleet.names, pool.map(lambda name: on_flash(fleet.boards[name], new), fleet.names), strict=True)
        )
    have = {name: found == new for name, found in flash.items()}
    had = {name: found == old for name, found in flash.items()}
    mixed = [name for name in fleet.names if have[name] == had[name]]
    states = Counter(node["state"] for node in nodes.values())
    print(f"rollout: exit code {code}, {found['state']}; " + ", ".join(f"{n} {s}" for s, n in states.items()))
    print(f"flash: {sum(have.values())} new, {sum(had.values())} old, {len(mixed)} neither or both")
    wrong += len(mixed)
    if given.release == "good":
        for name, node in nodes.items():
            if node["state"] != "updated":
                print(f"{node['node']}: {node['state']}: {node['reason']}")
            wrong += (node["state"] == "updated") != have[name] or not (have[name] or node["reason"])
        sizes = [sum(fetched(board)) + fleet.manifest for board in fleet.boards.values()]
        print(f"fetched by a node: {min(sizes):,} to {max(sizes):,} bytes, of contents and the manifest")
        wrong += sum(size > _LINE_BYTES for size in sizes)
    else:
        touched = [node for node in nodes.values() if node["failures"] or node["state"] != "waiting"]
        waves = {node["wave"] for node in touched}
        print(f"touched: {len(touched)} nodes, of {', '.join(sorted(waves))}; {found['why']}")
        wrong += code != 22 or len(waves) > 2 or len(touched) > 1 + len(fleet.names) // 20
        wrong += sum(have.values()) > (len(touched) if given.release in _CONFIRMED else 0)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--release", choices=sorted(CHANGES), default="good")
    parser.add_argument("--loss", type=float, default=0.0, help="share of the packets that are lost, each way (0)")
    parser.add_argument("--restarts", type=int, default=0, help="of the broker (0)")
    parser.add_argument("--cuts", type=int, default=0, help="nodes that lose their power (0)")
    parser.add_argument("--kills", type=int, default=0, help="of the rollout's program, by kill -9 (0)")
    parser.add_argument("--over", type=float, default=120.0, help="seconds over which restarts and cuts are spread")
    parser.add_argument("--interval", type=float, default=30.0, help="seconds between measurements (30)")
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--watch", type=float, default=20.0, help="seconds that a node is watched (20)")
    parser.add_argument("--step", type=float, default=400.0, help="seconds for a step (400)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not 0 <= given.loss < 0.5 or not 1 <= given.nodes <= 500:
        parser.error("expected a --loss below 0.5 and 1 to 500 nodes")
    drawn = random.Random(given.seed)
    try:
        if given.loss:
            own_network(given.loss, given.seed)
        with tempfile.TemporaryDirectory(prefix="quaver-rollout-") as folder:
            fleet = Fleet(Path(folder), given.nodes, bool(given.loss), given.interval)
            try:
                began = time.monotonic()
                fleet.start()
                print(f"{given.nodes} nodes are online after {time.monotonic() - began:.0f} s", flush=True)
                path = fleet.release(given.release)
                trouble = Trouble(fleet, given.restarts, given.cuts, given.over, given.seed)
                began = time.monotonic()
                trouble.start()
                code, found = rollout(fleet, path, given, drawn)
                seconds = time.monotonic() - began
                trouble.end()
                print(
                    f"{seconds:.0f} s for the fleet, at {100 * given.loss:.0f} % loss, with {trouble.done['restart']} "
                    f"restarts of the broker and {trouble.done['cut']} power cuts ({', '.join(trouble.cut) or 'none'})"
                )
                fleet.settle()
                wrong = judge(fleet, code, found, given)
            finally:
                fleet.stop()
    except (RolloutFailure, QuaverError) as error:
        print(f"rollout_100: {error}", file=sys.stderr)
        return 2
    print("all as it must be" if not wrong else f"{wrong} things are not as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
