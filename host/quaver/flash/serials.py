"""The flash room's serial ports: opened, with the reason if they can't be, and read for a firmware's report."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import re
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quaver.board.failures import KNOWN, KnownFailure
from quaver.board.ports import refusal
from quaver.errors import QuaverError
from quaver.flash.errors import FlashError, NoReportError, PortGoneError

REPORT_S = 20.0
"""Seconds that a firmware has to say its version: the slowest board needs 3, its radio not included."""

_BAUD = 115200  # of every port's console that has a rate
_READ_S = 0.2
_LISTEN_S = 6.0
_RETURN_S = 0.1  # between two looks for a port that is away while its board restarts
_SAYS = re.compile(rb"node: quaver (\S+) on ([^\s,]+),")
_NUMBER = re.compile(r"\[Errno (\d+)\]|\((\d+), '")
_RERUN = b"\r\x03\x03\x04"  # end what runs; then a soft reset, which runs main.py again


@dataclass(frozen=True)
class Report:
    """What the firmware said of itself when it started: its version, and its board file's name."""

    version: str
    board: str


def open_port(device: str) -> Any:
    """pyserial's port of a device, pty or socket://host:port, for us alone. Raises FlashError, KnownFailure."""
    import serial

    try:
        if device.startswith("socket://"):
            return _socket_port(device)
        port = serial.Serial(baudrate=_BAUD, timeout=_READ_S, exclusive=True)
        port.port = device
        port.open()
    except (serial.SerialException, OSError, ValueError) as error:
        raise _why(device, error) from error
    return port


def _socket_port(url: str) -> Any:
    """pyserial's socket, but it says how much is waiting: else esptool reads it byte by byte."""
    from serial.urlhandler import protocol_socket

    class SocketPort(protocol_socket.Serial):  # type: ignore[misc]
        @property
        def in_waiting(self) -> int:
            count = array.array("i", [0])
            fcntl.ioctl(self.fileno(), termios.FIONREAD, count)
            # What is readable and has no bytes has ended, which `read` tells.
            return count[0] or int(super().in_waiting)

    return SocketPort(url, baudrate=_BAUD, timeout=_READ_S)


def system_reason(error: Exception) -> tuple[int | None, str]:
    """The errno behind a failure of pyserial's, where there is one, and the reason in a few words."""
    text = str(error)
    inner = _NUMBER.search(text)  # pyserial puts the system's words into its own
    number = getattr(error, "errno", None) or (int(inner[1] or inner[2]) if inner else None)
    return number, os.strerror(number) if number else text.partition("\n")[0]


def _why(device: str, error: Exception) -> QuaverError:
    number, reason = system_reason(error)
    known = None if device.startswith("socket://") else refusal(device, number)
    if known is not None:
        return known
    return PortGoneError(f"{device}: can't be opened ({reason}): check the name, the cable and the board's power")


def wait_for_report(
    find: Callable[[], str | None],
    within_s: float = REPORT_S,
    rerun: bool = False,
    alive: Callable[[], None] = lambda: None,
) -> Report:
    """What the firmware says when it starts, on the port whose device `find` gives (None while it is away).

    A firmware that began before anybody listened is ended and started again: at once with rerun, else after a
    silence. alive: called often; what it raises ends the waiting. Raises NoReportError, KnownFailure.
    """
    deadline = time.monotonic() + within_s
    listen_s = 0.0 if rerun else min(_LISTEN_S, within_s / 2)
    heard, last = b"", ""
    while time.monotonic() < deadline:
        alive()
        device = find()
        if device is None:
            time.sleep(_RETURN_S)
            continue
        last = device
        try:
            port = open_port(device)
        except (FlashError, KnownFailure) as error:
            if error.exit_code == KNOWN["no_permission"].code:
                raise
            time.sleep(_RETURN_S)
            continue
        ask_at = time.monotonic() + listen_s
        listen_s = _LISTEN_S  # if the port goes away under it: a restart says the version by itself
        with contextlib.closing(port), contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                alive()
                if time.monotonic() >= ask_at:
                    port.write(_RERUN)
                    ask_at = deadline
                heard = (heard + port.read(port.in_waiting or 1))[-65536:]
                found = _SAYS.search(heard)
                if found:
                    return Report(found[1].decode(errors="replace"), found[2].decode(errors="replace"))
    words = [line for line in heard.decode(errors="replace").splitlines() if line.strip()][-1:] or ["nothing"]
    said = "".join(c if c.isprintable() else "?" for c in words[0])[:80]
    raise NoReportError(
        f"{last or 'the port'}: the firmware did not report its version within {within_s:.0f} s (its last "
        f"output: {said}): "
        "read its console (quaver console)"
    )
