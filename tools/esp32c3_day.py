"""A virtual day of an emulated ESP32-C3 node: the broker and the Wi-Fi go away and come back; are both heaps flat?

    tools/esp32c3_day.py --hours 24

It takes some 80 s of real time for an hour, and prints what the node's two heaps have free, every ten minutes of its
time. Exit code 1 when the node restarted, a record is missing, or a heap has less than it had after the first hour.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from quaver.bench.mosquitto import Mosquitto
from quaver.board.interface import Board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.messages.monitor import Monitor
from quaver.messages.record import Record
from quaver.plant.node import SLOW_SENSORS, healthy_machine, standard_rig

HOUR_NS = 3600 * 10**9
AWAY_NS = HOUR_NS // 6
INTERVAL_S = 300
SLACK = 2048  # bytes by which a heap's median may differ
START = "start.run(supervisor, watchdog)"
# Says what is free, after a collection: of Python's heap, of ESP-IDF's, and in its largest piece.
WATCH = """
async def watch():
    import asyncio, esp32, gc
    while True:
        await asyncio.sleep(600)
        gc.collect()
        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
        print("heaps", gc.mem_alloc(), sum(each[1] for each in regions), max(each[2] for each in regions))
supervisor.add("watch", watch, 10000)
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=24, metavar="N", help="hours of the node's time (24)")
    hours = parser.parse_args().hours
    config = {
        "node": "c3",
        "interval_s": INTERVAL_S,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": "10.0.0.1", "port": 1883},
        "outbox": {"durable": 1},
        **SLOW_SENSORS,
    }
    files = firmware_files("esp32_c3", config)
    main_py = files["main.py"].decode()
    files["main.py"] = main_py.replace(START, WATCH + START).encode()
    seen: dict[int, set[int]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder)) as broker:
        setup = Setup(files=files, rig=standard_rig(healthy_machine()), broker_port=broker.port)
        with open_board("esp32_c3:", setup) as board, Monitor(BrokerUrl("127.0.0.1", broker.port), "#") as monitor:
            told = 0
            away = ""
            while (now := board.virtual_time_ns()) < hours * HOUR_NS + AWAY_NS and board.alive() is None:
                while (item := monitor.get(0.1)) is not None:
                    if isinstance(item, Record) and item.kind == "telemetry":
                        seen.setdefault(item.values["boot"], set()).add(item.values["seq"])
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
                    print(f"{now / HOUR_NS:6.2f} h  Python {held:,} taken  ESP-IDF {free:,} free, {largest:,} whole")
                    sys.stdout.flush()
            measured = heaps(board)
            ended = board.alive()
            starts = board.console().count(b"node: quaver ")
    sent = {boot: max(numbers) + 1 for boot, numbers in seen.items()}
    missing = sum(sent.values()) - sum(len(numbers) for numbers in seen.values())
    first, last = measured[3:9], measured[-6:]
    drift = [statistics.median(row[i] for row in last) - statistics.median(row[i] for row in first) for i in range(3)]
    print(
        f"{hours} h of the node's time in {time.monotonic() - began:.0f} s: {sum(sent.values())} records, {missing} "
        f"missing, boots {sorted(sent)}, drift of Python's heap {drift[0]:+.0f}, of ESP-IDF's {-drift[1]:+.0f} bytes"
    )
    if ended is not None:
        print(ended)
    flat = drift[0] <= SLACK and drift[1] >= -SLACK
    return 0 if flat and not missing and starts <= 1 and sorted(sent) == [1] and ended is None else 1


if __name__ == "__main__":
    sys.exit(main())
