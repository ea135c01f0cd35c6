"""The process of the emulated Pico W: `python -m quaver.emulator.rp2040.process FD`. See `quaver.emulator.child`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from quaver.emulator.child import Child, load_rig, main
from quaver.emulator.child_lan import settled
from quaver.emulator.engine import Engine
from quaver.emulator.start import Start
from quaver.errors import BoardError

_RAM = 0x20000000  # RP2040 datasheet, 2.2
_SLOW = "quaver: no C compiler found: the emulated Pico W runs ten times slower than with one; install gcc or clang"


class PicoChild(Child):
    """The emulated Pico W and its line to the host."""

    def __init__(self, connection: Any, start: Start) -> None:
        from quaver.emulator.rp2040.burst import Bursts
        from quaver.emulator.rp2040.machine import Machine
        from quaver.emulator.rp2040.native import load_burst
        from quaver.emulator.rp2040.pio import PioGate
        from quaver.emulator.rp2040.spin import Spin

        super().__init__(connection)
        self.machine = Machine(
            Path(start.image),
            start.filesystem,
            filesystem_offset=start.filesystem_offset,
            rig=load_rig(start),
            broker_port=start.broker_port,
            identity=start.identity,
            fault=self.end,
        )
        self.rig = self.machine.rig
        if start.bluetooth:
            self.join_air()
        self.gate = PioGate(self.machine.mcu, lambda: self.engine.end_batch())
        spin = Spin(self.machine.mcu, self.gate.quiet)
        burst = load_burst()
        if burst is None and sys.stderr.isatty():
            print(_SLOW, file=sys.stderr)
        self._bursts = None if burst is None else Bursts(self.machine.mcu, self.gate, burst, spin)
        self.engine = Engine(
            self.machine.mcu,
            real_time=start.real_time,
            run_batch=self.gate.run if self._bursts is None else self._bursts.run,
            after_batch=self.carry,
            waiting=self.machine.network.waiting,
            resting=self.is_resting,
            turn=self.next_turn if start.turns else None,
            settle=settled if start.lan else None,
        )
        if start.lan:
            self.join_lan(self.machine.network)
        self.machine.console.on_device_connected = self.came_up

    def now(self) -> int:
        return int(self.machine.clock.nanos)

    def take_output(self) -> bytes:
        received = self.machine.console.received
        output = bytes(received)
        received.clear()
        return output

    def type(self, data: bytes) -> None:
        self.machine.console.type(data)

    def do_write(self, address: int, data: bytes) -> None:
        memory: memoryview = self.machine.mcu.sram
        at = address - _RAM
        if at < 0 or at + len(data) > len(memory):
            raise BoardError(f"{len(data)} bytes at {address:#x} are not in the RAM: take an address of the guest's")
        memory[at : at + len(data)] = data

    def do_states(self) -> dict[str, float]:
        if self._bursts is None:
            raise BoardError("states of power are counted where a C compiler is: install gcc or clang")
        asleep = self._bursts.light_sleep_ns / 1e9
        radio = self.machine.radio_on_ns() / 1e9
        return {"awake": self.now() / 1e9 - asleep, "light_sleep": asleep, "wifi": radio, **self.busy()}

    def do_cut(self, operation: int, torn: bool) -> int:
        return int(self.machine.power.arm(operation, torn))


if __name__ == "__main__":
    main(PicoChild)
