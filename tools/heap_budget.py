"""Prints where the firmware's heap goes, module by module, on an emulated board, against its budget.

On an ESP32-C3 machine code lies in ESP-IDF's heap, which is the second column.
"""

import argparse
import sys

from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.plant.node import Emulation, Plan, healthy_machine, standard_rig

NAMES = {"rp2040:": "pico_w", "esp32_c3:": "esp32_c3", "unix:": "unix"}
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
    "drivers.registers",
    "drivers.fifo",
    "drivers.tmp117",
    "drivers.modbus_meter",
    "dsp.tables",
    "dsp.fft",
    "dsp.kernels",
    "dsp.streams",
    "dsp.levels",
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
    "node.alarm_waveform",
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
try:
    import esp32
    def others():
        return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_EXEC))
except ImportError:
    def others():
        return 0
others()
gc.collect()
before = gc.mem_alloc(), others()
import {module}
gc.collect()
print(gc.mem_alloc() - before[0], before[1] - others())
"""
# Python's heap grows out of ESP-IDF's: once, before anything is measured.
GROW = """
import board as _board
from hal.chip import esp32 as _chip
_chip.hold_back(_board, False)()
"""

# What is free of ESP-IDF's heap, and its largest piece, in bytes; a node that is interrupted keeps its connections.
IDF_HEAP = """
import esp32
regions = esp32.idf_heap_info(esp32.HEAP_DATA)
print(sum(each[1] for each in regions), max(each[2] for each in regions))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", nargs="?", default="rp2040:", choices=list(NAMES))
    where = parser.parse_args().where
    spec = load_board(board := NAMES[where])
    files = dict(firmware_files(board))
    files.pop("main.py")
    total = idf = 0
    with open_board(where, Setup(files=files, rig=standard_rig(healthy_machine()))) as device:
        if spec.silicon.hal == "esp32":
            device.exec(GROW)
        if spec.silicon.in_place:
            device.exec(IN_PLACE)
        print(f"{'module':24}{'heap, bytes':>12}{'ESP-IDF' if spec.silicon.hal == 'esp32' else '':>12}")
        for name in MODULES:
            module = name.format(hal=spec.silicon.hal)
            used, machine_code = map(int, device.exec(IMPORT.format(module=module)).split())
            total += used
            idf += machine_code
            print(f"{module:24}{used:12,}{f'{machine_code:,}' if machine_code else '':>12}")
    with Emulation(Plan(board, healthy_machine())) as emulation:
        measured = [item.values for item in emulation.items(5) if emulation.measured(item)]
        free = [values["heap_free"] for values in measured if "heap_free" in values]  # other records are short
        others, piece = map(int, emulation.board.exec(IDF_HEAP).split()) if spec.idf_budget else (0, 0)
    print(f"{'all modules':24}{total:12,}{f'{idf:,}' if idf else '':>12}")
    print(f"{'free while running':24}{min(free):12,}  of {spec.heap:,}; budget: at least {spec.heap_budget:,}")
    if spec.idf_budget:
        print(f"{'ESP-IDF, free':24}{others:12,}  budget: at least {spec.idf_budget:,}")
        print(f"{'ESP-IDF, in one piece':24}{piece:12,}  budget: at least {spec.idf_piece_budget:,}")
    enough = min(free) >= spec.heap_budget and others >= spec.idf_budget and piece >= spec.idf_piece_budget
    whole = all(values.keys() >= {"rms_g", "temperature_c", "energy"} for values in measured)
    if not whole:
        print("a sensor found no memory, or failed: what is free is not that of a node with all of them")
    return 0 if enough and whole else 1


if __name__ == "__main__":
    sys.exit(main())
