"""Prints what each accelerometer loses at its highest rate, on each bus of each emulated board: docs/sensors.md."""

import argparse
import ast
import sys
from pathlib import Path

from quaver.build import firmware_files
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.accelerometers import vibration_part
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.plant.node import healthy_machine

BOARDS = {"rp2040:": "pico_w", "esp32_c3:": "esp32_c3"}
GUEST = Path(__file__).with_name("guest")


def rows(where: str) -> dict[str, dict[str, list[str]]]:
    """What the firmware's table of drivers says."""
    with open_board(where, Setup(files=files(where))) as board:
        found: dict[str, dict[str, list[str]]] = ast.literal_eval(board.exec((GUEST / "sensor_rows.py").read_text()))
    return found


def files(where: str) -> dict[str, bytes]:
    return {path: data for path, data in firmware_files(BOARDS[where]).items() if path != "main.py"}


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
            for bus in row["bus"]:
                at = "spi0_cs" if bus.startswith("spi") else int(row["address"][0])
                rig = (Attached(name, bus, at, vibration_part(name, healthy_machine())),)
                with open_board(where, Setup(files=files(where), rig=rig)) as board:
                    code = f"settings = {{'vibration': {{'driver': {name!r}, 'bus': {bus!r}}}}}\n"
                    code += f"samples = {arguments.samples}\n" + (GUEST / "sensor_capture.py").read_text()
                    odr, rate, lost = ast.literal_eval(board.exec(code, timeout=600.0))
                lost_any = lost_any or lost > 0
                kind = "SPI" if bus.startswith("spi") else "I2C"
                print(f"| {name} | {kind} | {odr:,} | {BOARDS[where]} | {rate:,.1f} | {lost} |", flush=True)
    return int(lost_any)


if __name__ == "__main__":
    sys.exit(main())
