"""The flash chip's unique number, which is the board's `machine.unique_id()`; rp2040py's chip has none."""

from __future__ import annotations

from typing import Any

_READ_UNIQUE_ID = 0x4B  # W25Q16JV datasheet, 8.2.34: command, four dummy bytes, 64 bits
_FIRST = 5

UNIQUE_ID = bytes.fromhex("e66164084373532c")
"""Every emulated board has this one: nothing about a run differs from the next."""


def give_unique_id(mcu: Any, number: bytes = UNIQUE_ID) -> None:
    """Let the chip's flash answer the unique-number command."""
    ssi = mcu.ssi
    plain = ssi._shift_byte

    def shift(byte: int) -> int:
        answer: int = plain(byte)
        sent = ssi._tx_buffer
        if sent[0] == _READ_UNIQUE_ID and _FIRST <= len(sent) - 1 < _FIRST + len(number):
            return number[len(sent) - 1 - _FIRST]
        return answer

    ssi._shift_byte = shift
