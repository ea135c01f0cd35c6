"""Brings many nodes into service from one plan, with planted mistakes, and prints the report and the median time.

Every node is the firmware on the real MicroPython (`unix:`), flashed with a code of its own, and blank.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from quaver.broker import EmbeddedBroker
from quaver.build import firmware_files
from quaver.emulate import healthy_machine, standard_rig
from quaver.emulator.board import Setup
from quaver.emulator.unix import UnixBoard
from quaver.provision.identity import Codes, new_code

SENSORS = {"vibration": {"samples": 1024}, "temperature": None, "energy": None, "interval_s": 600}
MISTAKES = {
    1: ("bearing", "bearing", "62O5"),
    2: ("duplicate place", "name", "n-0"),
    3: ("wrong code", "code", None),
    4: ("missing Wi-Fi", "wifi", "nowhere"),
    5: ("speed", "rpm", "fast"),
    6: ("missing name", "name", ""),
    7: ("not there", "id", "ffffffffffffffff"),
    8: ("mistyped code", "code", "AAAA-AAAA-AAAA-AAAB"),
    9: ("place", "asset", "pump/9"),
    10: ("threshold", "limits", "velocity 9 1"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="?", type=int, default=100)
    count = parser.parse_args().nodes
    files = dict(firmware_files("unix", SENSORS))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        keys = root / "keys"
        keys.mkdir(mode=0o700)
        (keys / "wifi.toml").write_text('[hall]\nssid = "quaver"\npassword = "emulated"\n')
        (keys / "wifi.toml").chmod(0o600)
        broker = stack.enter_context(EmbeddedBroker())
        codes = Codes(keys)
        rows = ["id,name,asset,code,wifi,bearing,rpm,limits"]
        ports = []
        print(f"starting {count} nodes", flush=True)
        for n in range(count):
            identity, code = b"node" + n.to_bytes(4, "big"), new_code()
            setup = Setup(
                files={**files, "session.code": code.encode()},
                rig=standard_rig(healthy_machine())[:1],
                broker_port=broker.port,
                real_time=True,
            )
            ports.append(f"--port={stack.enter_context(UnixBoard(setup, identity=identity)).address}")
            cells = {"id": identity.hex(), "name": f"n-{n}", "asset": "p", "code": code, "wifi": "hall"}
            cells |= {"bearing": "6205", "rpm": "1480", "limits": "velocity 2.8 4.5"}
            if n in MISTAKES:
                _, column, value = MISTAKES[n]
                cells[column] = new_code() if value is None else value
            rows.append(",".join(cells.values()))
        (root / "plan.csv").write_text("\n".join(rows) + "\n")
        del codes
        began = time.monotonic()
        command = [sys.executable, "-m", "quaver.cli", "provision", f"--from={root / 'plan.csv'}", "--json"]
        command += ["--broker=mqtt://127.0.0.1:1883", f"--listen={broker.url}", f"--keys={keys}"]
        command += [f"--inventory={root / 'inventory.sqlite'}", *ports]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        results = [json.loads(line) for line in done.stdout.splitlines()]
        took = time.monotonic() - began
    failed = {result["row"]: result for result in results if "failed" in result}
    for row, result in failed.items():
        print(f"row {row} {result.get('column', '')}: {result['failed']}")
    times = sorted(result["seconds"] for result in results if "seconds" in result)
    median = times[len(times) // 2] if times else float("nan")
    print(
        f"{len(times)} of {count} in service in {took:.1f} s, median {median:.1f} s a node; {len(failed)} rows failed"
    )
    planted = {n + 2 for n in MISTAKES if n < count}
    return 0 if set(failed) == planted and len(times) == count - len(planted) else 1


if __name__ == "__main__":
    sys.exit(main())
