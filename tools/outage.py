"""Takes the broker away for a while and a node's power at random moments, and asks the ledger what became of it.

The node is the firmware on a unix board, but its sensors: what it measures is made up, ten records a second of its own
time, which runs as fast as it can. First it has a broker, then none for --records
records, then one again. --kills times meanwhile its process is killed, wherever it is, and starts on what its flash
holds. At the end `quaver ingest` has stored what came, and the ledger must show no gap that the node has not explained.
"""

import argparse
import json
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
from quaver.board.guest import guest
from quaver.build import firmware_files
from quaver.emulator.identity import Identity
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import QuaverError
from quaver.fleet.keys import KeyStore
from quaver.store.ledger import Account, ledger
from quaver.store.store import Store

NAME = "pump-7"
NODE = Identity.of(NAME).unique_id
_PATIENCE_S = 120.0  # real time without progress

MAIN = guest(__file__, "outage")


def config(port: int, flash_kb: int) -> dict[str, object]:
    """The node's: ten records a second of its own time, from no sensor at all."""
    return {
        **dict(zip(("site", "area", "line", "asset", "node"), ("plant", "hall", "line-2", "pump", NAME), strict=True)),
        "interval_s": 0.1,
        "vibration": None,
        "temperature": None,
        "energy": None,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": "127.0.0.1", "port": port},
        "outbox": {"length": 16, "flash_kb": flash_kb},
    }


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
        self.broker.start()
        held = json.dumps({"generation": 1, "key": key.hex()})
        files = firmware_files("unix", config(self.broker.url.port, flash_kb))
        self.start_ingest()
        files |= {"main.py": MAIN.encode(), "device.key": held.encode()}
        self.board = open_board("unix:", Setup(files=files, name=NAME))

    def start_ingest(self) -> None:
        command = [sys.executable, "-m", "quaver.cli", "ingest", "--broker", str(self.broker.url)]
        command += ["--store", str(self.store), "--keys", str(self._keys.folder)]
        self._ingest = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._ingest.stderr is not None
        if b"storing the messages from" not in (line := self._ingest.stderr.readline()):
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
    parser.add_argument("--flash-kb", type=int, default=1024, help="the journal's bound; less than it takes drops")
    given = parser.parse_args()
    if given.records < 20 or given.kills < 0 or not 32 <= given.flash_kb <= 1024:
        parser.error("expected at least 20 records, 0 kills, and a journal of 32 to 1024 kB")
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
