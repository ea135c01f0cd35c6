"""Prints where the firmware's heap goes, module by module, on the emulated Pico W (or `unix:`), against its budget."""

import argparse
import sys

from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.messages.record import Record
from quaver.plant.node import Emulation, Plan, healthy_machine, standard_rig

MODULES = (
    "asyncio",
    "quaver_wire.fields",
    "quaver_wire.primitives",
    "quaver_wire.cbor",
    "quaver_wire.cose",
    "umqtt.simple2",
    "links.wifi",
    "links.mqtt",
    "hal.chip.{hal}",
    "drivers.iis3dwb",
    "drivers.tmp117",
    "drivers.sdm120",
    "dsp.tables",
    "dsp.fft",
    "dsp.kernels",
    "dsp.streams",
    "dsp.lines",
    "dsp.measurement",
    "dsp.alarm",
    "dsp.baseline",
    "dsp.diagnosis",
    "dsp.unpack",
    "dsp.engine",
    "node.entry",
    "node.state",
    "node.journal",
    "node.outbox",
    "node.record",
    "node.seal",
    "node.capture",
    "node.condition",
    "node.measure",
    "node.vibration",
    "build.config",
    "node.publish",
    "node.start",
    "build.node",
)

# As main.py has it: what is read is then used in flash.
IN_PLACE = """
import board, gc
from hal.chip import in_place
in_place.begin(board)
"""
IMPORT = """
import gc
gc.collect()
before = gc.mem_free()
import {module}
gc.collect()
print(before - gc.mem_free())
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", nargs="?", default="rp2040:", choices=["rp2040:", "unix:"])
    where = parser.parse_args().where
    board = {"rp2040:": "pico_w", "unix:": "unix"}[where]
    spec = load_board(board)
    files = dict(firmware_files(board))
    files.pop("main.py")
    total = 0
    with open_board(where, Setup(files=files, rig=standard_rig(healthy_machine()))) as device:
        if spec.silicon.in_place:
            device.exec(IN_PLACE)
        print(f"{'module':24}{'heap, bytes':>12}")
        for name in MODULES:
            module = name.format(hal={"rp2040:": "rp2", "unix:": "unix"}[where])
            used = int(device.exec(IMPORT.format(module=module)))
            total += used
            print(f"{module:24}{used:12,}")
    with Emulation(Plan(board, healthy_machine())) as emulation:
        free = [
            item.values["heap_free"]
            for item in emulation.items(5)
            if isinstance(item, Record) and item.kind == "telemetry"
        ]
    print(f"{'all modules':24}{total:12,}")
    print(f"{'free while running':24}{min(free):12,}  of {spec.heap:,}; budget: at least {spec.heap_budget:,}")
    return 0 if min(free) >= spec.heap_budget else 1


if __name__ == "__main__":
    sys.exit(main())
