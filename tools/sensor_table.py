"""Prints what each accelerometer loses at its highest rate, on each bus of each emulated board: docs/sensors.md."""

import argparse
import ast
import sys
from pathlib import Path

from quaver.build import firmware_files, own_drivers
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.accelerometers import vibration_part
from quaver.emulator.sensors.ads131m02 import ADS131M02, wired
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.files.carried import payload
from quaver.plant.node import healthy_machine

BOARDS = {"rp2040:": "pico_w", "esp32_c3:": "esp32_c3"}
GUEST = Path(__file__).with_name("guest")
NEEDED = {"drdy_pin": 3, "sensitivity_mv_g": 100.0}


def rows(where: str) -> dict[str, dict[str, list[str]]]:
    """What the firmware's table of drivers says, and those beside it."""
    with open_board(where, Setup(files=files(where))) as board:
        found: dict[str, dict[str, list[str]]] = ast.literal_eval(board.exec((GUEST / "sensor_rows.py").read_text()))
    return found


def files(where: str) -> dict[str, bytes]:
    board = BOARDS[where]
    extra = own_drivers(payload("firmware", "extra"), board)
    return {path: data for path, data in {**firmware_files(board), **extra}.items() if path != "main.py"}


def rig(name: str, bus: str, at: str | int) -> tuple[Attached, ...]:
    if name == "ads131m02":
        return wired(ADS131M02(healthy_machine()), bus, at, int(NEEDED["drdy_pin"]))
    return (Attached(name, bus, at, vibration_part(name, healthy_machine())),)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="DRIVER", help="these alone")
    parser.add_argument("--board", choices=list(BOARDS), action="append", help="this alone")
    parser.add_argument("--samples", type=int, default=4096)
    arguments = parser.parse_args()
    lost_any = False
    print("| part | bus | samples/s | board | measured | samples lost |\n|---|---|---|---|---|---|", flush=True)
    for where in arguments.board or BOARDS:
        for name, row in sorted(rows(where).items()):
            if arguments.names and name not in arguments.names:
                continue
            if "drdy_pin" in row and where == "esp32_c3:":
                continue  # it has no interrupt at once
            for bus in row["bus"]:
                at = "spi0_cs" if bus.startswith("spi") else int(row["address"][0])
                given = {"driver": name, "bus": bus} | {key: NEEDED[key] for key, values in row.items() if not values}
                with open_board(where, Setup(files=files(where), rig=rig(name, bus, at))) as board:
                    code = f"settings = {{'vibration': {given}}}\n"
                    code += f"samples = {arguments.samples}\n" + (GUEST / "sensor_capture.py").read_text()
                    odr, rate, lost = ast.literal_eval(board.exec(code, timeout=600.0))
                lost_any = lost_any or lost > 0
                kind = "SPI" if bus.startswith("spi") else "I2C"
                print(f"| {name} | {kind} | {odr:,} | {BOARDS[where]} | {rate:,.1f} | {lost} |", flush=True)
    return int(lost_any)


if __name__ == "__main__":
    sys.exit(main())
