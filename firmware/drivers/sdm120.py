"""Eastron SDM120, a single-phase energy meter, over Modbus RTU on a UART (2,400 to 9,600 baud, 8N1).

SDM120 Modbus protocol: input registers (function 04), each value an IEEE 754 float in two registers, high
word first. Frames and CRC: Modbus over serial line V1.02, section 2.5.1 and appendix B. One value a request:
what a meter answers for the gaps between its registers is nowhere promised.
"""

import asyncio
import time
from array import array

from micropython import const

_READ_INPUT = const(4)
_EXCEPTION = const(0x80)
_REQUEST_BYTES = const(8)
_REPLY_BYTES = const(9)  # address, function, byte count, four bytes, CRC
_EXCEPTION_BYTES = const(5)
_POLL_MS = const(2)
_SILENCE_MS = const(20)  # between frames: 3.5 characters, 15 ms at 2,400 baud

# V, A, W, VA, power factor, Hz, kWh in total
_REGISTERS = (0x0000, 0x0006, 0x000C, 0x0012, 0x001E, 0x0046, 0x0156)

_EIO = const(5)
_ERANGE = const(34)
_ETIMEDOUT = const(110)


def crc16(data, count):
    """CRC-16/MODBUS of the first `count` bytes of `data`."""
    crc = 0xFFFF
    for i in range(count):
        crc ^= data[i]
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def milli(data, at):
    """The big-endian IEEE 754 single at `at`, in thousandths, rounded; in integers, so that no port rounds else.

    Raises OSError: ERANGE for what is no number, or is 2**21 or more.
    """
    exponent = (data[at] & 0x7F) << 1 | data[at + 1] >> 7
    if exponent > 147:
        raise OSError(_ERANGE)
    if exponent < 110:  # below 2**-17, which is 0.000008
        return 0
    mantissa = (data[at + 1] & 0x7F | 0x80) << 16 | data[at + 2] << 8 | data[at + 3]
    shift = 150 - exponent
    value = mantissa * 1000 + (1 << shift - 1) >> shift
    return -value if data[at] & 0x80 else value


class SDM120:
    """uart: a machine.UART with timeout=0; address: the meter's, 1..247; timeout_ms: for one value.

    values: the last readings, as read() returns them.
    """

    def __init__(self, uart, address=1, timeout_ms=300):
        self._uart = uart
        self._timeout_ms = timeout_ms
        self.values = array("i", bytes(4 * len(_REGISTERS)))
        self._request = bytearray(_REQUEST_BYTES)
        self._request[0] = address
        self._request[1] = _READ_INPUT
        self._request[5] = 2
        self._reply = bytearray(_REPLY_BYTES)
        self._view = memoryview(self._reply)

    def probe(self):
        """Nothing to ask: a Modbus line has no identity, and read() is the proof of the meter."""

    async def read(self):
        """Read all values: mV, mA, mW, mVA, power factor × 1000, mHz, Wh.

        Takes about 0.3 s at 9,600 baud. Raises OSError: ETIMEDOUT without an answer (after timeout_ms), EIO for
        a broken or refusing one, ERANGE for a value that is no number.
        """
        for i, register in enumerate(_REGISTERS):
            self.values[i] = await self.read_input(register)
        return self.values

    async def read_input(self, register):
        """Read one input register pair, in thousandths of its unit. Raises OSError as read() does."""
        await asyncio.sleep_ms(_SILENCE_MS)
        while self._uart.any():  # what is left of an answer that came too late
            self._uart.readinto(self._reply)
        request = self._request
        request[2] = register >> 8
        request[3] = register & 0xFF
        crc = crc16(request, _REQUEST_BYTES - 2)
        request[6] = crc & 0xFF
        request[7] = crc >> 8
        self._uart.write(request)
        await self._receive()
        return milli(self._reply, 3)

    async def _receive(self):
        reply = self._reply
        deadline = time.ticks_add(time.ticks_ms(), self._timeout_ms)
        count = 0
        wanted = _REPLY_BYTES
        while count < wanted:
            if self._uart.any():
                count += self._uart.readinto(self._view[count:wanted]) or 0
                if count >= 2 and reply[1] & _EXCEPTION:
                    wanted = _EXCEPTION_BYTES
                continue
            if time.ticks_diff(deadline, time.ticks_ms()) <= 0:
                raise OSError(_ETIMEDOUT)
            await asyncio.sleep_ms(_POLL_MS)
        if crc16(reply, wanted - 2) != reply[wanted - 2] | reply[wanted - 1] << 8:
            raise OSError(_EIO)
        if reply[0] != self._request[0] or reply[1] != _READ_INPUT or reply[2] != 4:
            raise OSError(_EIO)
