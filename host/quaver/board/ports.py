"""Which boards are connected, from USB and the mounts, without sending them anything."""

from __future__ import annotations

import errno
import functools
import grp
import os
import pwd
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quaver.board.chips import chips
from quaver.board.failures import KnownFailure
from quaver.broker.address import may_log_in
from quaver.errors import BoardError

Kind = Literal["micropython", "esp-rom", "rp2-bootsel", "unknown"]

INFO_FILE = "INFO_UF2.TXT"
"""On the drive of every UF2 boot loader (github.com/microsoft/uf2, "File containing device information")."""

_PROC = Path("/proc")
_BUSY = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)  # a terminal's TIOCEXCL, a lock of flock()
_USB_IDS = Path(__file__).with_name("usb_ids.toml")
_MOUNTS = Path("/proc/self/mounts")
_BLOCK = Path("/sys/class/block")
_USB_DEVICES = Path("/sys/bus/usb/devices")
_VOLUMES = Path("/Volumes")  # where macOS mounts drives
_BOOTSEL = (0x2E8A, 0x0003)
_LOCATION = re.compile(r"\d+-\d+(?:\.\d+)*")  # of a device in the kernel's USB tree: bus, then a port for each hub
_INFO_LIMIT = 4096


@dataclass(frozen=True)
class Port:
    """Where a board may be.

    device: what opens it: a serial device, a pty, `socket://host:port`, the folder of an RP2040's drive, or
    `usb:1-1.2` for an RP2040 in its boot loader whose drive is not mounted. kind: what answers there, as far as that is
    known without speaking to it ("esp-rom" only once a chip has been asked). usb: (vendor, product). unique_id: the
    USB serial number, which on a Pico W under MicroPython and on a chip's own USB is the chip's, on a bridge the
    bridge's. chips: which it can be, () for any. location: its place in the USB tree, which outlives a reset.
    """

    device: str
    kind: Kind
    usb: tuple[int, int] | None
    unique_id: str | None
    description: str
    chips: tuple[str, ...] = ()
    location: str | None = None


@dataclass(frozen=True)
class UsbId:
    """A row of usb_ids.toml."""

    kind: Kind
    chips: tuple[str, ...]
    name: str


@functools.cache
def usb_ids() -> dict[tuple[int, int], UsbId]:
    """(vendor, product) -> what that is."""
    rows = tomllib.loads(_USB_IDS.read_text(encoding="utf-8"))["usb"]
    return {(row["vid"], row["pid"]): UsbId(row["kind"], tuple(row["chips"]), row["name"]) for row in rows}


def find_ports() -> list[Port]:
    """Every serial port on USB that a board can be behind, and every RP2040 in its boot loader; sorted by device.

    A serial port with ids that usb_ids.toml does not have is listed too, as "unknown": it may be a bridge that is
    not in the table. Ports that are not on USB are not: name them.
    """
    drives = list(_drives())
    mounted = {drive.location for drive in drives}
    bare = [port for port in _bare_boot_loaders() if port.location not in mounted]
    # A drive whose place is not known may be any of the bare ones.
    if None in mounted:
        bare = bare[len([drive for drive in drives if drive.location is None]) :]
    return sorted([*_serial_ports(), *drives, *bare], key=lambda port: _natural(port.device))


def named_port(name: str) -> Port:
    """The port that a person names: a device, a pty, `serial:/dev/ttyACM0`, `socket://host:port`, a drive's folder, or
    a unique id of a connected board. Raises BoardError; KnownFailure, with what is connected, if there is none, and
    with the boards of that unique id if there are several: makers of bridges give many the same.
    """
    wanted = name.removeprefix("serial:")
    if wanted.startswith("socket://"):
        if not re.fullmatch(r"socket://[^/:\s]+:\d{1,5}", wanted):
            raise BoardError(f"port {name!r}: expected socket://host:port, as in socket://127.0.0.1:4321")
        return Port(wanted, "unknown", None, None, "a console behind TCP")
    if may_log_in(wanted):
        raise BoardError("port: the URL does not name a console: expected a device, socket://host:port, or a unique id")
    path = os.path.realpath(wanted)  # /dev/serial/by-id/… are links
    ports = find_ports()
    for port in ports:
        if wanted == port.device or path == os.path.realpath(port.device):
            return port
    named = [port for port in ports if port.unique_id == wanted]
    if len(named) > 1:
        raise KnownFailure("same_id", count=len(named), id=wanted, connected=listed(named))
    if named:
        return named[0]
    facts = {"port": wanted, "connected": listed(ports)}
    try:
        mode = Path(path).stat().st_mode
    except PermissionError:
        raise no_permission(wanted) from None
    except (OSError, ValueError):  # a NUL in the name
        raise KnownFailure("no_port", **facts) from None
    if stat.S_ISDIR(mode):
        drive = _drive(Path(wanted), None)
        if drive is not None:
            return drive
        raise BoardError(f"port {name!r}: the folder has no {INFO_FILE} of an RP2040's drive: name another")
    if not stat.S_ISCHR(mode):
        raise KnownFailure("no_serial_port", **facts)
    return Port(wanted, "unknown", None, None, "a serial port")


