"""The flash room's PICOBOOT: reads and writes an RP2040's flash through its boot ROM's own USB interface, drive or not.

RP2040 datasheet, section 2.8.5: 32-byte commands on one bulk endpoint, data on it or on the other, an empty packet the
other way as the acknowledgement, and the reason of a refusal by a control request.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

from quaver.build.uf2 import FLASH_START, PAGE, SECTOR
from quaver.flash.errors import NoBootLoaderError, PortDeniedError, PortGoneError, WriteError

_COMMAND = struct.Struct("<IIBBHI16s")  # magic, token, command, size of arguments, 0, bytes of data, arguments
_MAGIC = 0x431FD10B
_EXCLUSIVE_ACCESS, _REBOOT, _FLASH_ERASE, _READ, _WRITE, _EXIT_XIP = 0x01, 0x02, 0x03, 0x84, 0x05, 0x06
_FROM_DEVICE = 0x80  # set in a command whose data come from the device
_EXCLUSIVE_AND_EJECT = 2  # nothing else may write, the drive least of all

_STATUS = struct.Struct("<IIBB6x")  # token, status, command, whether it is under way
_GET_STATUS, _INTERFACE_RESET = 0x42, 0x41
_REFUSALS = (
    "",
    "unknown command",
    "wrong length of the command",
    "wrong length of the data",
    "address not in flash",
    "address not on a boundary",
    "interleaved write",
    "rebooting",
    "unknown error",
)

_VENDOR_CLASS = 0xFF
_TIMEOUT_MS = 3000
_ERASE_TIMEOUT_MS = 30000  # a block of 64 KiB takes up to 2 s (W25Q16JV datasheet, 9.6)
_CHUNK = 1 << 14
_REBOOT_MS = 200

_BUSY, _DENIED, _STALLED = 16, 13, 32  # EBUSY, EACCES, EPIPE, as libusb's errors come through pyusb


class Device(Protocol):
    """What this room uses of pyusb's `usb.core.Device`. Each raises usb.core.USBError."""

    def write(self, endpoint: int, data: bytes, timeout: int) -> int: ...

    def read(self, endpoint: int, size: int, timeout: int) -> Any: ...

    def ctrl_transfer(self, kind: int, request: int, value: int, index: int, data: Any, timeout: int) -> Any: ...


def find_device(location: str) -> Device:
    """The RP2040 in its boot loader at a place in the USB tree ("1-1.2"). Raises FlashError."""
    import libusb_package
    import usb.core
    import usb.util

    bus, _, hubs = location.partition("-")
    place = (int(bus), tuple(int(part) for part in hubs.split(".")))
    try:
        found = usb.core.find(
            idVendor=0x2E8A,
            idProduct=0x0003,
            backend=libusb_package.get_libusb1_backend(),
            custom_match=lambda one: (one.bus, tuple(one.port_numbers or ())) == place,
        )
        if found is None:
            raise PortGoneError(
                f"usb:{location}: no RP2040 in its boot loader there: hold BOOTSEL while you plug it in"
            )
        interface, _, _ = _interface(found)
        usb.util.claim_interface(found, interface)
    except usb.core.NoBackendError as error:
        raise NoBootLoaderError(f"usb:{location}: this system gives no access to USB: mount RPI-RP2 instead") from error
    except usb.core.USBError as error:
        raise _why(f"usb:{location}", error) from error
    device: Device = found
    return device


def _interface(device: Any) -> tuple[int, int, int]:
    """(number, endpoint to the device, endpoint from it) of PICOBOOT's interface."""
    for one in device.get_active_configuration():
        if one.bInterfaceClass == _VENDOR_CLASS and one.bNumEndpoints == 2:
            addresses = sorted(endpoint.bEndpointAddress for endpoint in one)
            return one.bInterfaceNumber, addresses[0], addresses[1]
    raise NoBootLoaderError("the USB device has no PICOBOOT interface: it is not an RP2040 in its boot loader")


