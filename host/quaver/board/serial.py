"""A board that this process did not start: on a serial port or pty, or a console behind TCP."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from quaver.board.repl import ConsoleBoard
from quaver.errors import BoardError

_BAUDRATE = 115200
_IS_FRESH = "print('_going_down' not in globals())"
_GOING_DOWN_S = 0.25  # of the board between its answer and the reset, and room for a slow line
_RESET_TRIES = 3
_RETURN_S = 10.0  # a port of the chip's own USB is back within seconds of a reset


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


class SerialBoard(ConsoleBoard):
    """A board that runs already, on "serial:/dev/ttyACM0" or "socket://host:port"; see `Board` for the verbs.

    Its port has one reader, this object; mpremote may share the console by `address` meanwhile.
    """

    host_address = ""

    def __init__(self, where: str) -> None:
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

    def sensor(self, name: str, attribute: str) -> Any:
        raise BoardError(f"{self.where} is a real board: its sensor {name} can't be looked into from here")

    def alive(self) -> str | None:
        return self._ended

    def stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._thread.join()
        self._port.close()
        self._console.close()
