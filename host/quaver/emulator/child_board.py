"""The host's side of an emulated chip: a `Board` that starts the emulator's process and talks to it."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.board.image import fetch_image
from quaver.board.repl import ConsoleBoard
from quaver.board.spec import load_board
from quaver.build import board_image
from quaver.emulator.bus import Attached, placed
from quaver.emulator.child_lan import ChipPort, Command
from quaver.emulator.clock import FOREVER, Clock
from quaver.emulator.identity import Identity, next_name
from quaver.emulator.setup import Setup
from quaver.emulator.start import Start
from quaver.errors import BoardError
from quaver.files.pinned import Progress

if TYPE_CHECKING:
    from quaver.emulator.radio.air import Station

_BOOT_S = 30.0  # real time until the guest's USB port must have come up; it takes about half a second
_CALL_S = 10.0
_END_S = 2.0
# How far the board may run ahead of others on its clock: also how late or early the radio finds it. Shorter than
# the shortest connection interval (7.5 ms), long enough that asking for turns costs little.
_TURN_NS = 2_500_000
_LONGEST_TURN_NS = 1_000_000_000  # of a board in a network of virtual time


class ChildBoard(ConsoleBoard):
    """A board whose chip runs in a process of its own. A subclass says where, board, title, module, and `flash`.

    title: of the board, in messages. module: what runs in the process (see `child`). Raises BoardError,
    ArtifactError, BuildError.
    """

    board = ""
    title = ""
    module = ""

    def __init__(self, setup: Setup | None = None, progress: Progress | None = None) -> None:
        setup = setup or Setup()
        spec = load_board(self.board)
        if setup.image is not None and setup.files:
            raise BoardError(f"{setup.image} is a whole flash: leave the files out, it has its own")
        given = setup.image or setup.official
        image = given or fetch_image(spec, progress)
        self.check_image(image, given=given is not None)
        self.name = setup.name or next_name(self.board)
        self.identity = setup.identity or self.identity_of(self.name)
        air = setup.air
        real_time = setup.real_time or (air is not None and air.clock.real_time)
        start = Start(
            sys_path=list(sys.path),
            image=str(image),
            filesystem=board_image(spec, setup.files) if setup.files else b"",
            filesystem_offset=spec.flash.filesystem_offset,
            rig=_pickled(placed(setup.rig, spec.pins)),
            broker_port=setup.broker_port,
            real_time=real_time,
            identity=self.identity,
            bluetooth=air is not None,
            turns=(air is not None or setup.lan is not None) and not real_time,
            lan=setup.lan is not None,
        )
        self._numbers = itertools.count()
        self._replies: dict[int, queue.SimpleQueue[Any]] = {}
        self._sending = threading.Lock()
        self._up = threading.Event()
        self._down: str | None = None
        self._trace = ""
        self._process, self._line, self._connection = _spawn(self.module)
        super().__init__(self._type)
        self._station: Station | None = None
        self._turns: _Turns | None = None
        self._lan = ChipPort(setup.lan, self.name) if setup.lan is not None else None
        if air is not None and self._lan is not None:
            raise BoardError(f"{self.name}: an emulated {self.title} has an air or a network in virtual time, not both")
        try:
            if air is not None:
                self._station = air.station(self.name, self.identity.ble_address, self._from_air)
                self._turns = _Turns(air.clock, self.name, self._grant)
            if setup.lan is not None and self._lan is not None:
                self._turns = _LanTurns(setup.lan.clock, self.name, self._grant, self._lan)
        except BaseException:
            self._line.close()
            self._connection.close()
            self._process.wait()
            raise
        self._reader = threading.Thread(target=self._read, name=self.board, daemon=True)
        self._reader.start()
        try:
            self._send(start)
            while self._lan is None and not self._up.wait(_BOOT_S):
                if self._turns is None or not self._turns.moved():  # others on its clock may be what holds it up
                    self._down = f"the {self.title}'s image did not start within {_BOOT_S:.0f} s: check {image}"
                    break
            if self._down is not None:
                raise BoardError(self._down)
        except BaseException:
            self.stop()
            raise

    def check_image(self, image: Path, given: bool) -> None:
        """Refuse an image that the chip can't run. given: by the setup, instead of the official one."""

    def identity_of(self, name: str) -> Identity:
        return Identity.of(name)

    def reset(self, run: bool = True) -> None:
        self._call("reset")
        if not run:
            with self._using_repl() as repl:
                repl.interrupt()

    def cut_power(self, operation: int, torn: bool, cut: Callable[[], None] | None = None) -> int:
        """Let the power fail at the operation-th flash operation from now, 1 for the next, and come back at once.

        An operation is a page programmed or a sector erased. torn: half of it is done; else nothing of it. Takes the
        place of an earlier call, and returns how many operations that one still waited for: 0 when it has happened.
        operation: 0 for no cut. cut: of boards whose power stays away, and not called here.
        """
        left: int = self._call("cut", operation, torn)
        return left

    def set_sensor(self, name: str, **changes: object) -> None:
        self._call("sensor", name, changes)

    def sensor(self, name: str, attribute: str) -> Any:
        return self._call("look", name, attribute)

    def reach(self, there: bool) -> None:
        """Whether the network in virtual time carries its packets."""
        if self._lan is not None:
            self._lan.reachable = there

    def power(self, on: bool) -> None:
        """In the network's thread, of a board in a network of virtual time: cut the power now, or give it back."""
        assert isinstance(self._turns, _LanTurns)
        if on:
            self._call("reset")
        self._turns.power(on)

    def write_memory(self, address: int, data: bytes) -> None:
        """Put `data` into the guest's RAM, as a debug probe does; it takes the guest no time. Raises BoardError."""
        self._call("write", address, data)

    def states(self) -> dict[str, float]:
        """Seconds since power-on in each state of power: "awake", "idle", "light_sleep", "deep_sleep", as far as the
        chip has them; "wifi", with its Wi-Fi on (of a Pico W, its radio); of each part that samples, "sensor NAME",
        and when it last began, "started NAME"; "woke" and "woke before": when the last deep sleep ended, and the one
        before.

        Raises BoardError.
        """
        value: dict[str, float] = self._call("states")
        return value

    def virtual_time_ns(self) -> int:
        """The board's virtual time in nanoseconds since power-on; resets don't set it back."""
        value: int = self._call("time")
        return value

    def alive(self) -> str | None:
        return self._down

    def trace(self) -> str:
        """The emulator's own traceback after it failed, for `--debug`; empty otherwise."""
        return self._trace

    def stop(self) -> None:
        """End the emulator; the board can't be used afterwards. May be called twice."""
        self._down = self._down or "the board was stopped: open it again"
        if self._turns is not None:
            self._turns.stop()
        if self._station is not None:
            self._station.close()
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)  # a close alone is not seen while the reader waits on it
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_END_S)
        self._connection.close()
        self._line.close()
        self._console.close()

    def _client_left(self) -> None:
        with contextlib.suppress(BoardError):
            self._send(("left",))

    def _from_air(self, packet: bytes) -> None:
        with contextlib.suppress(BoardError):
            self._send(("hci", packet))

    def _grant(self, turn_ns: int, *events: object) -> None:
        with contextlib.suppress(BoardError):
            self._send(("turn", turn_ns, *events))

    def _type(self, data: bytes) -> None:
        with contextlib.suppress(BoardError):  # who asks for an answer hears of it by `_check`
            self._send(("type", data))

    def _send(self, message: object) -> None:
        try:
            with self._sending:
                self._connection.send(message)
        except (OSError, ValueError):
            self._check()
            raise BoardError(_ENDED) from None

    def _call(self, verb: str, *arguments: object) -> Any:
        self._check()
        number = next(self._numbers)
        reply = self._replies[number] = queue.SimpleQueue()
        try:
            self._send(("call", number, verb, arguments))
            value = reply.get(timeout=_CALL_S)
        except queue.Empty:
            self._check()
            raise BoardError(f"the emulator did not answer within {_CALL_S:.0f} s: stop the board") from None
        finally:
            del self._replies[number]
        self._check()
        if isinstance(value, BoardError):
            raise value
        return value

    def _read(self) -> None:
        """In a thread: what the child says, until it ends."""
        try:
            while True:
                message = self._connection.recv()
                if message[0] == "out":
                    self._console.feed(message[1])
                elif message[0] == "turn":
                    if self._turns is not None:
                        self._turns.ask(*message[1:])
                elif message[0] == "hci":
                    if self._station is not None:
                        self._station.send(message[1])
                elif message[0] == "quiet":
                    if self._station is not None:
                        self._station.quiet()
                elif message[0] == "up":
                    self._up.set()
                elif message[0] == "reply":
                    reply = self._replies.get(message[1])
                    if reply is not None:
                        reply.put(message[2])
                else:
                    self._down, self._trace = message[1], message[2]
        except (EOFError, OSError):
            pass
        if self._down is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
            self._down = _ended(self._process.returncode)
        if self._turns is not None:
            self._turns.stop()  # or everybody else on its clock would wait for it
        self._up.set()
        self._console.close()  # so that nobody waits for a word of a board that is gone
        for reply in list(self._replies.values()):
            reply.put(None)


