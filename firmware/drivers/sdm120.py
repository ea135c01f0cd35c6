"""Eastron SDM120, a single-phase energy meter, over Modbus RTU on a UART (1,200 to 9,600 baud).

SDM120 Modbus protocol: input registers (function 04), each value an IEEE 754 float in two registers, high
word first. Frames and CRC: Modbus over serial line V1.02, section 2.5.1 and appendix B. One value a request:
what a meter answers for the gaps between its registers is nowhere promised, and one that it does not have costs no
other.

An answer names neither its register nor its request. So it is looked for in all that comes (an adapter may echo the
request, a transceiver that turns round may add bytes), and nothing is asked before the line was silent: after a
failure for a second, so that an answer that comes too late is not taken for that of the next request.
"""

import asyncio
import time

from micropython import const

if False:  # types alone: never compiled
    from machine import UART, Pin

_READ_INPUT = const(4)
_EXCEPTION = const(0x80)
_REQUEST_BYTES = const(8)
_REPLY_BYTES = const(9)  # address, function, byte count, four bytes, CRC
_EXCEPTION_BYTES = const(5)
_ROOM = const(40)  # for an echo, an answer, and as much noise again
_POLL_MS = const(5)
_SILENCE_MS = const(35)  # between frames: 3.5 characters, 32 ms at 1,200 baud with parity
_LATE_MS = const(1000)  # after a request whose answer did not come
_RESTLESS = const(5)  # silences that were broken, after which the line is not worth waiting for

# V, A, W, VA, power factor, Hz, kWh in total (imported and exported)
_REGISTERS = (0x0000, 0x0006, 0x000C, 0x0012, 0x001E, 0x0046, 0x0156)

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_BROKEN = const(201)
_REFUSED = const(206)
_NO_NUMBER = const(207)
_ECHO = const(208)
_OTHER_ADDRESS = const(209)


def crc16(data: bytes | bytearray, end: int, at: int = 0) -> int:
    """CRC-16/MODBUS of `data` from `at` to before `end`; 0 of a frame with its own CRC at the end."""
    crc = 0xFFFF
    for i in range(at, end):
        crc ^= data[i]
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def milli(data: bytes | bytearray, at: int) -> int | None:
    """The big-endian IEEE 754 single at `at`, in thousandths, rounded; in integers, so that no port rounds else.

    None for what is no number, or is 2**21 or more.
    """
    exponent = (data[at] & 0x7F) << 1 | data[at + 1] >> 7
    if exponent > 147:
        return None
    if exponent < 110:  # below 2**-17, which is 0.000008
        return 0
    mantissa = (data[at + 1] & 0x7F | 0x80) << 16 | data[at + 2] << 8 | data[at + 3]
    shift = 150 - exponent
    value = mantissa * 1000 + (1 << shift - 1) >> shift
    return -value if data[at] & 0x80 else value


class SDM120:
    """uart: a machine.UART with timeout=0; address: the meter's, 1..247; timeout_ms: for one value.

    direction: an output that is 1 while an RS-485 transceiver is to send (DE and /RE tied together), or None.
    absent: why some values of the last reading are None, each as OSError's arguments.
    """

    def __init__(self, uart: "UART", address: int = 1, direction: "Pin | None" = None, timeout_ms: int = 400) -> None:
        self._uart = uart
        self._direction = direction
        self._timeout_ms = timeout_ms
        self.absent: list[tuple] = []
        self._request = bytearray(_REQUEST_BYTES)
        self._request[0] = address
        self._request[1] = _READ_INPUT
        self._request[5] = 2
        self._reply = bytearray(_ROOM)
        # before a request, ms; an answer may be on its way at the start, to a program that ran before this one
        self._silence = _LATE_MS

    def probe(self) -> None:
        """Nothing to ask: a Modbus line has no identity, and read() is the proof of the meter."""

    async def read(self) -> list[int | None]:
        """Read all values: mV, mA, mW, mVA, power factor × 1000, mHz, Wh; None for one that the meter does not give.

        The power and its factor are negative while power flows back. Takes 1 s at 2,400 baud. Raises OSError without
        an answer (a broken one is asked for once more), and when the meter gives no value at all: a number of
        quaver_wire.reasons, and a detail.
        """
        values = []
        self.absent.clear()
        for register in _REGISTERS:
            value = None
            for again in (True, False):
                try:
                    value = await self.read_input(register)
                    break
                except OSError as error:
                    reason = error.args[0]
                    if _REFUSED <= reason <= _NO_NUMBER:
                        self.absent.append(error.args)
                        break
                    if reason != _BROKEN or not again:
                        raise
            values.append(value)
        if len(self.absent) == len(values):
            raise OSError(*self.absent[0])
        return values

    async def read_input(self, register: int) -> int:
        """Read one input register pair, in thousandths of its unit. Raises OSError as read() does."""
        uart = self._uart
        reply = self._reply
        request = self._request
        tries = _RESTLESS
        await asyncio.sleep_ms(self._silence)
        while uart.any():
            uart.readinto(reply)
            if not tries:
                raise OSError(_BROKEN)
            tries -= 1
            await asyncio.sleep_ms(self._silence)

        request[2] = register >> 8
        request[3] = register & 0xFF
        crc = crc16(request, _REQUEST_BYTES - 2)
        request[6] = crc & 0xFF
        request[7] = crc >> 8
        self._silence = _LATE_MS
        direction = self._direction
        if direction:
            direction(1)
            try:
                uart.write(request)
                uart.flush()  # until the last stop bit has left, and no longer: the answer follows within characters
            finally:
                direction(0)
        else:
            uart.write(request)

        deadline = time.ticks_add(time.ticks_ms(), self._timeout_ms)
        count = 0
        over = False
        while not over:
            # looked at first: what another task held this one up for, the answer has not taken
            over = time.ticks_diff(deadline, time.ticks_ms()) <= 0
            if not uart.any():
                await asyncio.sleep_ms(_POLL_MS)
                continue
            if count == _ROOM:  # of noise; an answer may have begun in it
                count = _REPLY_BYTES - 1
                reply[:count] = reply[_ROOM - count :]
            count += uart.readinto(memoryview(reply)[count:]) or 0
            at = self._find(count, request[0])
            if at < 0:
                continue
            self._silence = _SILENCE_MS
            if reply[at + 1] & _EXCEPTION:
                raise OSError(_REFUSED, register << 8 | reply[at + 2])
            value = milli(reply, at + 3)
            if value is None:
                raise OSError(_NO_NUMBER, register)
            return value
        if not count:
            raise OSError(_NO_ANSWER)
        if reply[:count] in request:
            raise OSError(_ECHO)
        at = self._find(count, None)
        if at < 0:
            raise OSError(_BROKEN)
        raise OSError(_OTHER_ADDRESS, reply[at])

    def _find(self, count: int, address: int) -> int | None:
        """Where in the first `count` bytes a whole answer begins: of that address, or of any for None; else -1."""
        reply = self._reply
        for at in range(count - _EXCEPTION_BYTES + 1):
            end = at + _EXCEPTION_BYTES
            if reply[at + 1] == _READ_INPUT and reply[at + 2] == 4:
                end = at + _REPLY_BYTES
            elif reply[at + 1] != _READ_INPUT | _EXCEPTION:
                continue
            if address in (None, reply[at]) and end <= count and not crc16(reply, end, at):
                return at
        return -1
