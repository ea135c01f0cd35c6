"""The raw REPL of any board, over mpremote's own transport; and the boards that are real.

`Repl` runs code and moves files through an address, whatever kind of board is behind it; `ConsoleBoard` is what all
boards do with it. `SerialBoard` is a board that somebody else started: one on a serial port or pty, or a console
behind TCP.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from quaver.emulator.console import Console
from quaver.errors import BoardError
from quaver.failures import KnownFailure

if TYPE_CHECKING:
    from quaver.emulator.board import Setup

_BAUDRATE = 115200
_CHUNK = 2048  # bytes of a file in one exec
_BANNER = b"raw REPL; CTRL-B to exit\r\n"


class DeviceError(BoardError):
    """The code that ran on the board raised; `traceback` is the board's own, `output` what it printed before."""

    def __init__(self, output: str, traceback: str) -> None:
        lines = traceback.strip().splitlines() or ["an exception without a word"]
        super().__init__(f"the board's code raised {lines[-1].strip()}: read the board's traceback and mend the code")
        self.output = output
        self.traceback = traceback
        self.add_note(traceback)


def failed_with(error: DeviceError) -> int | None:
    """The errno of an OSError that the board's code raised; None for another exception."""
    found = re.search(r"OSError: (?:\[Errno )?(\d+)\b[^\n]*$", error.traceback.strip())
    return int(found[1]) if found else None


