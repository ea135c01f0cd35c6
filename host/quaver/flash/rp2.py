"""The flash room's RP2040 side: a UF2 goes to the boot loader's drive, then MicroPython reports the flash."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from quaver.board.chips import Chip, chips
from quaver.board.guest import guest
from quaver.board.ports import Port, drive_info, find_ports
from quaver.board.repl import DeviceError
from quaver.board.serial import SerialBoard
from quaver.build import Flashable
from quaver.build.tree import LISTING
from quaver.build.uf2 import FLASH_START
from quaver.errors import BoardError
from quaver.flash.errors import (
    DriveFullError,
    NoBootLoaderError,
    PortDeniedError,
    PortGoneError,
    WriteError,
    WrongChipError,
)

Progress = Callable[[float], None]

_UF2_NAME = "QUAVER.UF2"  # the boot loader takes any; a short one needs no FAT name entry more
_CHUNK = 1 << 15
_MOUNT_S = 6.0  # from a call of the boot loader to its drive, where something mounts drives
_DRIVE_S = 10.0  # and to the boot loader itself
_START_S = 20.0  # from the last block to the board's own USB port
_LOOK_S = 0.1
_HASH_S = 120.0


def holds(device: str, built: Flashable) -> tuple[str, bool]:
    """(unique id, whether image and firmware are what a board that runs MicroPython holds).

    Its program is interrupted, and stays so. Raises BoardError.
    """
    where = device if device.startswith("socket://") else f"serial:{device}"
    with contextlib.ExitStack() as stack:
        board = SerialBoard(where)
        stack.callback(board.stop)
        board.exec(guest(__file__, "hashes"))
        unique_id = board.exec("print(hexlify(machine.unique_id()).decode())").strip()
        start = FLASH_START + built.image_offset
        found = board.exec(f"print(_flash({start}, {len(built.image)}))", timeout=_HASH_S).strip()
        if found != hashlib.sha256(built.image).hexdigest():
            return unique_id, False
        return unique_id, _files_hold(board, built.files)


def own_files(device: str, built: Flashable) -> dict[str, bytes]:
    """What a node wrote itself, path -> bytes, by way of its MicroPython; it stays interrupted. Raises BoardError."""
    where = device if device.startswith("socket://") else f"serial:{device}"
    with contextlib.ExitStack() as stack:
        board = SerialBoard(where)
        stack.callback(board.stop)
        try:
            listed = [json.loads(line) for line in board.exec(guest(__file__, "list_files")).splitlines()]
        except DeviceError:  # no file system, or none that can be read
            return {}
        if LISTING not in listed:
            return {}
        found = dict.fromkeys(listed, b"") | {LISTING: board.get(LISTING)}
        return {path: board.get(path) for path in built.own_files(found)}


def _files_hold(board: SerialBoard, files: Mapping[str, bytes]) -> bool:
    paths = sorted(files)
    code = f"b = memoryview(bytearray(512))\nfor p in {paths!r}:\n    print(json.dumps(_file('/' + p, b)))\n"
    found = [json.loads(line) for line in board.exec(code, timeout=_HASH_S).splitlines()]
    return found == [hashlib.sha256(files[path]).hexdigest() for path in paths]


def call_boot_loader(port: Port, alive: Callable[[], None]) -> Port:
    """Have MicroPython on `port` restart into the boot loader; returns where that is. Raises FlashError, BoardError."""
    before = {found.device for found in find_ports() if found.kind == "rp2-bootsel"}
    where = port.device if port.device.startswith("socket://") else f"serial:{port.device}"
    board = SerialBoard(where)
    try:
        # The port goes down under the call, so its answer never comes.
        with contextlib.suppress(BoardError):
            board.exec("import machine\nmachine.bootloader()", timeout=1.0)
    finally:
        board.stop()

    def is_it(found: Port) -> bool:
        if found.kind != "rp2-bootsel":
            return False
        return found.location == port.location if port.location else found.device not in before

    # With a drive anybody may write; the ROM's own interface takes permissions that a system may not give.
    drive = _wait(lambda found: is_it(found) and not found.device.startswith("usb:"), _MOUNT_S, alive)
    drive = drive or _wait(is_it, _DRIVE_S, alive)
    if drive is None:
        raise NoBootLoaderError(
            f"{port.device}: no boot loader within {_DRIVE_S:.0f} s: hold BOOTSEL while you plug it in, and try again"
        )
    return drive


def copy_uf2(drive: Port, data: bytes, chip: Chip, progress: Progress) -> None:
    """Write a UF2 to a boot loader's drive; afterwards the board restarts by itself and the drive goes.

    Nothing half-written stays behind. Raises FlashError.
    """
    folder = Path(drive.device)
    info = drive_info(folder)
    if not info:
        raise PortGoneError(f"{folder}: the drive is gone: hold BOOTSEL while you plug the board in")
    if info.get("Board-ID") != chip.drive:
        raise WrongChipError(
            f"{folder}: a {info.get('Board-ID') or 'board without a name'}, the image is for an {chip.name}"
        )
    target = folder / _UF2_NAME
    written = 0
    try:
        with target.open("wb", buffering=0) as file:
            for at in range(0, len(data), _CHUNK):
                file.write(data[at : at + _CHUNK])
                # Without this the system would take all of it at once, and a lost drive would be told at the end.
                os.fsync(file.fileno())
                written = min(at + _CHUNK, len(data))
                progress(written / len(data))
    except OSError as error:
        # The boot loader restarts the board when it has the last block, maybe before that is acknowledged.
        if written == len(data) or (len(data) - written <= _CHUNK and not drive_info(folder) and _gone(error)):
            return
        with contextlib.suppress(OSError):
            target.unlink()
        raise _why(folder, error) from error
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink()
        raise


def _gone(error: OSError) -> bool:
    return error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT)


def _why(folder: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DriveFullError(
            f"{folder}: no space for the image ({error.strerror}): unplug the board and plug it in again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PortDeniedError(
            f"{folder}: no permission to write to the drive ({error.strerror}): mount it as your own user"
        )
    if _gone(error):
        return PortGoneError(
            f"{folder}: the drive vanished while the image was written: check the cable, and start over"
        )
    return WriteError(f"{folder}: can't be written ({error.strerror}): unplug the board and plug it in again")


def wait_for_start(drive: Port, known: set[str], alive: Callable[[], None]) -> Port:
    """The serial port that a board has when MicroPython came up where its boot loader's drive was.

    known: devices that were there before, for where the place on the bus is not known. Raises PortGoneError.
    """

    def is_it(found: Port) -> bool:
        if found.kind != "micropython" or not any(chips()[chip].loader == "uf2" for chip in found.chips):
            return False
        return found.location == drive.location if drive.location else found.device not in known

    port = _wait(is_it, _START_S, alive)
    if port is None:
        raise PortGoneError(
            f"{drive.device}: written, but MicroPython did not start within {_START_S:.0f} s: replug the board"
        )
    return port


def _wait(wanted: Callable[[Port], bool], within_s: float, alive: Callable[[], None]) -> Port | None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        alive()
        for port in find_ports():
            if wanted(port):
                return port
        time.sleep(_LOOK_S)  # there is no event for a drive's or a port's coming that all systems have
    return None
