"""Times nodes from blank to the first record, one command each, by serial and by Bluetooth; then many by one plan.

Every node is the firmware flashed with a code of its own, and blank: on the real MicroPython (`unix:`), or with
`--board rp2040:` on the official Pico W image in its emulator. The node's own seconds are those of a watch beside it;
real ones are those of this machine. The plan has ten planted mistakes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from quaver.board.interface import Board
from quaver.broker.embedded import EmbeddedBroker
from quaver.build import firmware_files
from quaver.cli import main as quaver
from quaver.emulator.identity import Identity
from quaver.emulator.radio import Air
from quaver.emulator.radio import Path as RadioPath
from quaver.emulator.radio.bleak_backend import backends
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.emulator.unix import UnixBoard
from quaver.plant.node import healthy_machine, standard_rig
from quaver.provision.bluetooth import Bluetooth
from quaver.provision.identity import new_code
from quaver.provision.serial import SerialTransport
from quaver.provision.session import who

BOARDS = {"unix:": "unix", "rp2040:": "pico_w"}
SENSORS = {"vibration": {"samples": 1024}, "temperature": None, "energy": None, "interval_s": 600}
LOSS = 0.02  # of the packets in the air
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


@contextlib.contextmanager
def folder_with_keys() -> Iterator[Path]:
    """A folder whose `keys` know the network of the emulated boards; it has no time server."""
    with tempfile.TemporaryDirectory() as name:
        keys = Path(name) / "keys"
        keys.mkdir(mode=0o700)
        (keys / "wifi.toml").write_text('[hall]\nssid = "quaver"\npassword = "emulated"\ntime_server = ""\n')
        (keys / "wifi.toml").chmod(0o600)
        yield Path(name)


def wait(board: Board, radio: Bluetooth | None) -> None:
    """Return once the blank node offers its sessions."""
    end = time.monotonic() + 300
    found: object = None
    while not found:
        if time.monotonic() > end or board.alive() is not None:
            raise SystemExit(f"bench: the node does not start: {board.console()[-500:]!r}")
        if radio:
            found = radio.find()
        else:
            with SerialTransport(board.address) as transport:
                found = who(transport)


def one(where: str, over_the_air: bool) -> tuple[float, float]:
    """Bring one node into service: (its own seconds, real seconds) that the command took."""
    code = new_code()
    files = {**firmware_files(BOARDS[where], SENSORS), "session.code": code.encode()}
    rig = standard_rig(healthy_machine())[:1]
    with folder_with_keys() as folder, EmbeddedBroker() as broker, ExitStack() as stack:
        air = stack.enter_context(Air(seed=7, path=RadioPath(loss=LOSS))) if over_the_air else None
        paced = where == "unix:" and air is None
        setup = Setup(files=files, rig=rig, broker_port=broker.port, real_time=paced, air=air, name="n")
        board = stack.enter_context(open_board(where, setup))
        identity = Identity.of("n").unique_id.rjust(8, b"\0")
        plan = folder / "plan.csv"
        plan.write_text(f"id,name,asset,code,bearing,rpm\n{identity.hex()},n,p,{code},6205,1480\n")
        arguments = ["provision", f"--from={plan}", f"--broker=mqtt://{board.host_address}:1883", "--limit=600"]
        arguments += [f"--listen={broker.url}", f"--keys={folder / 'keys'}", f"--inventory={folder / 'i'}", "--json"]
        if air is not None:
            scanner, client = backends(air.device("laptop", bytes.fromhex("280102030405")))
            radio: Bluetooth | None = Bluetooth(air.start, {"backend": scanner}, {"backend": client})
            stack.enter_context(patch("quaver.provision.bluetooth.Bluetooth", lambda: radio))
        else:
            radio = None
        wait(board, radio)
        arguments.append("--ble" if air is not None else f"--port={board.address}")
        said = io.StringIO()
        own, real = board.virtual_time_ns(), time.monotonic()
        with contextlib.redirect_stdout(said):
            ended = quaver(arguments)
        if ended:
            raise SystemExit(f"bench: {said.getvalue()}{board.console()[-500:]!r}")
        # the first record is what the command ended with
        return (board.virtual_time_ns() - own) / 1e9, time.monotonic() - real


def singly(where: str, times: int) -> None:
    for over_the_air, words in ((False, "serial"), (True, "Bluetooth")):
        found = [one(where, over_the_air) for _ in range(times)]
        own = statistics.median(seconds for seconds, _ in found)
        real = statistics.median(seconds for _, seconds in found)
        runs = f"median of {times} runs" if times > 1 else "one run"
        print(
            f"{where} blank to first record over {words}: {own:.1f} s of the node's time, {real:.1f} s real ({runs})",
            flush=True,
        )


def fleet(count: int) -> int:
    """Bring `count` nodes into service from one plan; 0 when all but the planted mistakes are."""
    files = dict(firmware_files("unix", SENSORS))
    with folder_with_keys() as root, EmbeddedBroker() as broker, ExitStack() as stack:
        rows = ["id,name,asset,code,wifi,bearing,rpm,limits"]
        ports = []
        print(f"starting {count} nodes", flush=True)
        for n in range(count):
            code = new_code()
            setup = Setup(
                files={**files, "session.code": code.encode()},
                rig=standard_rig(healthy_machine())[:1],
                broker_port=broker.port,
                real_time=True,
                name=f"n-{n}",
            )
            identity = Identity.of(f"n-{n}").unique_id.rjust(8, b"\0")
            ports.append(f"--port={stack.enter_context(UnixBoard(setup)).address}")
            cells = {"id": identity.hex(), "name": f"n-{n}", "asset": "p", "code": code, "wifi": "hall"}
            cells |= {"bearing": "6205", "rpm": "1480", "limits": "velocity 2.8 4.5"}
            if n in MISTAKES:
                _, column, value = MISTAKES[n]
                cells[column] = new_code() if value is None else value
            rows.append(",".join(cells.values()))
        (root / "plan.csv").write_text("\n".join(rows) + "\n")
        began = time.monotonic()
        command = [sys.executable, "-m", "quaver.cli", "provision", f"--from={root / 'plan.csv'}", "--json"]
        command += ["--broker=mqtt://127.0.0.1:1883", f"--listen={broker.url}", f"--keys={root / 'keys'}"]
        command += [f"--inventory={root / 'inventory.sqlite'}", *ports]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        results = [json.loads(line) for line in done.stdout.splitlines()]
        took = time.monotonic() - began
    failed = {result["row"]: result for result in results if "failed" in result}
    for row, result in failed.items():
        print(f"row {row} {result.get('column', '')}: {result['failed']}")
    times = [result["seconds"] for result in results if "seconds" in result]
    median = statistics.median(times) if times else float("nan")
    print(
        f"{len(times)} of {count} in service in {took:.1f} s, median {median:.1f} s a node; {len(failed)} rows failed"
    )
    planted = {n + 2 for n in MISTAKES if n < count}
    return 0 if set(failed) == planted and len(times) == count - len(planted) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="?", type=int, default=100, help="of the plan; 0: none")
    parser.add_argument("--runs", type=int, default=5, help="of each way, one node after the other")
    parser.add_argument("--board", choices=list(BOARDS), default="unix:", help="of those")
    given = parser.parse_args()
    if given.runs:
        singly(given.board, given.runs)
    return fleet(given.nodes) if given.nodes else 0


if __name__ == "__main__":
    sys.exit(main())