class _Line:
    """What SerialTransport uses of pyserial's port, over a plain socket and without its 10 ms naps."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("socket://").rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.timeout = 10.0  # seconds that `read` waits for a byte

    def fill(self, timeout: float) -> bool:
        """Read what comes within `timeout` seconds into the buffer; False when nothing did."""
        self._socket.settimeout(timeout if timeout > 0 else 0)
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, TimeoutError):
            return False
        if not data:
            raise TransportError("the console closed the connection")
        self.buffer += data
        return True

    def read(self, count: int = 1) -> bytes:
        while len(self.buffer) < count:
            if not self.fill(self.timeout):
                break
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def write(self, data: bytes) -> None:
        self._socket.settimeout(10)
        self._socket.sendall(data)

    def inWaiting(self) -> int:
        if not self.buffer:
            self.fill(0)
        return len(self.buffer)

    def close(self) -> None:
        self._socket.close()


class _Transport(SerialTransport):  # type: ignore[misc]
    """SerialTransport on a `_Line`: the same protocol, read in chunks, and patient with a board that boots."""

    def __init__(self, address: str) -> None:
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = address
        self.mounted = False
        self.is_pty = False
        self.serial: _Line = _Line(address)

    def close(self) -> None:
        self.serial.close()

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float | None = 10,
        data_consumer: Callable[[bytes], None] | None = None,
        timeout_overall: float | None = None,
    ) -> bytes:
        line = self.serial
        began = heard = time.monotonic()
        taken = b""
        searched = 0  # bytes of the buffer where the ending does not begin
        while True:
            at = line.buffer.find(ending, searched)
            searched = max(0, len(line.buffer) - len(ending) + 1)
            if at >= 0:
                end = at + len(ending)
            elif data_consumer:
                end = len(line.buffer)
            else:
                end = 0
            data = bytes(line.buffer[:end])
            del line.buffer[:end]
            if data_consumer and data:
                data_consumer(data)
                taken = data
                searched = 0
            if at >= 0:
                return data
            now = time.monotonic()
            pauses = [limit for limit in (timeout, timeout_overall) if limit is not None]
            left = min((heard + timeout - now) if timeout is not None else 60.0, 60.0)
            if timeout_overall is not None:
                left = min(left, began + timeout_overall - now)
            if pauses and left <= 0:
                return taken
            if line.fill(left):
                heard = time.monotonic()

    def enter_raw_repl(self, soft_reset: bool = False, timeout_overall: float = 10) -> None:
        """Interrupt what runs and get the raw prompt, asking again while the board is too busy to hear."""
        deadline = time.monotonic() + timeout_overall
        pause = 0.5
        asked = 0
        while (left := deadline - time.monotonic()) > 0:
            self.serial.write(b"\r\x03")
            while self.serial.inWaiting():
                self.serial.read(self.serial.inWaiting())
            self.serial.write(b"\r\x01")
            asked += 1
            if self.read_until(1, _BANNER, timeout=None, timeout_overall=min(pause, left)).endswith(_BANNER):
                if asked > 1:  # each asking is answered, late or not: let the rest go by, keep one prompt
                    while self.serial.fill(0.3):
                        pass
                    self.serial.buffer[:] = b">"
                self.in_raw_repl = True
                return
            pause *= 2
        raise TransportError("it did not give a prompt")

    def exec_raw_no_follow(self, command: str | bytes) -> None:
        """As SerialTransport's, but a board that declines raw paste gets the code in one piece.

        Only an emulated board declines it, and its console takes any length.
        """
        if not self.use_raw_paste:
            super().exec_raw_no_follow(command)
            return
        if not self.read_until(1, b">").endswith(b">"):
            raise TransportError("it gave no raw prompt")
        self.serial.write(b"\x05A\x01")
        answer = self.serial.read(2)
        data = command if isinstance(command, bytes) else command.encode()
        if answer == b"R\x01":
            self.raw_paste_write(data)
        elif answer == b"R\x00":
            self.serial.write(data + b"\x04")
            if (answer := self.serial.read(2)) != b"OK":
                raise TransportError(f"it answered {answer!r} to a command")
        else:
            raise TransportError(f"it answered {answer!r} to a raw paste")


_ACKNOWLEDGE = b"\x06"
# Deaf to Ctrl-C from here on, with time for the acknowledgement to leave before USB goes down.
_RESET = """
import machine, micropython, time
_going_down = True
micropython.kbd_intr(-1)
print(end='\\x06')
time.sleep_ms(50)
machine.reset()
"""
_IS_FRESH = "print('_going_down' not in globals())"
_GOING_DOWN_S = 0.25  # the wait in _RESET, and room for a slow line
_RESET_TRIES = 3
_RETURN_S = 10.0  # a port of the chip's own USB is back within seconds of a reset


class Exec(Protocol):
    """Runs code on a board; see `Repl.exec`."""

    def __call__(self, code: str, timeout: float = 30.0) -> str: ...


class Repl:
    """Runs code and moves files over a console's address ("socket://127.0.0.1:4321").

    port: of a board that somebody else started, as that person calls it.
    """

    def __init__(self, address: str, port: str | None = None) -> None:
        self._address = address
        self._port = port
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def session(self, timeout: float = 10.0) -> Iterator[Any]:
        """A SerialTransport in the raw REPL; the board is back at its friendly prompt afterwards.

        timeout: seconds until the board must have given its prompt. Raises BoardError.
        """
        with self._lock, self._spoken():
            try:
                transport = _Transport(self._address)
            except OSError as error:
                raise BoardError(
                    f"the console at {self._address} can't be reached ({error.strerror or error}): "
                    "check that the board runs"
                ) from None
            try:
                self._enter(transport, timeout)
                try:
                    yield transport
                finally:
                    with contextlib.suppress(TransportError, OSError):
                        transport.exit_raw_repl()
                        transport.read_until(1, b">>> ", timeout=2)
            finally:
                transport.close()

    def _enter(self, transport: _Transport, timeout: float = 10.0) -> None:
        try:
            transport.enter_raw_repl(timeout_overall=timeout)
        except TransportError:
            if self._port is None:
                raise
            raise KnownFailure("no_prompt", port=self._port) from None

    @contextlib.contextmanager
    def _spoken(self) -> Iterator[None]:
        try:
            yield
        except TransportExecError as error:
            output = error.status_code
            text = output.decode(errors="replace") if isinstance(output, bytes) else ""
            raise DeviceError(text, error.error_output) from None
        except (TransportError, OSError) as error:
            raise BoardError(
                f"the board at {self._port or self._address} did not answer as a MicroPython prompt does ({error}): "
                "check that it runs and that nobody else uses its console"
            ) from None

    @contextlib.contextmanager
    def execs(self) -> Iterator[Exec]:
        """Within it, a function that runs code as `exec` does, without leaving the raw REPL in between."""
        with self.session() as transport:
            yield lambda code, timeout=30.0: _exec(transport, code, timeout)

    def exec(self, code: str, timeout: float = 30.0) -> str:
        """Run `code`; returns what it printed, with plain newlines. Raises DeviceError, BoardError.

        timeout: seconds without a byte of output.
        """
        with self.execs() as run:
            return run(code, timeout)

    def put(self, path: str, data: bytes) -> None:
        """Write a file, making its folders; it is written aside first, so a cut leaves the old one or the new."""
        folders = path.strip("/").split("/")[:-1]
        with self.session() as transport:
            aside = _absolute(path) + ".new"
            try:
                for depth in range(len(folders)):
                    folder = "/" + "/".join(folders[: depth + 1])
                    if not transport.fs_exists(folder):
                        transport.fs_mkdir(folder)
                transport.fs_writefile(aside, data, chunk_size=_CHUNK)
                transport.exec(f"import os\nos.rename({aside!r}, {_absolute(path)!r})")
            except OSError as error:
                with contextlib.suppress(TransportError, OSError):
                    transport.exec("f.close()")
                    transport.fs_rmfile(aside)
                raise BoardError(
                    f"{path} can't be written on the board ({_reason(error)}): make room there, or choose another path"
                ) from None

    def get(self, path: str) -> bytes:
        """Read a file. Raises BoardError when it isn't there."""
        with self.session() as transport:
            try:
                return bytes(transport.fs_readfile(_absolute(path), chunk_size=_CHUNK))
            except OSError as error:
                raise BoardError(f"{path} can't be read from the board ({_reason(error)}): check the path") from None

    def interrupt(self, timeout: float = 10.0) -> None:
        """Ctrl-C, and wait for the friendly prompt; timeout: seconds."""
        with self.session(timeout):
            pass

    def reset(self) -> None:
        """Have the board reset itself; returns when nothing that is sent can keep it from doing so."""
        with self._lock, self._spoken():
            transport = _Transport(self._address)
            try:
                self._enter(transport)
                transport.exec_raw_no_follow(_RESET)
                transport.read_until(1, _ACKNOWLEDGE, timeout=5)
            finally:
                transport.close()