class PicobootSession:
    """An RP2040's flash, by the same verbs as an ESP32's (`EspSession`); addresses count from the flash's start.

    name: for messages. Raises FlashError.
    """

    def __init__(self, name: str, device: Device) -> None:
        self._name = name
        self._device = device
        self._number, self._out, self._in = _interface(device)
        self._tokens = itertools.count(1)
        with self._spoken():
            device.ctrl_transfer(0x41, _INTERFACE_RESET, 0, self._number, None, _TIMEOUT_MS)
        self._command(_EXCLUSIVE_ACCESS, struct.pack("<B", _EXCLUSIVE_AND_EJECT))
        self._command(_EXIT_XIP)

    def read(self, address: int, length: int) -> bytes:
        """What the flash holds."""
        pieces = []
        early = address % PAGE  # the ROM reads from the start of a page alone
        for at in range(address - early, address + length, _CHUNK):
            size = min(_CHUNK, address + length - at)
            pieces.append(self._command(_READ, struct.pack("<II", FLASH_START + at, size), size=size))
        return b"".join(pieces)[early:]

    def differs(self, address: int, data: bytes) -> bool:
        """Whether the flash holds something else there."""
        return any(
            self.read(address + at, len(piece)) != piece
            for at, piece in ((at, data[at : at + _CHUNK]) for at in range(0, len(data), _CHUNK))
        )

    def write(self, regions: list[tuple[int, bytes]], progress: Callable[[float], None]) -> None:
        """Erase and write (address, bytes) and read it back; sectors that are right already are not touched."""
        total, done = sum(len(data) for _, data in regions), 0
        for address, data in regions:
            for at in range(0, len(data), SECTOR):
                sector = data[at : at + SECTOR].ljust(SECTOR, b"\xff")
                if self.read(address + at, SECTOR) != sector:
                    self._sector(address + at, sector)
                done += min(SECTOR, len(data) - at)
                progress(done / total)

    def _sector(self, address: int, data: bytes) -> None:
        place = FLASH_START + address
        self._command(_FLASH_ERASE, struct.pack("<II", place, SECTOR), timeout_ms=_ERASE_TIMEOUT_MS)
        used = len(data.rstrip(b"\xff"))
        used += -used % PAGE
        if used:
            self._command(_WRITE, struct.pack("<II", place, used), data=data[:used])
        if self.read(address, SECTOR) != data:
            raise WriteError(f"{self._name}: the flash at 0x{address:x} does not hold what was written: it may be worn")

    def reset(self) -> None:
        """Leave the boot loader for what is in flash."""
        self._command(_REBOOT, struct.pack("<III", 0, 0, _REBOOT_MS))

    def _command(
        self, number: int, arguments: bytes = b"", *, data: bytes = b"", size: int = 0, timeout_ms: int = _TIMEOUT_MS
    ) -> bytes:
        """One command with `data` to the device, or `size` bytes from it."""
        head = _COMMAND.pack(
            _MAGIC, next(self._tokens), number, len(arguments), 0, len(data) or size, arguments.ljust(16, b"\0")
        )
        found = bytearray()
        with self._spoken():
            self._device.write(self._out, head, _TIMEOUT_MS)
            if number & _FROM_DEVICE:
                while len(found) < size:
                    found += self._device.read(self._in, size - len(found), timeout_ms)
                self._device.write(self._out, b"", _TIMEOUT_MS)
            else:
                if data:
                    self._device.write(self._out, data, timeout_ms)
                self._device.read(self._in, 1, timeout_ms)
        return bytes(found)

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        import usb.core

        try:
            yield
        except usb.core.USBError as error:
            if error.errno == _STALLED:
                raise WriteError(
                    f"{self._name}: the boot loader refused ({self._refusal()}): replug the board"
                ) from error
            raise _why(self._name, error) from error

    def _refusal(self) -> str:
        import usb.core

        try:
            answer = self._device.ctrl_transfer(0xC1, _GET_STATUS, 0, self._number, _STATUS.size, _TIMEOUT_MS)
            _, status, _, _ = _STATUS.unpack(bytes(answer))
        except (usb.core.USBError, struct.error):
            return "without a reason"
        return _REFUSALS[status] if status < len(_REFUSALS) else f"status {status}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import usb.core
        import usb.util

        if isinstance(self._device, usb.core.Device):
            usb.util.dispose_resources(self._device)


def _why(name: str, error: Any) -> Exception:
    if error.errno == _DENIED:
        return PortDeniedError(
            f"{name}: no permission to open the USB device: install picotool's udev rule, replug the board"
        )
    if error.errno == _BUSY:
        return NoBootLoaderError(f"{name}: another program uses the boot loader: stop it, and try again")
    return PortGoneError(
        f"{name}: the boot loader does not answer ({error.strerror or error}): replug with BOOTSEL held"
    )
