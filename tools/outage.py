"""Takes the broker away for a while and a node's power at random moments, and asks the ledger what became of it.

The node is the firmware on a unix board: its journal on its flash, its seals, its link; what it measures is made up,
ten records a second of its own time, which runs as fast as it can. First it has a broker, then none for --records
records, then one again. --kills times meanwhile its process is killed, wherever it is, and starts on what its flash
holds. At the end `quaver ingest` has stored what came, and the ledger must show no gap that the node has not explained.
"""

import argparse
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from quaver.bench.mosquitto import Mosquitto
from quaver.build import firmware_files
from quaver.emulator.board import Setup, open_board
from quaver.errors import QuaverError
from quaver.ingest.ledger import Account, ledger
from quaver.ingest.store import Store
from quaver.keys import KeyStore

NODE = bytes.fromhex("e6614c311b7e6f25")
NAME = "pump-7"
_PATIENCE_S = 120.0  # real time without progress

MAIN = """
import asyncio
import network
from links.errors import LinkError
from links.mqtt import Mqtt
from node import seal, store
from node.clock import Uptime
from node.outbox import Outbox
from node.record import Recorder
from quaver_wire import cbor
from quaver_wire.fields import VERSION

ROOT = "plant/hall/line-2/pump/{name}/"
ASIDE = 1 << 23

class Sealed(Recorder):
    def seal_with(self, channel):
        self._channel = channel
        self._aside = ASIDE
        self._sealed = bytearray(640)

    def encode(self, kind, values):
        values["version"] = VERSION
        values["uptime_ms"] = self._uptime.ms()
        end = cbor.encode(self._buffer, values, kind)
        seq = self._aside if kind == "status" else self._seq
        end = self._channel.seal(self._sealed, kind, self._boot, seq, self._buffer, end)
        if kind == "status":
            self._aside += 1
        else:
            self._seq += 1
        return bytes(self._sealed[:end])

with open("/device.key", "rb") as file:
    key = file.read()
boot = store.next_boot()
outbox = Outbox(boot, length=16, limit={limit})
recorder = Sealed("{name}", boot, Uptime(), outbox)
recorder.seal_with(seal.channel(key, bytes.fromhex("{node}"), 1, "uplink"))
outbox.report = recorder.event
recorder.introduce("0.1.0", "unix", 1)
recorder.event("boot", text="HARD_RESET", oldest_boot=outbox.oldest_boot, lost_from=outbox.lost_from)
config = dict(host="127.0.0.1", port={port}, user="", password="", keepalive_s=60)
mqtt = Mqtt(config, "{name}-x", ROOT + "status", recorder.status(0))

async def measure():
    made = 0
    while True:
        recorder.telemetry(dict(level=0, quality=0, rms_g=0.1 + made % 100 / 1000, kurtosis=3.0, temperature_c=21.5))
        made += 1
        if made % 50 == 0:
            recorder.event("level", "rms", level=made // 50 % 3, value=0.25, limit=0.2)
        if made % 10 == 0:
            print("boot", boot, "made", made)
        await asyncio.sleep_ms(100)

async def send():
    pause = 1
    while True:
        try:
            mqtt.up()
            pause = 1
            await mqtt.publish(ROOT + "status", recorder.status(1), 5000, retain=True)
            outbox.link(True)
            while True:
                entry = outbox.first()
                if entry is None:
                    try:
                        await asyncio.wait_for(outbox.filled.wait(), 1)
                    except asyncio.TimeoutError:
                        pass
                    mqtt.idle()
                    continue
                await mqtt.publish(ROOT + entry.leaf, entry.payload, 5000)
                outbox.done(entry)
                if not len(outbox):
                    print("empty")
        except LinkError:
            pass
        finally:
            outbox.link(False)
            mqtt.down()
        await asyncio.sleep(pause)
        pause = min(2 * pause, 60)

async def run():
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    wlan.connect("quaver", "emulated")
    while not wlan.isconnected():
        await asyncio.sleep_ms(100)
    await asyncio.gather(measure(), send())

asyncio.run(run())
"""


class OutageError(Exception):
    """Something that the run rests on did not come about."""