def _exec(transport: Any, code: str, timeout: float) -> str:
    try:
        output, failure = transport.exec_raw(code, timeout=timeout)
    except TransportError as error:
        with contextlib.suppress(TransportError, OSError):
            transport.enter_raw_repl(timeout_overall=5)
        raise BoardError(
            f"the board printed nothing for {timeout:g} s ({error}): the code was interrupted; "
            "give it more time or let it print"
        ) from None
    if failure:
        raise DeviceError(_text(output), _text(failure))
    return _text(output)


def _text(data: bytes) -> str:
    return data.decode(errors="replace").replace("\r\n", "\n")


def _reason(error: OSError) -> str:
    """mpremote puts the path where the reason should be."""
    return os.strerror(error.errno) if error.errno else str(error)


def _absolute(path: str) -> str:
    return "/" + path.lstrip("/")


class _Port:
    """A board's far end: bytes in and out, opened again after the board went away for a reset."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._port: Any = None
        self._is_socket = where.startswith("socket://")
        self.open()

    def open(self) -> None:
        if self._is_socket:
            host, _, port = self._where.removeprefix("socket://").rpartition(":")
            self._port = socket.create_connection((host, int(port)), timeout=5)
            self._port.settimeout(0.2)
        else:
            import serial

            # Exclusive: with two readers, each would get half of what the board says.
            path = self._where.removeprefix("serial:")
            self._port = serial.Serial(path, _BAUDRATE, timeout=0.2, exclusive=True)

    def read(self) -> bytes:
        """What is there, waiting 0.2 s for it at most. Raises OSError when the board is gone."""
        if not self._is_socket:
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        try:
            data: bytes = self._port.recv(65536)
        except TimeoutError:
            return b""
        if not data:
            raise OSError("the far end closed the connection")
        return data

    def write(self, data: bytes) -> None:
        if self._is_socket:
            self._port.sendall(data)
        else:
            self._port.write(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._port.close()


class ConsoleBoard(ABC):
    """What a board does over its console, of whatever kind it is; see `Board` for the verbs.

    typed: called with what a client of the console types. port: see `Repl`.
    """

    def __init__(self, typed: Callable[[bytes], None], port: str | None = None) -> None:
        self._console = Console(typed, self._client_left)
        self.address = self._console.address
        self._repl = Repl(self.address, port)

    def _client_left(self) -> None:  # noqa: B027 - not every board cares
        """A client of the console has closed its connection."""

    @abstractmethod
    def alive(self) -> str | None: ...

    @abstractmethod
    def reset(self, run: bool = True) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def _check(self) -> None:
        ended = self.alive()
        if ended is not None:
            raise BoardError(ended)

    @contextlib.contextmanager
    def _using_repl(self) -> Iterator[Repl]:
        self._check()
        with self._console.quiet():
            try:
                yield self._repl
            except BoardError:
                self._check()  # the board's own end says more than a console that fell silent
                raise

    def exec(self, code: str, timeout: float = 30.0) -> str:
        with self._using_repl() as repl:
            return repl.exec(code, timeout)

    def interrupt(self, timeout: float = 10.0) -> None:
        """As `Repl.interrupt`."""
        with self._using_repl() as repl:
            repl.interrupt(timeout)

    @contextlib.contextmanager
    def transport(self) -> Iterator[Any]:
        """mpremote's SerialTransport in the raw REPL, as `Repl.session` gives it."""
        with self._using_repl() as repl, repl.session() as transport:
            yield transport

    @contextlib.contextmanager
    def execs(self) -> Iterator[Exec]:
        """As `Repl.execs`."""
        with self._using_repl() as repl, repl.execs() as run:
            yield run

    def put(self, path: str, data: bytes) -> None:
        with self._using_repl() as repl:
            repl.put(path, data)

    def get(self, path: str) -> bytes:
        with self._using_repl() as repl:
            return repl.get(path)

    def console(self) -> bytes:
        return self._console.history()

    def open_pty(self) -> str:
        """A pseudo-terminal on the board's console, for tools that want a serial port: its path."""
        return self._console.open_pty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class SerialBoard(ConsoleBoard):
    """A board that runs already, on "serial:/dev/ttyACM0" or "socket://host:port"; see `Board` for the verbs.

    Its port has one reader, this object; mpremote may share the console by `address` meanwhile.
    """

    host_address = ""

    def __init__(self, where: str, setup: Setup | None = None) -> None:
        if setup is not None:
            raise BoardError(f"{where} is a running board: it takes no setup, put files on it instead")
        self.where = where
        self.board = ""
        self._ended: str | None = None
        self._stopping = False
        self._reopening = threading.Event()
        try:
            self._port = _Port(where)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BoardError(
                f"{where} can't be opened ({reason}): check the name, the cable and the permissions"
            ) from error
        super().__init__(self._typed, where.removeprefix("serial:"))
        self._thread = threading.Thread(target=self._listen, name=f"board {where}", daemon=True)
        self._thread.start()

    def _typed(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the listener sees it too, and says so
            self._port.write(data)

    def _listen(self) -> None:
        while not self._stopping:
            try:
                self._console.feed(self._port.read())
            except (OSError, TypeError) as error:  # TypeError: pyserial, when the port is closed under it
                if self._stopping or not self._reopen():
                    self._ended = f"the board on {self.where} is gone ({error}): check its cable and power"
                    return

    def _reopen(self) -> bool:
        """Wait for a port that vanished; it comes back when the board was reset."""
        self._port.close()
        deadline = time.monotonic() + _RETURN_S
        while not self._stopping and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self._port.open()
                self._reopening.set()
                return True
            time.sleep(0.1)  # the system gives no event for a port's return
        return False

    def reset(self, run: bool = True) -> None:
        self._check()
        for _ in range(_RESET_TRIES):
            self._reopening.clear()
            with self._console.quiet():
                self._repl.reset()
            # A port of the chip's own USB vanishes with the reset; one behind a bridge or a pty stays.
            self._reopening.wait(2.0 if "ACM" in self.where else _GOING_DOWN_S)
            if run:
                return
            # Only a fresh memory proves a reset, and to look into it takes the prompt.
            with self._console.quiet():
                if self._repl.exec(_IS_FRESH).strip() == "True":
                    return
        raise BoardError(f"the board on {self.where} did not reset: press its reset button or replug it")

    def set_sensor(self, name: str, **changes: object) -> None:
        raise BoardError(f"{self.where} is a real board: its sensor {name} can't be changed from here")

    def alive(self) -> str | None:
        return self._ended

    def stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._thread.join()
        self._port.close()
        self._console.close()
