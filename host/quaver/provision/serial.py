"""The provisioning room's wire: session messages over a serial console, between whatever else is printed there."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from quaver.errors import SessionError
from quaver_wire.frames import SESSION, Frames, session_frame

_BAUD = 115200
_READ_S = 0.05
_CHUNK = 4096


class SerialTransport:
    """where: a port ("/dev/ttyACM0"), or what else pyserial opens ("socket://127.0.0.1:4321"). Raises SessionError."""

    def __init__(self, where: str) -> None:
        import serial

        self._where = where
        self._frames = Frames()
        self._found: deque[bytes] = deque()
        try:
            self._port: Any = serial.serial_for_url(where, _BAUD, timeout=_READ_S, write_timeout=5)
        except (serial.SerialException, ValueError, OSError) as error:
            from quaver.flash.serials import system_reason

            _, reason = system_reason(error)
            raise SessionError(f"{where}: can't be opened ({reason}); check the cable, and who else uses it") from error

    def send(self, message: bytes) -> None:
        try:
            self._port.write(session_frame(message))
            self._port.flush()
        except OSError as error:  # SerialException is one
            raise self._gone(error) from error

    def receive(self, timeout: float) -> bytes | None:
        end = time.monotonic() + timeout
        while not self._found:
            try:
                data = self._port.read(max(1, min(self._port.in_waiting, _CHUNK)))
            except OSError as error:
                raise self._gone(error) from error
            found = self._frames.feed(data) if data else self._frames.idle()
            self._found.extend(message for kind, message in found if kind == SESSION)
            if not data and time.monotonic() >= end:
                break
        return self._found.popleft() if self._found else None

    def _gone(self, error: OSError) -> SessionError:
        return SessionError(f"{self._where}: is gone ({error.strerror or error}); plug it in again")

    def close(self) -> None:
        self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
