"""Boots the official image, types a program, and prints the state of the chip each half millisecond of virtual time.

`python rp2040_lockstep.py plain|bursts`: by rp2040py's own loop, or in bursts. A process of its own, as one process
emulates one board.
"""

import sys
import zlib
from types import SimpleNamespace
from typing import Any

from quaver.board.image import fetch_image
from quaver.board.spec import load_board
from quaver.emulator.identity import Identity
from quaver.emulator.rp2040.burst import Bursts
from quaver.emulator.rp2040.machine import Machine
from quaver.emulator.rp2040.native import load_burst
from quaver.emulator.rp2040.pio import PioGate
from quaver.emulator.rp2040.spin import Spin

STEP_NS = 500_000.0
PROGRAM = (
    sys.argv[2]
    if len(sys.argv) > 2
    else (
        "import time; s = sum(range(201)); f = sum(i / 7 for i in range(99)); d = {i: str(i) for i in range(50)}\r\n"
        "import machine; machine.SPI(0).write(d[49]); time.sleep_ms(20); "
        "print('told:', s, f, hash(str(d)), 10**30 // 77, time.ticks_us())\r\n"
    )
)


def main() -> None:
    board = load_board("pico_w")
    crashes: list[str] = []
    machine = Machine(fetch_image(board), b"", 0, (), None, Identity.of("lockstep"), crashes.append)
    mcu: Any = machine.mcu
    batch = SimpleNamespace(rp2040=mcu, clock=mcu.clock, stopped=False)
    alarm = mcu.clock.create_alarm(lambda: setattr(batch, "stopped", True))
    stopped: list[bool] = []
    gate = PioGate(mcu, lambda: setattr(batch, "stopped", True))
    spin = Spin(mcu, gate.quiet)
    run = gate.run
    if sys.argv[1] == "bursts":
        burst = load_burst()
        assert burst is not None
        run = Bursts(mcu, gate, burst, spin).run
    machine.console.on_device_connected = lambda: machine.console.type(PROGRAM.encode())
    said = bytearray()
    core = mcu.core
    while not said.endswith(b">>> ") or b"\ntold:" not in said:
        stopped.clear()
        arrived = mcu.clock.create_alarm(lambda: stopped.append(True))
        arrived.schedule(STEP_NS)
        alarm.schedule(STEP_NS)
        while not stopped:
            batch.stopped = False
            run(batch)
        said += machine.console.received
        machine.console.received.clear()
        print(hex(core.apsr), *map(hex, core.registers), core.cycles, mcu.clock.nanos, zlib.crc32(mcu.sram))
    assert not crashes
    print(said.decode().splitlines()[-2])


main()
