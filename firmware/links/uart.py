"""The node's end of the wired link: on a serial line it hails, and hands a gateway that answers what waits.

    hail --a gateway answers with HELLO--> connection
    hail --it does not within a second--> hail again
    connection --the gateway says BYE, time over, silence, protocol error--> hail again, a second after the last time

The frames are quaver_wire/wired.py's; what is said in a connection: links/visit.py. A frame that noise has broken is
not heard, so the connection ends in silence and what was said in it is said anew in the next one.
"""

import asyncio
import time

from micropython import const

from links.visit import Visited

_HAIL_MS = const(1000)
_VISIT_S = const(30)
_PIECE = const(128)  # bytes; what is more than a UART's buffer of 256 holds the processor until it has left


class Uart(Visited):
    """wired: of quaver_wire. uart: a machine.UART with timeout=0 that holds a whole frame while the processor measures;
    baudrate: its. node_id: 8 bytes. The others: as of Visited.
    """

    def __init__(self, wired, uart, baudrate, gatt, gateways, outbox, node_id, clock, recorder, mailbox, progress):
        super().__init__("uart", gatt, gateways, outbox, {"visit_s": _VISIT_S}, clock, recorder, mailbox, progress)
        self._wired = wired
        self._uart = uart
        self._stream = asyncio.StreamReader(uart)
        self._node_id = node_id
        self._frames = wired.Frames(wired.GATEWAY, wired.DOWNLINK_MAX)
        self._out = bytearray(wired.frame_size(wired.UPLINK_MAX))
        self._view = memoryview(self._out)
        self._piece_ms = _PIECE * 10_000 // baudrate + 1
        self._first = bytearray(1)
        self._came: list = []  # messages that were heard and not yet asked for

    async def run(self):
        while True:
            self._progress("uart")
            self._gateways.begin()
            began = time.ticks_ms()
            if await self._hail():
                await self._attend()
            await asyncio.sleep_ms(_HAIL_MS - time.ticks_diff(time.ticks_ms(), began))

    async def _hail(self):
        """Whether a gateway answers with a connection."""
        state, waiting = self._state()
        self._came.clear()
        await self.send(self._wired.hail(state, self._node_id, waiting))
        ends = time.ticks_add(time.ticks_ms(), _HAIL_MS)
        while True:
            try:
                hello = await self.recv(time.ticks_diff(ends, time.ticks_ms()))
                if hello[0] == self._gatt.HELLO:
                    self._came.insert(0, hello)
                    return True
            except EOFError:
                pass  # it has nothing to say; like any other message, it may also be of a connection that is over
            except asyncio.TimeoutError:
                return False

    async def send(self, message):
        end = self._wired.put_frame(self._out, self._wired.NODE, message)
        for at in range(0, end, _PIECE):
            if at:
                await asyncio.sleep_ms(self._piece_ms)
            self._uart.write(self._view[at : min(at + _PIECE, end)])

    async def recv(self, limit_ms):
        uart = self._uart
        ends = time.ticks_add(time.ticks_ms(), limit_ms)
        while not self._came:
            left = time.ticks_diff(ends, time.ticks_ms())
            if left <= 0:
                raise asyncio.TimeoutError
            if await asyncio.wait_for_ms(self._stream.readinto(self._first), left):
                # what is there and no more: to wait for the next byte would hold the processor
                self._came += self._frames.feed(bytes(self._first) + (uart.read(uart.any()) or b""))
        message = self._came.pop(0)
        if message[0] == self._wired.BYE:
            raise EOFError
        return message
