"""What the process of an emulated chip does beside emulating: it speaks with the host, and ends with it.

It speaks pickled tuples over the socket whose number it is started with. In comes one `Start` first, then ("type",
bytes), ("call", id, verb, arguments), ("hci", packet), ("turn", ns, what came from a network in virtual time),
("left",) when a client has gone from the console; out go ("up",), ("out", bytes), ("reply", id, value or BoardError),
("hci", packet), ("quiet",) when the radio lost power, ("turn", now, what goes to that network) to ask for a turn of
virtual time, and ("down", line, trace) before it ends by itself. When the other end closes, for whatever reason, the
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
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from quaver.emulator.child_lan import ChipLan, Event
from quaver.emulator.engine import Engine
from quaver.emulator.start import Start
from quaver.errors import BoardError

if TYPE_CHECKING:
    from quaver.emulator.network import Network

_PARENT_POLL_S = 0.5
_PROMPTS = (b">>> ", b"\x04>")  # of MicroPython's REPL, and of its raw one after a program


class Child(ABC):
    """The emulated board and its line to the host. A subclass makes `engine` and `rig`, and answers the verbs."""

    engine: Engine
    machine: Any  # the emulated board: has `radio` and `reset`
    rig: dict[str, Any]

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._ended: str | None = None
        self._turn: asyncio.Future[int] | None = None
        self._up = False
        self._said_last = b""
        self._lan: ChipLan | None = None
        self._events: list[Event] = []

    @abstractmethod
    def now(self) -> int:
        """Virtual time in ns since power-on."""

    @abstractmethod
    def take_output(self) -> bytes:
        """What the console has said since the last call."""

    @abstractmethod
    def type(self, data: bytes) -> None: ...

    def left(self) -> None:  # noqa: B027 - not every chip cares
        """A client of the console has closed its connection."""

    def join_air(self) -> None:
        """Let the radio's HCI packets go to the host."""
        self.machine.radio.on_hci = lambda packet: self.say("hci", packet)
        self.machine.radio.on_power_off = lambda: self.say("quiet")

    def join_lan(self, network: Network) -> None:
        """Have the Wi-Fi's network be the host's, in virtual time."""
        self._lan = ChipLan(network, lambda: self.engine.ask())

    def do_reset(self) -> None:
        self.carry()
        self.machine.reset()

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

    def say(self, *message: object) -> None:
        """A message to the host."""
        self._connection.send(message)

    async def next_turn(self) -> int:
        """Ask the host's clock for the next turn; the nanoseconds of virtual time that it lasts."""
        self._turn = asyncio.get_running_loop().create_future()
        if self._lan is None:
            self.say("turn", self.now())
            return await self._turn
        commands, self._lan.commands = self._lan.commands, []
        self.say("turn", self.now(), commands)
        length = await self._turn
        events, self._events = self._events, []
        await self._lan.take(events)
        return length

    def came_up(self) -> None:
        """The guest's console is there."""
        if not self._up:
            self._up = True
            self.say("up")

    def carry(self) -> None:
        """Take to the host what the console said."""
        self.tell(self.take_output())

    def tell(self, output: bytes) -> None:
        """Say to the host what the console said."""
        if output:
            self._said_last = (self._said_last + output)[-4:]
            self.say("out", output)

    def is_resting(self) -> bool:
        """Whether the guest is at its prompt, and nobody has typed since."""
        return self._said_last.endswith(_PROMPTS)

    def _on_message(self) -> None:
        try:
            message = self._connection.recv()
        except (EOFError, OSError):
            self.engine.stop()
            self._go(0)
            return
        self.engine.call()
        if message[0] == "type":
            self._said_last = b""
            self.type(message[1])
        elif message[0] == "turn":
            self._events = message[2] if len(message) > 2 else []
            self._go(message[1])
        elif message[0] == "hci":
            self.machine.radio.send_hci(message[1])
        elif message[0] == "left":
            self.left()
        else:
            _, number, verb, arguments = message
            try:
                value = getattr(self, f"do_{verb}")(*arguments)
            except BoardError as error:
                value = error
            self.say("reply", number, value)

    def _go(self, turn_ns: int) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(turn_ns)

    def busy(self) -> dict[str, float]:
        """Seconds that each part which samples has run, by its name, and when it was last started."""
        found: dict[str, float] = {}
        for name, part in self.rig.items():
            if hasattr(part, "busy_ns"):
                found[f"sensor {name}"] = part.busy_ns(self.now()) / 1e9
                found[f"started {name}"] = part.started_ns() / 1e9
        return found

    def do_time(self) -> int:
        return self.now()

    def _part(self, name: str) -> Any:
        model = self.rig.get(name)
        if model is None:
            known = ", ".join(sorted(self.rig)) or "none"
            raise BoardError(f"sensor {name}: not on this board (there: {known}): use one of these names")
        return model

    def do_look(self, name: str, attribute: str) -> Any:
        model = self._part(name)
        if not hasattr(model, attribute):
            raise BoardError(f"sensor {name}: a {type(model).__name__} has no {attribute} to look at")
        return getattr(model, attribute)

    def do_sensor(self, name: str, changes: dict[str, object]) -> None:
        model = self._part(name)
        for attribute, value in changes.items():
            if not hasattr(model, attribute):
                raise BoardError(f"sensor {name}: a {type(model).__name__} has no {attribute} to set")
            setattr(model, attribute, value)


def load_rig(start: Start) -> tuple[Any, ...]:
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


def serve(child: Callable[[Any, Start], Child]) -> int:
    """The process's whole life; its exit code."""
    _end_with_parent()
    connection = Connection(int(sys.argv[1]))
    try:
        start: Start = connection.recv()
        sys.path[:] = start.sys_path
        ended = asyncio.run(child(connection, start).run())
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


def main(child: Callable[[Any, Start], Child]) -> None:
    """Serve, and end the process."""
    code = serve(child)
    sys.stdout.flush()
    os._exit(code)  # nothing here needs an orderly end, and an open connection's pump must not delay it
