"""How an ESP32-C3 shows its flash as memory: a page of 64 KiB where an entry of the cache's MMU says so.

ESP-IDF takes the entries from the first one up for the application; the file system's pages go to the last ones. An
entry holds a page's number, with bit 8 while it is unused (ESP-IDF, soc/ext_mem_defs.h of the chip). What the data
bus shows, the instruction bus shows too, at the same place (ESP-IDF, SOC_MMU_DI_VADDR_SHARED), and it is executable
there (its cpu_region_protect.c).

MicroPython copies machine code to ESP-IDF's memory as it reads it, and frees it at a soft reset alone (ports/esp32,
esp_native_code_commit). So what it reads instead of a function's code is a jump to where that lies in flash.
"""

import io
import struct

import esp32
import machine
from micropython import const
from uctypes import bytearray_at

HEAP = (0x3FC80000, 0x3FCE0000)  # where Python's heap lies: the SRAM on the data bus

_MMU = const(0x600C5000)
_ENTRIES = const(128)
_UNUSED = const(0x100)
_DATA_BUS = const(0x3C000000)
_INSTRUCTION_BUS = const(0x42000000)
_PAGE = const(16)  # bits of an address within a page
_NATIVE = const(1)  # kind of a function (MicroPython's py/persistentcode.c): one that has a prelude behind its code
_KIND = const(7)  # bits of what stands before a function: its kind, and whether it has functions within
_GET_BUFFER_SIZE = const(11)  # MicroPython's py/stream.h


def flash():
    """The file system's block device."""
    return esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]


def show(_):
    """Where the file system's first byte is to be read; 0 where it can't be shown.

    Of where it lies in flash the partition table knows, which flashing may have laid for two images.
    """
    _, _, offset, size, *_ = flash().info()
    page = offset >> _PAGE
    first = _ENTRIES - (size >> _PAGE)
    for number in range(first, _ENTRIES):
        entry = _MMU + 4 * number
        wanted = page + number - first
        if machine.mem32[entry] == _UNUSED:
            machine.mem32[entry] = wanted
        if machine.mem32[entry] != wanted:
            return 0  # taken by another
    return _DATA_BUS + (first << _PAGE)


def _number(value, digits):
    """`value` to the base of 128, in so many digits."""
    return bytes(value >> 7 * place & 0x7F | (0x80 if place else 0) for place in range(digits - 1, -1, -1))


def _jump(address):
    """`lui t0; jr t0`: at a function's entry nothing is in t0 (RISC-V calling convention)."""
    return struct.pack("<II", (address + 0x800) & 0xFFFFF000 | 5 << 7 | 0x37, (address & 0xFFF) << 20 | 5 << 15 | 0x67)


def _changed(file, offset, length, address):
    """(begin, end, what is read instead of the file between them) for a function whose code is to stay in flash.

    None where flash does not show what the file has.
    """
    file.seek(offset)
    if file.read(length) != bytearray_at(address, length):
        return None
    file.seek(offset - 1)
    kind = file.read(1)[0] & _KIND
    head = length << 3 | kind
    digits = 3 if head >> 14 else 2 if head >> 7 else 1
    code = address - _DATA_BUS + _INSTRUCTION_BUS
    end = offset + length
    if kind & 3 != _NATIVE:
        instead, after = _jump(code), b""
    else:  # a word, its code, its prelude; behind it where the prelude begins
        file.seek(end)
        prelude = 0
        while True:
            digit = file.read(1)[0]
            end += 1
            prelude = prelude << 7 | digit & 0x7F
            if digit < 0x80:
                break
        instead = bytes(bytearray_at(address, 4)) + _jump(code + 4)
        after = _number(len(instead), end - offset - length)
        instead += bytes(bytearray_at(address + prelude, length - prelude))
    return offset - digits, end, _number(len(instead) << 3 | kind, digits) + instead + after


class _Changed(io.IOBase):
    """A file that is read from `at` with some of its bytes changed."""

    def __init__(self, file, at, changes):
        self._file = file
        self._changes = changes  # in their order
        self._at = at
        self._rest = b""
        file.seek(at)

    def readinto(self, buffer):
        into = memoryview(buffer)
        done = 0
        while done < len(into):
            if not self._rest and self._changes and self._at == self._changes[0][0]:
                _, self._at, self._rest = self._changes.pop(0)
                self._file.seek(self._at)
            if self._rest:
                count = min(len(self._rest), len(into) - done)
                into[done : done + count] = self._rest[:count]
                self._rest = self._rest[count:]
            else:
                end = len(into)
                if self._changes:
                    end = min(end, done + self._changes[0][0] - self._at)
                count = self._file.readinto(into[done:end])
                if not count:
                    break
                self._at += count
            done += count
        return done

    def ioctl(self, request, argument):
        return 128 if request == _GET_BUFFER_SIZE else 0

    def close(self):
        self._file.close()


def through(file, at, machine_code):
    """The file, to be read from `at`: a jump to flash instead of machine code.

    machine_code: (offset, length, address on the data bus) of each piece, in their order.
    """
    changes = [_changed(file, *piece) for piece in machine_code]
    changes = [change for change in changes if change]
    if changes:
        return _Changed(file, at, changes)
    file.seek(at)
    return file