class _Turns:
    """The board's place in a clock that it shares: a thread that waits there and hands out turns.

    grant: called with the length of each turn, ns of virtual time.
    """

    def __init__(self, clock: Clock, name: str, grant: Callable[..., None], slack: int = _TURN_NS) -> None:
        self._clock = clock
        self._grant = grant
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._member = clock.join(name, slack=slack)
        self._began = self._member.now  # the board's own time starts at 0
        self._seen = self._member.now
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"turns of {name}", daemon=True)
        self._thread.start()

    def ask(self, now: int) -> None:
        """The board has come to `now` of its own time."""
        self._asked.put(now)

    def moved(self) -> bool:
        """Whether the board got anywhere since the last call."""
        seen, self._seen = self._seen, self._member.now
        return self._member.now != seen

    def stop(self) -> None:
        self._stopped = True
        self._clock.leave(self._member)
        self._clock.cancel(self._member)
        self._member.wake()
        self._asked.put(None)

    def _run(self) -> None:
        while (now := self._asked.get()) is not None and not self._stopped:
            self._clock.wait_until(self._member, self._began + now)
            self._grant(_TURN_NS)


class _LanTurns(_Turns):
    """For a board whose network is in virtual time: a turn lasts until somebody else does something."""

    def __init__(self, clock: Clock, name: str, grant: Callable[..., None], port: ChipPort) -> None:
        self._port = port
        self._dark = False
        super().__init__(clock, name, grant, slack=0)

    def ask(self, now: int, commands: list[Command]) -> None:  # type: ignore[override]
        self._asked.put((now, commands))

    def power(self, on: bool) -> None:
        if not on:
            self._dark = True
            self._port.power_off()
        else:
            self._dark = False
            # Not a cancel: the board would run beside the network's thread, and its first turn be as long as that is
            # through with this moment or not.
            self._clock.hasten(self._member)
            self._member.wake()

    def _run(self) -> None:
        self._clock.live(self._member)
        clock, member = self._clock, self._member
        while (asked := self._asked.get()) is not None and not self._stopped:
            now, commands = asked
            clock.wait_until(member, self._began + now)
            if self._dark:
                while self._dark and not self._stopped:
                    clock.wait_until(member, FOREVER)
                self._began = member.now - now
            elif commands:
                self._port.do(commands)
                clock.wait_until(member, member.now)  # the network has taken them
            events = self._port.events()
            self._grant(max(1, min(clock.horizon(member) - member.now, _LONGEST_TURN_NS)), events)


_ENDED = "the emulator has ended: open the board again"


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the emulator was ended by {name}: open the board again"
    return f"the emulator ended with exit code {code}: open the board again"


def _pickled(rig: tuple[Attached, ...]) -> bytes:
    try:
        return pickle.dumps(rig)
    except Exception as error:  # whatever a model's own __reduce__ raises
        raise BoardError(
            f"a sensor model can't be sent to the emulator's process ({error}): keep what it holds picklable"
        ) from error


def _spawn(module: str) -> tuple[subprocess.Popen[bytes], socket.socket, Any]:
    """The child, in a session of its own (Ctrl-C is for the host alone), and the line to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env={"OPENBLAS_NUM_THREADS": "1", **os.environ},  # more would only spin: a model multiplies no matrices
        )
    return process, ours, Connection(os.dup(ours.fileno()))
