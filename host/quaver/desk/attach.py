"""Opens the board of a command: finds its port, opens it, and reports each known failure of that."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from quaver.board.failures import KnownFailure
from quaver.board.ports import Port, find_ports, listed, named_port, refusal, usb_ids
from quaver.board.serial import SerialBoard
from quaver.errors import BoardError

_USB_DEVICES = Path("/sys/bus/usb/devices")


def choose(name: str | None) -> Port:
    """The port of that name, or the only board that is connected. Raises KnownFailure."""
    if name is not None:
        return named_port(name)
    ports = find_ports()
    if not ports:
        stray = _portless()
        raise KnownFailure("no_driver", device=stray[0]) if stray else KnownFailure("no_board")
    if len(ports) > 1:
        raise KnownFailure("which_board", count=len(ports), connected=listed(ports))
    return ports[0]


def open_port(port: Port) -> SerialBoard:
    """The board behind a port, not yet spoken to. Raises KnownFailure, BoardError."""
    where = port.device
    if port.kind == "rp2-bootsel":
        raise KnownFailure("boot_loader_rp2", port=where)
    is_socket = where.startswith("socket://")
    try:
        return SerialBoard(where if is_socket else f"serial:{where}")
    except BoardError as error:
        cause = error.__cause__
        number = cause.errno if isinstance(cause, OSError) else None
        if is_socket:
            raise KnownFailure("no_console", port=where, reason=os.strerror(number) if number else cause) from None
        known = refusal(where, number)
        if known is not None:
            raise known from None
        if number == errno.ENOTTY or "configure port" in str(cause):  # pyserial's words; it leaves the number out
            raise KnownFailure("no_serial_port", port=where, connected=listed(find_ports())) from None
        raise


def attach(name: str | None) -> SerialBoard:
    """The board on the port of that name, or the only one that is connected. Raises KnownFailure, BoardError."""
    return open_port(choose(name))


def _portless() -> list[str]:
    """Boards, or the bridges on them, that USB shows and for which no driver made a serial port."""
    found = []
    for device in sorted(_USB_DEVICES.iterdir()) if _USB_DEVICES.is_dir() else ():
        try:
            usb = (int((device / "idVendor").read_text(), 16), int((device / "idProduct").read_text(), 16))
        except (OSError, ValueError):
            continue
        known = usb_ids().get(usb)
        if known is not None and known.kind != "rp2-bootsel":
            found.append(f"{known.name} ({usb[0]:04x}:{usb[1]:04x}, {device.name})")
    return found
