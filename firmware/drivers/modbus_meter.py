"""Energy meters over Modbus RTU on a UART (1,200 to 115,200 baud): which registers hold what is a table.

Frames and CRC: Modbus over serial line V1.02, section 2.5.1 and appendix B; functions 03 and 04: Modbus Application
Protocol V1.1b3, 6.3 and 6.4. One value a request: what a meter answers for the gaps between its registers is nowhere
promised, and one that it does not have costs no other; but for values without a gap that a meter of that make has.

An answer names neither its register nor its request. So it is looked for in all that comes (an adapter may echo the
request, a transceiver that turns round may add bytes), and nothing is asked before the line was silent: after a
failure for a second, so that an answer that comes too late is not taken for that of the next request.
"""

import asyncio
import time

from micropython import const

if False:  # types alone: never compiled
    from machine import UART, Pin

_EXCEPTION = const(0x80)
_REQUEST_BYTES = const(8)
_EXCEPTION_BYTES = const(5)  # as many as any answer has beside its values: address, function, byte count, CRC
_ROOM = const(90)  # for an echo, an answer of 41 bytes, and as much noise again
_VALUE_MS = const(40)  # four characters at 1,200 baud with parity
_POLL_MS = const(5)
_SILENCE_MS = const(35)  # between frames: 3.5 characters, 32 ms at 1,200 baud with parity
_LATE_MS = const(1000)  # after a request whose answer did not come
_RESTLESS = const(5)  # silences that were broken, after which the line is not worth waiting for
_MOST = const(2_097_152_000)  # thousandths; beyond it is no quantity of a machine

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


def milli(data: bytes | bytearray, at: int, kind: str, order: str, micro: int) -> int | None:
    """What lies at `at`, times `micro` millionths, in thousandths, rounded; in integers, so that no port rounds else.

    kind: "f" for an IEEE 754 single, "i" for a signed integer, "u" for an unsigned one. order: where its bytes lie,
    the highest is "A": "ABCD" for the protocol's own, "AB" for one of a single register. None for what is no number,
    or is 2**21 or more.
    """
    value = 0
    for byte in "ABCD"[: len(order)]:
        value = value << 8 | data[at + order.index(byte)]
    bits = 8 * len(order)
    negative = kind != "u" and value >> bits - 1
    shift = 0
    if kind == "f":
        exponent = value >> 23 & 0xFF
        if exponent > 190:  # 2**63 and more, and what is no number
            return None
        if exponent < 60:  # below 2**-66
            return 0
        value = (value & 0x7FFFFF | 0x800000) << 40
        shift = 190 - exponent
    elif negative:
        value = (1 << bits) - value
    value = (value * abs(micro) + (500 << shift)) // (1000 << shift)
    if value >= _MOST:
        return None
    return -value if bool(negative) != (micro < 0) else value


class ModbusMeter:
    """uart: a machine.UART with timeout=0; address: the meter's, 1..247; timeout_ms: for one value, and 40 ms for each
    that comes with it.

    registers: of the values that read() returns (function, register, kind, order, micro, count): as for `milli`, a
    value then in its unit; count: how many such, up to 9, lie there one after the other, and are asked for at once.
    None for a value that the meter does not have.
    direction: an output that is 1 while an RS-485 transceiver is to send (DE and /RE tied together), or None.
    absent: why some values of the last reading are None, each as OSError's arguments.
    """

    def __init__(
        self,
        uart: "UART",
        registers: list,
        address: int = 1,
        direction: "Pin | None" = None,
        timeout_ms: int = 400,
    ) -> None:
        self._uart = uart
        self._registers = registers
        self._direction = direction
        self._timeout_ms = timeout_ms
        self.absent: list[tuple] = []
        self._request = bytearray(_REQUEST_BYTES)
        self._request[0] = address
        self._reply = bytearray(_ROOM)
        # before a request, ms; an answer may be on its way at the start, to a program that ran before this one
        self._silence = _LATE_MS

    def probe(self) -> None:
        """Nothing to ask: a Modbus line has no identity, and read() is the proof of the meter."""

    async def read(self) -> list[int | None]:
        """Read all values: mV, mA, mW, mVA, power factor × 1000, mHz, Wh; None for one that the meter does not give.

        Of three phases behind these mV of L1 to L3, mA of each, mW of each. Powers and the factor are negative while
        power flows back. Takes 1 s at 2,400 baud. Raises OSError without an answer (a broken one is asked for once
        more), and when the meter gives no value at all: a number of quaver_wire.reasons, and a detail.
        """
        values: list[int | None] = []
        self.absent.clear()
        for row in self._registers:
            found: list[int | None] = [None] * (row[5] if row else 1)
            for again in (True, False) if row else ():
                try:
                    found = await self.read_registers(*row)
                    break
                except OSError as error:
                    reason = error.args[0]
                    if reason == _REFUSED:
                        self.absent.append(error.args)
                        break
                    if reason != _BROKEN or not again:
                        raise
            values += found
        if values.count(None) == len(values):
            raise OSError(*self.absent[0])
        return values

    async def read_registers(
        self, function: int, register: int, kind: str, order: str, micro: int, count: int
    ) -> list[int | None]:
        """Read `count` values, in thousandths of their unit; None for one that is no number, which `absent` tells.

        Raises OSError as read() does, and for what the meter refuses.
        """
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

        request[1] = function
        request[2] = register >> 8
        request[3] = register & 0xFF
        request[5] = count * len(order) >> 1
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

        deadline = time.ticks_add(time.ticks_ms(), self._timeout_ms + (count - 1) * _VALUE_MS)
        size = 2 * request[5]
        got = 0
        over = False
        while not over:
            # looked at first: what another task held this one up for, the answer has not taken
            over = time.ticks_diff(deadline, time.ticks_ms()) <= 0
            if not uart.any():
                await asyncio.sleep_ms(_POLL_MS)
                continue
            if got == _ROOM:  # of noise; an answer may have begun in it
                got = size + _EXCEPTION_BYTES - 1
                reply[:got] = reply[_ROOM - got :]
            got += uart.readinto(memoryview(reply)[got:]) or 0
            at = self._find(got, request[0])
            if at < 0:
                continue
            self._silence = _SILENCE_MS
            if reply[at + 1] & _EXCEPTION:
                raise OSError(_REFUSED, register << 8 | reply[at + 2])
            values = []
            for offset in range(0, size, len(order)):
                values.append(milli(reply, at + 3 + offset, kind, order, micro))
                if values[-1] is None:
                    self.absent.append((_NO_NUMBER, register + (offset >> 1)))
            return values
        if not got:
            raise OSError(_NO_ANSWER)
        if reply[:got] in request:
            raise OSError(_ECHO)
        at = self._find(got, None)
        if at < 0:
            raise OSError(_BROKEN)
        raise OSError(_OTHER_ADDRESS, reply[at])

    def _find(self, count: int, address: int | None) -> int:
        """Where in the first `count` bytes a whole answer begins: of that address, or of any for None; else -1."""
        reply = self._reply
        function = self._request[1]
        size = 2 * self._request[5]
        for at in range(count - _EXCEPTION_BYTES + 1):
            end = at + _EXCEPTION_BYTES
            if reply[at + 1] == function and reply[at + 2] == size:
                end += size
            elif reply[at + 1] != function | _EXCEPTION:
                continue
            if address in (None, reply[at]) and end <= count and not crc16(reply, end, at):
                return at
        return -1
