"""A virtual day of an emulated ESP32-C3 node: the broker and the Wi-Fi go away and come back; are both heaps flat?

    tools/esp32c3_day.py --hours 24

Every ten minutes of the node's time it prints what the node's two heaps have free. A `quaver ingest` stores what the
node sends, and the ledger says what is missing. A Ctrl-C ends the day earlier. Exit code 1 when the node restarted or
runs without a sensor, a record is missing, or a heap has less than it had in the first hour.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from pathlib import Path

from quaver.bench.mosquitto import Mosquitto
from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.plant.node import SLOW_SENSORS, healthy_machine, standard_rig
from quaver.store.ledger import Account, ledger
from quaver.store.store import Store

HOUR_NS = 3600 * 10**9
AWAY_NS = HOUR_NS // 6
INTERVAL_S = 300
SLACK = 2048  # bytes by which a heap's median may differ
CATCH_UP_S = 60.0  # real time that ingest has for what the broker still holds
BEFORE = 20  # lines of the console that are shown of what came before a restart
BOOT = "node: quaver "
PROBLEMS = ("node: config: ", "Traceback", "no memory")
START = "    start.run(supervisor, watchdog)"
# Says what is free, after a collection: of Python's heap, of ESP-IDF's, and in its largest piece. It tells the
# supervisor that it got somewhere, as every task has to: else the watchdog resets the node.
WATCH = """
async def watch():
    import asyncio, esp32, gc
    while True:
        supervisor.progress("watch")
        await asyncio.sleep(600)
        gc.collect()
        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
        print("heaps", gc.mem_alloc(), sum(each[1] for each in regions), max(each[2] for each in regions))
supervisor.add("watch", watch, 1200)
"""


def outages(hour: int) -> str:
    """What is away in the middle of an hour: the broker in an even one, the Wi-Fi in an odd one."""
    return "wifi" if hour % 2 else "broker"


def heaps(board: Board) -> list[tuple[int, int, int]]:
    """(taken of Python's, free of ESP-IDF's, its largest piece), as the node has said it."""
    found = []
    for line in board.console().decode(errors="replace").splitlines():
        if line.startswith("heaps ") and len(line.split()) == 4:
            held, free, largest = map(int, line.split()[1:])
            found.append((held, free, largest))
    return found


def restart(board: Board) -> list[str]:
    """What the console says around the first restart; empty without one."""
    lines = board.console().decode(errors="replace").splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(BOOT)]
    return lines[max(starts[1] - BEFORE, 0) : starts[1] + BEFORE] if len(starts) > 1 else []


def problems(board: Board) -> list[str]:
    """What the node says against its configuration, a sensor that it runs without, too; and its end."""
    return [line for line in board.console().decode(errors="replace").splitlines() if line.startswith(PROBLEMS)]


def account(path: Path) -> Account | None:
    """The node's, once it has sent something."""
    if not path.exists():
        return None
    with Store(path, write=False) as store:
        accounts, _ = ledger(store)
    return accounts[0] if accounts else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24, metavar="N", help="hours of the node's time (24)")
    hours = parser.parse_args().hours
    config = {
        "node": "c3",
        "interval_s": INTERVAL_S,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": "10.0.0.1", "port": 1883},
        "outbox": {"durable": True},
        **SLOW_SENSORS,
    }
    files = firmware_files("esp32_c3", config)
    main_py = files["main.py"].decode()
    if main_py.count(START) != 1:
        raise SystemExit(f"main.py: expected one {START!r}")
    files["main.py"] = main_py.replace(START, textwrap.indent(WATCH, "    ") + START).encode()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder)) as broker:
        path = Path(folder) / "day.db"
        command = [Path(sys.executable).with_name("quaver"), "ingest", "--allow-plain", "--broker", str(broker.url)]
        command += ["--store", path, "--keys", Path(folder) / "keys"]
        setup = Setup(files=files, rig=standard_rig(healthy_machine()), broker_port=broker.port)
        with open_board("esp32_c3:", setup) as board, subprocess.Popen(command) as ingest:
            told = 0
            away = ""
            said: list[str] = []
            with suppress(KeyboardInterrupt):
                while (
                    (now := board.virtual_time_ns()) < hours * HOUR_NS + AWAY_NS
                    and board.alive() is None
                    and not (said := restart(board) or problems(board))
                ):
                    time.sleep(0.1)
                    hour, into = divmod(now, HOUR_NS)
                    wanted = outages(hour) if 2 * AWAY_NS < into < 3 * AWAY_NS and hour < hours else ""
                    if wanted != away:
                        if "broker" in (wanted, away):
                            broker.stop() if wanted else broker.start()
                        else:
                            board.set_sensor("wifi", present=not wanted)
                        away = wanted
                    for held, free, largest in heaps(board)[told:]:
                        told += 1
                        said_so = f"Python {held:,} taken  ESP-IDF {free:,} free, {largest:,} in a piece"
                        print(f"{now / HOUR_NS:6.2f} h  {said_so}", flush=True)
            hours = min(hours, now // HOUR_NS)
            measured = heaps(board)
            ended = board.alive()
            if away == "broker":
                broker.start()
            # The node goes first: what it has sent by then, the broker hands on.
            board.stop()
            patience = time.monotonic() + CATCH_UP_S
            while ((found := account(path)) is None or found.unexplained) and time.monotonic() < patience:
                time.sleep(0.5)
            ingest.terminate()
    print(f"{now / HOUR_NS:.1f} h of the node's time in {time.monotonic() - began:.0f} s")
    if found is None:
        print("no record has come")
        return 1
    print(
        f"boots {found.boots}: {found.received} records, {found.duplicates} duplicates, refused {found.refused}, "
        f"dropped {found.dropped}, waiting {found.waiting}, missing {found.unexplained}"
    )
    first, last = measured[:6], measured[-6:]
    drift = [0.0, 0.0, 0.0]
    if measured:
        drift = [
            statistics.median(row[i] for row in last) - statistics.median(row[i] for row in first) for i in range(3)
        ]
    print(
        f"drift of what is taken of Python's heap {drift[0]:+.0f}, of ESP-IDF's {-drift[1]:+.0f} bytes, "
        f"of its largest piece {drift[2]:+.0f}"
    )
    for line in [*said, *([ended] if ended is not None else [])]:
        print(line)
    flat = drift[0] <= SLACK and drift[1] >= -SLACK and drift[2] >= -SLACK
    lost = found.unexplained + found.dropped + sum(found.refused.values())
    enough = found.received >= hours * HOUR_NS // 10**9 // INTERVAL_S
    return 0 if flat and enough and not lost and not said and found.boots == (1, 1) and ended is None else 1


if __name__ == "__main__":
    sys.exit(main())