class Outage:
    """One node, one broker, one store; and who takes the power. kills: how often that was."""

    def __init__(self, folder: Path, seed: int, flash_kb: int) -> None:
        self.kills = 0
        self.broker = Mosquitto(folder)
        self.store = folder / "store.sqlite"
        self._random = random.Random(seed)
        self._made: dict[int, int] = {}
        self._keys = KeyStore(folder / "keys")
        self._ingest: subprocess.Popen[bytes] | None = None
        key = self._keys.create(NODE, NAME).keys[1]
        main = MAIN.format(name=NAME, node=NODE.hex(), port=self.broker.url.port, limit=flash_kb * 1024)
        self.broker.start()
        self.start_ingest()
        self.board = open_board(
            "unix:", Setup(files={**firmware_files("unix"), "main.py": main.encode(), "device.key": key})
        )

    def start_ingest(self) -> None:
        command = [sys.executable, "-m", "quaver.cli", "ingest", "--broker", str(self.broker.url)]
        command += ["--store", str(self.store), "--keys", str(self._keys.folder)]
        self._ingest = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._ingest.stderr is not None
        if b"storing what comes from" not in (line := self._ingest.stderr.readline()):
            raise OutageError(f"quaver ingest does not start: {line!r}")

    def stop_ingest(self) -> None:
        if self._ingest is not None:
            self._ingest.terminate()
            self._ingest.communicate()
            self._ingest = None

    def settle(self) -> None:
        """Until ingest has had all that the broker has: nothing new for a second."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < 1.0:
            with sqlite3.connect(f"{self.store.as_uri()}?mode=ro", uri=True) as db:
                now = db.execute("SELECT count(*) FROM record").fetchone()[0]
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.05)

    def stop(self) -> None:
        self.board.stop()
        self.stop_ingest()
        self.broker.stop()

    def made(self) -> int:
        """How many records the node has told of, in all its boots."""
        for boot, made in re.findall(rb"boot (\d+) made (\d+)\r?\n", self._console()):
            self._made[int(boot)] = max(int(made), self._made.get(int(boot), 0))
        return sum(self._made.values())

    def _console(self) -> bytes:
        ended = self.board.alive()
        if ended is not None:
            raise OutageError(f"the board is gone: {ended}")
        said = self.board.console()
        if b"Traceback" in said:
            raise OutageError(f"the node failed: {said[said.index(b'Traceback') :][:1500].decode(errors='replace')}")
        return said

    def wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise OutageError(f"waited {_PATIENCE_S:.0f} s for {what}: {self._console()[-500:]!r}")
            time.sleep(0.005)

    def live(self, records: int, kills: int) -> None:
        """Until the node has made `records` more, its power taken `kills` times at random moments between."""
        begin = self.made()
        for at in [*sorted(self._random.randrange(records) for _ in range(kills)), records]:
            self.wait(lambda at=at: self.made() - begin >= at, "records")  # type: ignore[misc]
            if at < records:
                time.sleep(self._random.random() / 50)  # somewhere within the work on a record or two
                self.board.reset()
                self.kills += 1

    def drain(self) -> None:
        """Until the node's journal is empty, with what the node makes meanwhile."""
        seen = self.board.console().count(b"empty")
        self.wait(lambda: self._console().count(b"empty") > seen, "the journal to be empty")


def run(records: int, kills: int, seed: int, flash_kb: int, say: Callable[[str], None]) -> Account:
    """The whole of it; the node's account. Raises OutageError when something does not come about."""
    with tempfile.TemporaryDirectory(prefix="quaver-outage-") as folder:
        outage = Outage(Path(folder), seed, flash_kb)
        try:
            outage.live(records // 20, 0)
            outage.stop_ingest()
            outage.broker.stop()
            say(f"the broker is gone after {outage.made()} records")
            during = kills * 3 // 4
            outage.live(records, during)
            outage.broker.start()
            say(f"it is back after {outage.made()} records and {outage.kills} kills")
            outage.start_ingest()
            outage.live(records // 20, kills - during)
            outage.drain()
            made = outage.made()
            outage.board.stop()
            outage.settle()
        finally:
            outage.stop()
        with Store(outage.store, write=False) as store:
            (account,), strangers = ledger(store)
            twice = store.query("SELECT count(*) FROM record GROUP BY node, boot, seq HAVING count(*) > 1")
    say(f"the node made {made} measurements in {account.boots[1] if account.boots else 0} boots")
    if strangers or twice:
        raise OutageError(f"{len(strangers)} strangers, {len(twice)} stored twice")
    known = account.received + account.dropped + account.lost_in_ram + account.waiting
    if known < made:
        raise OutageError(f"the ledger knows of {known} records, the node made {made}: it does not see what is missing")
    return account


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000, help="made while the broker is gone (10,000)")
    parser.add_argument("--kills", type=int, default=20, help="how often the power is taken (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which it is taken")
    parser.add_argument("--flash-kb", type=int, default=2048, help="the journal's bound; less than it takes drops")
    given = parser.parse_args()
    try:
        account = run(given.records, given.kills, given.seed, given.flash_kb, lambda line: print(line, flush=True))
    except (OutageError, QuaverError) as error:
        print(f"outage: {error}", file=sys.stderr)
        return 2
    print(
        f"ledger: {account.received} stored, 0 stored twice, {account.duplicates} duplicates, "
        f"{account.dropped} dropped, {account.lost_in_ram} lost in RAM, {account.waiting} waiting, "
        f"{account.unexplained} unexplained"
    )
    for gap in account.gaps[:20]:
        print(f"unexplained: {gap}")
    if account.refused:
        print(f"refused: {account.refused}")
    return 1 if account.unexplained or account.refused else 0


if __name__ == "__main__":
    sys.exit(main())
