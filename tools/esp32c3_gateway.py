"""An emulated ESP32-C3 as gateway: a Pico W, an ESP32-C3 and unix nodes in one air; then its connections a minute.

    tools/esp32c3_gateway.py

It takes some three minutes. Exit code 1 when a record is missing, or when the gateway holds one connection at a time.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the plant is the tests'

from quaver.bench.ble import connections
from quaver.bench.mosquitto import Mosquitto
from quaver.emulator.radio import Air
from quaver.emulator.radio import Path as RadioPath
from quaver.plant.node import SLOW_SENSORS
from tests.device.plant import Plant

UNIX = tuple(f"n{number}" for number in range(1, 7))
NODES = ("pico", "c3", *UNIX)
RECORDS = 20  # of each node
PATIENCE_S = 600


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        air = stack.enter_context(Air(seed=5, path=RadioPath(loss=0.1)))
        plant = Plant(air, broker, folder, stack)
        plant.start(*NODES, "gw", esp32=["c3", "gw"])
        gateway = plant.gateway("esp32_c3:", *NODES)
        held = plant.watch_connections("gw")
        plant.node("rp2040:", "pico", **{**SLOW_SENSORS, "interval_s": 2})
        plant.node("esp32_c3:", "c3", vibration=None)
        plant.nodes(UNIX, vibration=None)
        until = time.monotonic() + PATIENCE_S
        counts: dict[str, int] = {}
        while time.monotonic() < until and gateway.alive() is None:
            counts = {name: len(plant.records(name, "telemetry")) for name in NODES}
            if min(counts.values()) >= RECORDS:
                break
            time.sleep(0.5)
        unexplained = {name: account.unexplained for name, account in plant.accounts().items()}
        print("records", counts)
        print("unexplained", unexplained, flush=True)
        print(f"connections at once: {max(held)} at most, after {gateway.virtual_time_ns() / 1e9:.0f} s of its time")
        whole = min(counts.values()) >= RECORDS and not any(unexplained.values()) and max(held) > 1
        if not whole:
            print(gateway.console().decode(errors="replace")[-2000:], file=sys.stderr)
    for figure in connections("esp32_c3"):
        print(f"{figure.name.strip()}: {figure.value:g} {figure.unit}".rstrip())
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
