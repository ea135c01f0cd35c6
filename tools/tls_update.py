"""An emulated Pico W with every sensor takes a release in which one line has changed, over TLS.

    tools/tls_update.py

The broker is a Mosquitto with TLS, whose CA the node has pinned. Where the node refuses for want of memory, vibration
is switched off for the update, and on again, as docs/updates.md says. It prints what happened when, the heap that the
node has free, how far its measurements are apart, and whether any lost samples. It takes some ten minutes. Exit code 1
when the node does not confirm the release, does not measure afterwards, or loses a sample.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))  # broker and time server are as in the tests
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "host"))

from example_broker import lay_out

from quaver.bench.mosquitto import Mosquitto
from quaver.board.spec import BoardSpec
from quaver.broker.address import parse_broker_url
from quaver.build import firmware_files, tree
from quaver.emulator.identity import Identity
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.errors import QuaverError
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator, Refused
from quaver.fleet.procedures import roll_back, set_config, update
from quaver.messages.monitor import Monitor
from quaver.messages.record import Record
from quaver.messages.sealing import Opener
from quaver.plant.node import SLOW_SENSORS, healthy_machine, standard_rig
from quaver.release.bundle import Release, build_release
from quaver.release.publish import publish
from tests.device.plant import RELEASE_KEY
from tests.device.test_time import Server, asks, good
from tests.waiting import wait_until

NAME = "n1"
CHANGED = "command/identify.py"
PATIENCE_S = 3000.0
INTERVAL_S = 2
HOST = Rp2040Board.host_address
CONFIG = {
    **dict(zip(("site", "area", "line", "asset", "node"), ("plant", "hall", "line1", "motor1", NAME), strict=True)),
    **SLOW_SENSORS,
    "interval_s": INTERVAL_S,
    "time_server": HOST,
    "machine": {"rpm": 1797, "bearing": "6205"},
    "wifi": {"ssid": "quaver", "password": "emulated"},
    "broker": {"host": HOST, "port": 1883, "user": NAME, "password": "secret", "ca": "/ca.pem"},
}
USERS = {NAME: "secret", "ingest": "another", "commands": "a-third", "release": "a-fourth"}


def release_of(main: bytes) -> Release:
    """The firmware with one line changed, and with this main.py."""
    sources = tree._sources

    def changed(spec: BoardSpec) -> dict[str, bytes]:
        found = sources(spec)
        found[CHANGED] = found[CHANGED].replace(b"node: identify", b"node: identifies itself")
        return {**found, "main.py": main}

    with patch.object(tree, "_sources", changed):
        return build_release(["pico_w"], 2, expires=int(time.time()) + 1_000_000_000, key=RELEASE_KEY)


def gaps(records: list[Record]) -> str:
    times = [record.values["uptime_ms"] / 1000 for record in records]
    found = [after - before for before, after in pairwise(times) if after > before]
    lost = sum(record.values.get("dropped", 0) for record in records)
    return f"{len(records)} measurements, {min(found):.1f} to {max(found):.1f} s apart, {lost} samples lost"


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder, lay_out(folder / "etc", USERS, f"IP:{HOST},IP:127.0.0.1")))
        clock = Server()
        clock.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
        stack.callback(clock.stop)
        keys = KeyStore(folder / "keys")
        secret = keys.create(Identity.of(NAME).unique_id, NAME).keys[1]
        ca = folder / "etc" / "ca.crt"
        own = firmware_files("pico_w")
        own["main.py"] = asks(clock.port) + own["main.py"]
        beside = {
            "config.json": json.dumps(CONFIG).encode(),
            "device.key": json.dumps({"generation": 1, "key": secret.hex()}).encode(),
            "release.key": RELEASE_KEY.public.xy,
            "ca.pem": ca.read_bytes(),
        }
        release = release_of(own["main.py"])

        def url(user: str) -> str:
            return f"mqtts://{user}:{USERS[user]}@127.0.0.1:{broker.port}"

        publish(release, "plant", url=parse_broker_url(url("release")), ca=ca)
        reader = Monitor(parse_broker_url(url("ingest")), "+/+/+/+/+/telemetry", ca, Opener(keys))
        stack.enter_context(reader)
        rig = standard_rig(healthy_machine())
        board = Rp2040Board(Setup(files={**own, **beside}, rig=rig, broker_port=broker.port, name=NAME))
        stack.callback(board.stop)
        records: list[Record] = []

        def more(count: int) -> bool:
            if isinstance(item := reader.get(0.2), Record):
                records.append(item)
            return len(records) >= count

        wait_until(lambda: more(4), what="measurements")
        before, began = len(records), board.virtual_time_ns()
        commander = parse_broker_url(url("commands"))
        try:
            with Operator(commander, keys, NAME, ca, timeout_s=PATIENCE_S, expires_s=2_000_000) as node:
                off = False
                try:
                    number = update(node, release.envelopes)
                except Refused as refused:
                    if refused.reason != "memory":
                        raise
                    print(f"refused: {refused}", flush=True)
                    off = True
                    set_config(node, {"vibration": None})
                    print(f"vibration is off after {(board.virtual_time_ns() - began) / 1e9:.0f} s", flush=True)
                    number = update(node, release.envelopes)
                print("confirmed: release", number, flush=True)
                if off:
                    roll_back(node)
                    print(f"vibration is on again after {(board.virtual_time_ns() - began) / 1e9:.0f} s", flush=True)
        except QuaverError as error:
            print(f"{error}\n{board.console().decode(errors='replace')[-3000:]}", file=sys.stderr)
            return 1
        known = len(records)
        wait_until(lambda: more(known + 2) and "rms_g" in records[-1].values, what="vibration is measured")
        console = board.console().decode(errors="replace")
        free = [record.values["heap_free"] for record in records if "heap_free" in record.values]
        print(f"time: {(board.virtual_time_ns() - began) / 1e9:.0f} s")
        print(f"before: {gaps(records[:before])}; meanwhile: {gaps(records[before - 1 :])}")
        print(f"heap free: {free[0]} B, at least {min(free)} during the update, {free[-1]} after")
        print(f"sessions: {console.count('node: online')}")
        if any(record.values.get("dropped") for record in records):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
