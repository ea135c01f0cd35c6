"""The process of the emulated ESP32-C3: `python -m quaver.emulator.esp32c3.process FD`. See `quaver.emulator.child`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quaver.emulator.child import Child, load_rig, main
from quaver.emulator.child_lan import settled
from quaver.emulator.engine import Engine
from quaver.emulator.esp32c3.machine import Machine
from quaver.emulator.start import Start

_S_PER_TICK = 25 / 4 * 1e-9
_QUIET_NS = 1_000_000_000  # by then a program that says nothing runs, too: the prompt is there after 0.2 s


class C3Child(Child):
    """The emulated ESP32-C3 and its line to the host."""

    machine: Machine

    def __init__(self, connection: Any, start: Start) -> None:
        super().__init__(connection)
        self.machine = Machine(
            Path(start.image),
            start.filesystem,
            filesystem_offset=start.filesystem_offset,
            rig=load_rig(start),
            broker_port=start.broker_port,
            identity=start.identity,
        )
        self.rig = {"wifi": self.machine.radio.wifi, **self.machine.rig}
        if start.bluetooth:
            self.join_air()
        self.engine = Engine(
            self.machine,
            real_time=start.real_time,
            run_batch=self.machine.run_batch,
            after_batch=self._after_batch,
            waiting=self.machine.radio.network.waiting,
            resting=self.is_resting,
            turn=self.next_turn if start.turns else None,
            settle=settled if start.lan else None,
        )
        if start.lan:
            self.join_lan(self.machine.radio.network)

    def _after_batch(self) -> None:
        fault = self.machine.chip.fault()
        self.carry()
        if fault is not None:
            self.end(fault)

    def carry(self) -> None:
        output = self.take_output()
        self.tell(output)
        if output or (self.now() > _QUIET_NS and self.machine.listens()):
            self.came_up()

    def now(self) -> int:
        return self.machine.chip.nanos

    def take_output(self) -> bytes:
        return self.machine.take_output()

    def type(self, data: bytes) -> None:
        self.machine.type(data)

    def left(self) -> None:
        self.machine.left()

    def do_write(self, address: int, data: bytes) -> None:
        self.machine.chip.write(address, data)

    def do_read(self, address: int, size: int) -> bytes:
        return self.machine.chip.read(address, size)

    def do_flash(self, offset: int, size: int) -> bytes:
        return self.machine.chip.read_flash(offset, size)

    def do_download(self) -> None:
        self.machine.download()

    def do_cut(self, operation: int, torn: bool) -> int:
        return self.machine.chip.cut(operation, torn)

    def do_count(self, which: int) -> int:
        return self.machine.chip.count(which)

    def do_states(self) -> dict[str, float]:
        idle, light, deep, woke, before = (self.machine.chip.count(which) * _S_PER_TICK for which in (1, 4, 5, 6, 7))
        idle -= light + deep
        awake = self.now() / 1e9 - idle - light - deep
        states = {
            "awake": awake,
            "idle": idle,
            "light_sleep": light,
            "deep_sleep": deep,
            "woke": woke,
            "woke before": before,
            "wifi": self.machine.radio.wifi_on_ns() / 1e9,
        }
        return {**states, **self.busy()}

    def do_adc(self, channel: int, value: int) -> None:
        self.machine.chip.set_adc(channel, value)

    def do_drive(self, pin: int, level: bool) -> None:
        self.machine.chip.drive(pin, level)

    def do_sensor(self, name: str, changes: dict[str, object]) -> None:
        super().do_sensor(name, changes)
        if name == "wifi":
            self.machine.radio.changed()


if __name__ == "__main__":
    main(C3Child)
