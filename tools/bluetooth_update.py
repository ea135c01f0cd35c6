"""An emulated Pico W behind a Pico W gateway takes a release in which one line has changed, over Bluetooth; then the
gateway takes the same one from the broker.

    tools/bluetooth_update.py

It prints the times, what the node's radio did, and the heap that both have free. It takes some ten minutes. Exit code 1
when either does not confirm the release, or when a heap is below the board's budget before, or the gateway's after.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the plant is the tests'

from quaver.bench.mosquitto import Mosquitto
from quaver.board.spec import load_board
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.emulator.radio import Air
from quaver.errors import QuaverError
from quaver.fleet.operator import Operator
from quaver.fleet.procedures import update
from tests.device.plant import RELEASE_KEY, Plant
from tests.device.test_time import Server, asks, good
from tests.waiting import wait_until

PATIENCE_S = 1800
TIMING = {"interval_ms": 100, "window_s": 10, "rest_s": 10, "visit_s": 30}


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        clock = Server()
        clock.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
        stack.callback(clock.stop)
        plant = Plant(stack.enter_context(Air(seed=16)), broker, folder, stack)
        plant.start("n1", "gw")
        key = {"release.key": RELEASE_KEY.public.xy}
        gateway = plant.gateway("rp2040:", "n1", interval_s=30, time_port=clock.port, files=key)
        main = asks(clock.port) + firmware_files("pico_w")["main.py"]  # as the release has it, for the gateway's sake
        node = plant.node("rp2040:", "n1", files={**key, "main.py": main}, ble=TIMING, interval_s=30)
        release = plant.release("pico_w", folder / "2.release", time_port=clock.port)

        def heaps(name: str) -> list[int]:
            """Of the records that tell it: an ordinary one of a node does not."""
            found = [record.get("heap_free", 0) for record in plant.records(name, "telemetry")]
            return [free for free in found if free]

        wait_until(lambda: heaps("n1") and heaps("gw"), what="both in service")
        began, before = node.virtual_time_ns(), plant.air.tally("n1")
        url = BrokerUrl("127.0.0.1", broker.port)

        def take(name: str) -> bool:
            """Whether it confirms the release."""
            try:
                with Operator(url, plant.keys, name, timeout_s=PATIENCE_S, expires_s=2_000_000) as operator:
                    print(f"{name}: confirmed release {update(operator, release.envelopes)}", flush=True)
            except QuaverError as error:
                print(f"{error}\n{plant.boards[name].console().decode(errors='replace')[-2000:]}", file=sys.stderr)
                return False
            return True

        if not take("n1"):
            return 1
        seconds, after = (node.virtual_time_ns() - began) / 1e9, plant.air.tally("n1")
        print(f"time: {seconds:.0f} s, of which {after.connected_s - before.connected_s:.0f} s in connections")
        print(f"radio on: {after.radio_s - before.radio_s:.1f} s")
        print(f"bytes: {after.received - before.received} to the node, {after.sent - before.sent} from it")
        began = gateway.virtual_time_ns()
        if not take("gw"):
            return 1
        print(f"time of the gateway's own: {(gateway.virtual_time_ns() - began) / 1e9:.0f} s")
        known, seen = len(plant.records("n1", "telemetry")), len(heaps("gw"))
        wait_until(lambda: len(plant.records("n1", "telemetry")) > known, what="the node's records go on")
        wait_until(lambda: len(heaps("gw")) > seen, what="the gateway's records go on")
        node_free, gateway_free = heaps("n1"), heaps("gw")
        print(f"heap free: node {node_free[0]} B, at least {min(node_free)} in the update, {node_free[-1]} on trial")
        print(f"heap free: gateway {gateway_free[0]} B, at least {min(gateway_free)}, {gateway_free[-1]} after")
        unexplained = sum(account.unexplained for account in plant.accounts().values())
        count = len(plant.records("n1", "telemetry"))
        print(f"measurements of the node: {count}; unexplained in the ledger: {unexplained}")
        enough = min(node_free[0], gateway_free[0], gateway_free[-1]) >= load_board("pico_w").heap_budget
    return 0 if enough and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
