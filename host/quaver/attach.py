"""Reaches the one board that a command is about: finds its port, opens it, and tells each way in which that fails."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from pathlib import Path

from quaver.emulator.repl import SerialBoard
from quaver.errors import BoardError
from quaver.failures import KnownFailure
from quaver.flash.ports import Port, find_ports, named_port, usb_ids

_PROC = Path("/proc")
_USB_DEVICES = Path("/sys/bus/usb/devices")
_BUSY = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)  # a terminal's TIOCEXCL, a lock of flock()


def choose(name: str | None) -> Port:
    """The port of that name, or the only board that is connected. Raises KnownFailure."""
    ports = find_ports()
    if name is not None:
        return _named(name, ports)
    if not ports:
        stray = _portless()
        raise KnownFailure("no_driver", device=stray[0]) if stray else KnownFailure("no_board")
    if len(ports) > 1:
        raise KnownFailure("which_board", count=len(ports), connected=_listed(ports))
    return ports[0]


def _named(name: str, ports: list[Port]) -> Port:
    path = name.removeprefix("serial:")
    if "://" not in path and not path.startswith("usb:") and path not in [port.unique_id for port in ports]:
        facts = {"port": path, "connected": _listed(ports)}
        try:
            mode = Path(path).stat().st_mode
        except PermissionError:
            raise _no_permission(path) from None
        except OSError:
            raise KnownFailure("no_port", **facts) from None
        if not stat.S_ISCHR(mode) and not stat.S_ISDIR(mode):
            raise KnownFailure("no_serial_port", **facts)
    return named_port(name)


def _listed(ports: list[Port]) -> str:
    return ", ".join(port.device for port in ports) or "none"


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
        if number in (errno.EACCES, errno.EPERM):
            raise _no_permission(where) from None
        if number in _BUSY:
            raise KnownFailure("port_busy", port=where, holder=_holder(where)) from None
        if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            raise KnownFailure("no_port", port=where, connected=_listed(find_ports())) from None
        if number == errno.ENOTTY or "configure port" in str(cause):  # pyserial's words; it leaves the number out
            raise KnownFailure("no_serial_port", port=where, connected=_listed(find_ports())) from None
        raise


def attach(name: str | None) -> SerialBoard:
    """The board on the port of that name, or the only one that is connected. Raises KnownFailure, BoardError."""
    return open_port(choose(name))


def _no_permission(path: str) -> KnownFailure:
    try:
        about = Path(path).stat()
        owner, group = pwd.getpwuid(about.st_uid).pw_name, grp.getgrgid(about.st_gid).gr_name
    except (OSError, KeyError):
        owner, group = "somebody else", "dialout"
    return KnownFailure("no_permission", port=path, owner=f"{owner}, group {group}", group=group)


def _holder(path: str) -> str:
    """Who has the port open, as far as this user may know."""
    wanted = os.path.realpath(path)
    for process in _PROC.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(link) == wanted for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                return f"{name} (process {process.name})"
        except OSError:
            continue
    return "another program"


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
