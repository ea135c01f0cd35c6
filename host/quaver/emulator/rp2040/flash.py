"""What rp2040py's flash lacks: the unique number that is the board's `machine.unique_id()`, and power that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_READ_UNIQUE_ID = 0x4B  # W25Q16JV datasheet, 8.2.34: command, four dummy bytes, 64 bits
_FIRST = 5
_PROGRAM, _ERASE_SECTOR, _ERASE_BLOCK = 0x02, 0x20, 0xD8  # the same datasheet, 8.1.2
_DATA = 4  # behind the command and its address
_SECTOR = 4096
_SOON_NS = 1000


def give_unique_id(mcu: Any, number: bytes) -> None:
    """Let the chip's flash answer the unique-number command with these 8 bytes."""
    ssi = mcu.ssi
    plain = ssi._shift_byte

    def shift(byte: int) -> int:
        answer: int = plain(byte)
        sent = ssi._tx_buffer
        if sent[0] == _READ_UNIQUE_ID and _FIRST <= len(sent) - 1 < _FIRST + len(number):
            return number[len(sent) - 1 - _FIRST]
        return answer

    ssi._shift_byte = shift


class PowerCut:
    """Takes the board's power away at a flash operation: a page that is programmed, or a sector that is erased.

    restore: called once the board is dark; it starts it again.
    """

    def __init__(self, mcu: Any, restore: Callable[[], None]) -> None:
        self._mcu = mcu
        self._ssi = mcu.ssi
        self._plain = self._ssi._apply_command
        self._ssi._apply_command = self._apply
        self._restore = restore
        self._dark = mcu.clock.create_alarm(self._back)
        self._left = 0  # operations to the cut; 0: none is due
        self._torn = False
        self._off = False

    def arm(self, operation: int, torn: bool) -> int:
        """Cut at the operation-th from now, 1 for the next: before it does anything, or torn, half way through it.
        Returns how many operations there were to an earlier cut."""
        left, self._left = self._left, operation
        self._torn = torn
        return left

    def _apply(self) -> None:
        command = self._ssi._tx_buffer
        if not command or command[0] not in (_PROGRAM, _ERASE_SECTOR, _ERASE_BLOCK) or not self._ssi._write_enabled:
            self._plain()
            return
        if self._off:
            self._ssi._tx_buffer = bytearray()
            return
        if self._left:
            self._left -= 1
            if not self._left:
                self._cut(command)
                return
        self._plain()

    def _cut(self, command: bytearray) -> None:
        if self._torn:
            if command[0] == _PROGRAM:
                self._ssi._tx_buffer = command[: _DATA + (len(command) - _DATA) // 2]
                self._plain()
            else:
                address = int.from_bytes(command[1:_DATA], "big") & ~(_SECTOR - 1)
                self._mcu.flash[address : address + _SECTOR // 2] = b"\xff" * (_SECTOR // 2)
        self._off = True
        self._ssi._tx_buffer = bytearray()
        self._dark.schedule(_SOON_NS)  # not from within an instruction

    def _back(self) -> None:
        self._off = False
        self._restore()