def listed(ports: Iterable[Port]) -> str:
    """For a message: where each board is; of those with one unique id, which USB socket it is in too."""
    ports = list(ports)
    ids = [port.unique_id for port in ports]
    alike = [bool(port.location and port.unique_id) and ids.count(port.unique_id) > 1 for port in ports]
    shown = (f"{port.device}{f' (USB {port.location})' * twin}" for port, twin in zip(ports, alike, strict=True))
    return ", ".join(shown) or "none"


def no_permission(path: str) -> KnownFailure:
    """The failure of a device that this user may not open, with its owner and group."""
    try:
        about = Path(path).stat()
        owner, group = pwd.getpwuid(about.st_uid).pw_name, grp.getgrgid(about.st_gid).gr_name
    except (OSError, KeyError):
        owner, group = "another user", "dialout"
    return KnownFailure("no_permission", port=path, owner=f"{owner}, group {group}", group=group)


def _serial_ports() -> Iterator[Port]:
    from serial.tools import list_ports

    for info in list_ports.comports():
        if info.vid is None:
            continue
        usb = (int(info.vid), int(info.pid))
        known = usb_ids().get(usb)
        place = _LOCATION.match(info.location or "")
        yield Port(
            info.device,
            known.kind if known else "unknown",
            usb=usb,
            unique_id=info.serial_number or None,
            description=known.name if known else (info.product or info.description or "unknown USB device"),
            chips=known.chips if known else (),
            location=place[0] if place else None,
        )


def _drives() -> Iterator[Port]:
    """Drives of RP2040s and RP2350s that are mounted."""
    for device, folder in _mounts():
        found = _drive(folder, _usb_location(device))
        if found is not None:
            yield found


def _mounts() -> Iterator[tuple[str, Path]]:
    """(block device, folder) of what may be a drive: the boot loader's are FAT."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        lines = []
        if _VOLUMES.is_dir():
            yield from (("", path) for path in sorted(_VOLUMES.iterdir()))
    for line in lines:
        device, folder, system, *_ = line.split(" ")
        if system in ("vfat", "msdos", "fuseblk"):
            # Spaces and such are octal there (fstab(5)).
            yield device, Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), folder))


def _drive(folder: Path, location: str | None) -> Port | None:
    """The port of a boot loader's drive, or None for another drive. Other UF2 boot loaders' are not for us."""
    info = drive_info(folder)
    found = tuple(chip.name for chip in chips().values() if chip.drive and chip.drive == info.get("Board-ID"))
    if not found:
        return None
    return Port(
        str(folder),
        "rp2-bootsel",
        usb=_BOOTSEL,
        unique_id=None,
        description=info.get("Model", "RP2040 boot loader"),
        chips=found,
        location=location,
    )


def drive_info(folder: Path) -> dict[str, str]:
    """The fields of a drive's INFO_UF2.TXT ("Model", "Board-ID"); empty when there's none that can be read."""
    try:
        with (folder / INFO_FILE).open("rb") as file:
            text = file.read(_INFO_LIMIT).decode("ascii", "replace")
    except OSError:
        return {}
    return {
        key.strip(): value.strip() for key, found, value in (line.partition(":") for line in text.splitlines()) if found
    }


def _usb_location(device: str) -> str | None:
    """Where in the USB tree a block device ("/dev/sda1") hangs."""
    try:
        path = (_BLOCK / Path(device).name).resolve(strict=True)
    except OSError:
        return None
    places = [part for part in path.parts if _LOCATION.fullmatch(part)]
    return places[-1] if places else None


def _bare_boot_loaders() -> Iterator[Port]:
    """RP2040s in their boot loader as the USB tree has them, drive or not."""
    if not _USB_DEVICES.is_dir():
        return
    for path in sorted(_USB_DEVICES.iterdir()):
        try:
            usb = tuple(int((path / name).read_text(), 16) for name in ("idVendor", "idProduct"))
        except (OSError, ValueError):
            continue
        if usb == _BOOTSEL:
            name = "RP2040 boot loader, its drive not mounted"
            yield Port(
                f"usb:{path.name}",
                "rp2-bootsel",
                usb=_BOOTSEL,
                unique_id=None,
                description=name,
                chips=("rp2040",),
                location=path.name,
            )


def _natural(text: str) -> list[tuple[int, str]]:
    """ttyUSB9 before ttyUSB10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def refusal(device: str, number: int | None) -> KnownFailure | None:
    """The failure of a device that can't be opened, by the errno; None for one that says nothing to a person."""
    if number in (errno.EACCES, errno.EPERM):
        return no_permission(device)
    if number in _BUSY:
        return KnownFailure("port_busy", port=device, holder=_holder(device))
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return KnownFailure("no_port", port=device, connected=listed(find_ports()))
    return None


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
