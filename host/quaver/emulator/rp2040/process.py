"""The emulator's process: `python -m quaver.emulator.rp2040.process FD`, started by `board` and ended with it.

It speaks pickled tuples over the socket FD. In comes one `Start` first, then ("type", bytes), ("call", id,
verb, arguments), ("hci", packet), ("turn", ns); out go ("up",), ("out", bytes), ("reply", id, value or
BoardError), ("hci", packet), ("quiet",) when the radio lost power, ("turn", now) to ask for a turn of virtual
time, and ("down", line, trace) before it ends by itself. When the other end closes, for whatever reason, the
process ends.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from quaver.emulator.rp2040.start import Start
from quaver.errors import BoardError

_PARENT_POLL_S = 0.5
_RAM = 0x20000000  # RP2040 datasheet, 2.2
_SLOW = "quaver: no C compiler found: the emulated Pico W runs ten times slower than with one; install gcc or clang"


class Child:
    """The emulated board and its line to the host."""

    def __init__(self, connection: Any, start: Start) -> None:
        from quaver.emulator.rp2040.burst import Bursts
        from quaver.emulator.rp2040.engine import Engine
        from quaver.emulator.rp2040.machine import Machine
        from quaver.emulator.rp2040.native import load_burst
        from quaver.emulator.rp2040.pio import PioGate
        from quaver.emulator.rp2040.spin import Spin

        self._connection = connection
        self._ended: str | None = None
        self.machine = Machine(
            Path(start.image),
            start.filesystem,
            start.filesystem_offset,
            _load_rig(start),
            start.broker_port,
            start.identity,
            self.end,
        )
        if start.bluetooth:
            self.machine.radio.on_hci = lambda packet: connection.send(("hci", packet))
            self.machine.radio.on_power_off = lambda: connection.send(("quiet",))
        self._turn: asyncio.Future[int] | None = None
        self.gate = PioGate(self.machine.mcu, lambda: self.engine.end_batch())
        Spin(self.machine.mcu, self.gate.quiet)
        burst = load_burst()
        if burst is None and sys.stderr.isatty():
            print(_SLOW, file=sys.stderr)
        self.engine = Engine(
            self.machine.mcu,
            real_time=start.real_time,
            run_batch=self.gate.run if burst is None else Bursts(self.machine.mcu, self.gate, burst).run,
            after_batch=self._carry,
            waiting=self.machine.network.waiting,
            turn=self._next_turn if start.turns else None,
        )
        self.machine.console.on_device_connected = self._on_connected
        self._up = False

    async def run(self) -> str | None:
        """Until the host closes the line (None) or the guest can't go on (one line)."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._connection.fileno(), self._on_message)
        gc.collect()
        gc.freeze()
        await self.engine.run()
        return self._ended

    def end(self, line: str) -> None:
        self._ended = line
        self.engine.stop()

    async def _next_turn(self) -> int:
        """Ask the host's clock for the next turn; the nanoseconds of virtual time that it lasts."""
        self._turn = asyncio.get_running_loop().create_future()
        self._connection.send(("turn", int(self.machine.clock.nanos)))
        return await self._turn

    def _on_connected(self) -> None:
        if not self._up:
            self._up = True
            self._connection.send(("up",))

    def _carry(self) -> None:
        received = self.machine.console.received
        if received:
            self._connection.send(("out", bytes(received)))
            received.clear()

    def _on_message(self) -> None:
        try:
            message = self._connection.recv()
        except (EOFError, OSError):
            self.engine.stop()
            self._go(0)
            return
        if message[0] == "type":
            self.machine.console.type(message[1])
        elif message[0] == "turn":
            self._go(message[1])
        elif message[0] == "hci":
            self.machine.radio.send_hci(message[1])
        else:
            _, number, verb, arguments = message
            try:
                value = getattr(self, f"_do_{verb}")(*arguments)
            except BoardError as error:
                value = error
            self._connection.send(("reply", number, value))

    def _go(self, turn_ns: int) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(turn_ns)

    def _do_time(self) -> int:
        return int(self.machine.clock.nanos)

    def _do_reset(self) -> None:
        self._carry()
        self.machine.reset()

    def _do_write(self, address: int, data: bytes) -> None:
        memory: memoryview = self.machine.mcu.sram
        at = address - _RAM
        if at < 0 or at + len(data) > len(memory):
            raise BoardError(f"{len(data)} bytes at {address:#x} are not in the RAM: take an address of the guest's")
        memory[at : at + len(data)] = data

    def _do_cut(self, operation: int, torn: bool) -> None:
        self.machine.power.arm(operation, torn)

    def _do_sensor(self, name: str, changes: dict[str, object]) -> None:
        model = self.machine.rig.get(name)
        if model is None:
            known = ", ".join(sorted(self.machine.rig)) or "none"
            raise BoardError(f"sensor {name}: not on this board (there: {known}): use one of these names")
        for attribute, value in changes.items():
            if not hasattr(model, attribute):
                raise BoardError(f"sensor {name}: a {type(model).__name__} has no {attribute} to set")
            setattr(model, attribute, value)


def _load_rig(start: Start) -> tuple[Any, ...]:
    try:
        rig: tuple[Any, ...] = pickle.loads(start.rig)  # noqa: S301 - from our own parent
    except (ImportError, AttributeError) as error:
        raise BoardError(
            f"the emulator can't load a sensor model ({error}): define its class in a module, not in a script"
        ) from error
    return rig


def _end_with_parent() -> None:
    """End this process when its parent is gone, even where the line is still held open by another process.

    A thread that looks, and not PR_SET_PDEATHSIG: that signal comes when the *thread* that started the process
    ends, and boards are started from threads that do.
    """
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_S)
        os._exit(1)

    threading.Thread(target=look, name="parent", daemon=True).start()


def main() -> int:
    _end_with_parent()
    connection = Connection(int(sys.argv[1]))
    try:
        start: Start = connection.recv()
        sys.path[:] = start.sys_path
        ended = asyncio.run(Child(connection, start).run())
        if ended is not None:
            connection.send(("down", ended, ""))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0  # the host is gone: there's nobody to tell
    except BoardError as error:
        connection.send(("down", str(error), ""))
        return 1
    except Exception as error:  # told to the host in one line, with the trace for --debug
        line = f"the emulator failed ({type(error).__name__}: {error}): see the trace with --debug"
        connection.send(("down", line, traceback.format_exc()))
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # nothing here needs an orderly end, and an open connection's pump must not delay it
