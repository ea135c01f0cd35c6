"""The boot loader that esptool speaks with: the serial protocol of the mask ROM, and of the stub that esptool loads.

The stub's code is taken and not run; its commands are answered from its start on. Registers are the chip's own, so that
what esptool does to the flash controller reaches the flash chip. esptool documentation: Serial Protocol.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from quaver.emulator.esp32c3.chip import Chip

_END, _ESCAPE = b"\xc0", b"\xdb"
_FLASH_BEGIN, _FLASH_DATA, _FLASH_END = 0x02, 0x03, 0x04
_MEMORY_BEGIN, _MEMORY_END, _MEMORY_DATA = 0x05, 0x06, 0x07
_SYNC, _WRITE_REGISTER, _READ_REGISTER = 0x08, 0x09, 0x0A
_SET_PARAMETERS, _ATTACH, _BAUD = 0x0B, 0x0D, 0x0F
_DEFLATED_BEGIN, _DEFLATED_DATA, _DEFLATED_END = 0x10, 0x11, 0x12
_MD5, _SECURITY = 0x13, 0x14
_ERASE_ALL, _ERASE_REGION, _READ_FLASH = 0xD0, 0xD1, 0xD2
_CHIP_ID = 5  # of the ESP32-C3
_SECTOR = 4096
_CHECKSUM = 0xEF
_LONGEST = 1 << 17  # bytes of a frame; what is longer is no command
_FAILED, _BAD_CHECKSUM, _UNKNOWN = 0x06, 0x07, 0x05
SYNC = bytes.fromhex("c000082400000000000707122055")  # how a host's first frame begins
_ROM_SYNC = 0x20120707  # anything but 0, by which a running stub is known


class Loader:
    """Answers one host. say: takes what goes back to it."""

    def __init__(self, chip: Chip, say: Callable[[bytes], None]) -> None:
        self._chip = chip
        self._say = say
        self._coming = bytearray()
        self._stub = False
        self._at = 0
        self._end = 0
        self._inflate = zlib.decompressobj()

    def feed(self, data: bytes) -> None:
        """Bytes from the host."""
        self._coming += data
        while (end := self._coming.find(_END)) >= 0:
            frame = bytes(self._coming[:end]).replace(b"\xdb\xdc", _END).replace(b"\xdb\xdd", _ESCAPE)
            del self._coming[: end + 1]
            if len(frame) >= 8 and frame[0] == 0:
                self._command(frame)
        if len(self._coming) > _LONGEST:
            self._coming.clear()

    def _send(self, data: bytes) -> None:
        self._say(_END + data.replace(_ESCAPE, b"\xdb\xdd").replace(_END, b"\xdb\xdc") + _END)

    def _answer(self, command: int, value: int = 0, data: bytes = b"", error: int = 0) -> None:
        status = bytes((int(error != 0), error)) + (b"" if self._stub else bytes(2))
        body = data + status
        self._send(struct.pack("<BBHI", 1, command, len(body), value) + body)

    def _command(self, frame: bytes) -> None:
        _, command, size, checksum = struct.unpack_from("<BBHI", frame)
        data = frame[8 : 8 + size]
        try:
            if command in (_FLASH_DATA, _DEFLATED_DATA, _MEMORY_DATA):
                block = data[16:]
                found = np.bitwise_xor.reduce(np.frombuffer(block, np.uint8), initial=_CHECKSUM)
                if found != checksum & 0xFF:
                    self._answer(command, error=_BAD_CHECKSUM)
                    return
                if command == _FLASH_DATA:
                    self._write(block[: max(0, self._end - self._at)])
                elif command == _DEFLATED_DATA:
                    self._write(self._inflate.decompress(block))
                self._answer(command)
            elif command == _SYNC:
                for _ in range(8):
                    self._answer(command, 0 if self._stub else _ROM_SYNC)
            elif command in (_FLASH_BEGIN, _DEFLATED_BEGIN):
                length, _, _, self._at = struct.unpack_from("<4I", data)
                self._end = self._at + length
                self._erase(self._at, length)
                self._inflate = zlib.decompressobj()
                self._answer(command)
            elif command == _READ_REGISTER:
                self._answer(command, self._chip.register(struct.unpack_from("<I", data)[0]))
            elif command == _WRITE_REGISTER:
                self._write_registers(data)
                self._answer(command)
            elif command == _SECURITY:
                self._answer(command, data=struct.pack("<I8B2I", 0, *bytes(8), _CHIP_ID, 0))
            elif command == _MD5:
                place, length = struct.unpack_from("<2I", data)
                digest = hashlib.md5(self._chip.read_flash(place, length), usedforsecurity=False)
                self._answer(command, data=digest.digest() if self._stub else digest.hexdigest().encode())
            elif command == _MEMORY_END:
                self._answer(command)
                self._stub = True
                self._send(b"OHAI")
            elif command == _ERASE_ALL:
                self._erase(0, self._chip.FLASH_SIZE)
                self._answer(command)
            elif command == _ERASE_REGION:
                self._erase(*struct.unpack_from("<2I", data))
                self._answer(command)
            elif command == _READ_FLASH:
                self._answer(command)
                self._read(*struct.unpack_from("<3I", data))
            elif command in (_MEMORY_BEGIN, _SET_PARAMETERS, _ATTACH, _BAUD, _FLASH_END, _DEFLATED_END):
                self._answer(command)
            else:
                self._answer(command, error=_UNKNOWN)
        except (struct.error, zlib.error, ValueError):
            self._answer(command, error=_FAILED)

    def _write_registers(self, data: bytes) -> None:
        for at in range(0, len(data) - 15, 16):  # address, value, mask, delay in µs
            address, value, mask, _ = struct.unpack_from("<4I", data, at)
            if mask != 0xFFFFFFFF:
                value = value & mask | self._chip.register(address) & ~mask
            self._chip.write_register(address, value)

    def _erase(self, place: int, length: int) -> None:
        start, end = place // _SECTOR * _SECTOR, -(-(place + length) // _SECTOR) * _SECTOR
        self._chip.write_flash(start, b"\xff" * (end - start))

    def _write(self, data: bytes) -> None:
        self._chip.write_flash(self._at, data)
        self._at += len(data)

    def _read(self, place: int, length: int, block: int) -> None:
        content = self._chip.read_flash(place, length)
        for at in range(0, length, block):
            self._send(content[at : at + block])
        self._send(hashlib.md5(content, usedforsecurity=False).digest())
