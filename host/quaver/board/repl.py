"""The raw REPL of any board, over mpremote's own transport; and the boards that are real.

`Repl` runs code and moves files through an address, whatever kind of board is behind it; `ConsoleBoard` is what all
boards do with it.
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
from typing import Any, Protocol, Self

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from quaver.board.console import Console
from quaver.board.failures import KnownFailure
from quaver.board.guest import guest
from quaver.errors import BoardError

_CHUNK = 2048  # bytes of a file in one exec
_BANNER = b"raw REPL; CTRL-B to exit\r\n"


class DeviceError(BoardError):
    """The code that ran on the board raised; `traceback` is the board's own, `output` what it printed before."""

    def __init__(self, output: str, traceback: str) -> None:
        lines = traceback.strip().splitlines() or ["an exception without a message"]
        super().__init__(
            f"the board's code raised {lines[-1].strip()}: read the board's traceback and correct the code"
        )
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
        raise TransportError("it showed no prompt")

    def exec_raw_no_follow(self, command: str | bytes) -> None:
        """As SerialTransport's, but a board that declines raw paste gets the code in one piece.

        Only an emulated board declines it, and its console takes any length.
        """
        if not self.use_raw_paste:
            super().exec_raw_no_follow(command)
            return
        if not self.read_until(1, b">").endswith(b">"):
            raise TransportError("it showed no raw prompt")
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
                "check that it runs and that no other program uses its console"
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
                    f"{path} can't be written on the board ({_reason(error)}): free space there, or choose another path"
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
                transport.exec_raw_no_follow(guest(__file__, "reset"))
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
            "allow it more time or let it print"
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
