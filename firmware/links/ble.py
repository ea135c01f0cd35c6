"""The node's end of the Bluetooth link: it advertises, hands a gateway what waits, and rests.

    rest --its time is over, or an event waits--> advertise --a gateway connects--> connection
    advertise --its window is over--> rest; with an event waiting, soon after a command or a chunk, or with new firmware
                                      on trial, advertise on
    connection --all sent, time over, connection lost, protocol error--> rest
    connection --no proof of a link key--> advertise, until the window is over

What is said in a connection: links/visit.py.
"""

import asyncio
import time

import aioble
from micropython import const

from links import ble_mtu
from links.visit import Visited

_SLICE_MS = const(1000)  # how old what the advertisement says may be
_TALK_MS = const(30_000)  # after a command, or a chunk, without rest: there are likely to be more
_REST = const(1)  # a place of build.hang
_RETRIES = const(50)  # of a packet that the stack has no room for, 20 ms apart


class Ble(Visited):
    """chunks: of quaver_wire; uuid: makes a UUID of what gatt and it name; node_id: 8 bytes. The others: as of Visited.

    about: (model, firmware), texts; timing: interval_ms (between advertisements), window_s (of advertising) and rest_s
    beside that of Visited.
    """

    def __init__(
        self, gatt, chunks, uuid, gateways, outbox, node_id, about, timing, clock, recorder, mailbox, progress
    ):
        super().__init__("ble", gatt, gateways, outbox, timing, clock, recorder, mailbox, progress)
        self._chunks = chunks
        self._node_id = node_id
        self._advertisement = bytearray(gatt.ADVERTISEMENT)
        self._chunk = bytearray(chunks.SIZE_MAX)
        self._view = memoryview(self._chunk)
        self._limit = gatt.DOWNLINK_MAX  # bytes of a message that comes
        self._incoming = chunks.Assembler(self._limit)
        self._connection = None
        service = aioble.Service(uuid(gatt.SERVICE))
        self._up = aioble.Characteristic(service, uuid(gatt.UPLINK), notify=True)
        self._down = aioble.BufferedCharacteristic(
            service,
            uuid(gatt.DOWNLINK),
            write=True,
            write_no_response=True,
            capture=True,
            max_len=chunks.SIZE_MAX,
        )
        information = aioble.Service(uuid(gatt.DEVICE_INFORMATION))
        serial = "".join("{:02x}".format(b) for b in node_id)
        for kind, text in ((gatt.MODEL, about[0]), (gatt.SERIAL, serial), (gatt.FIRMWARE, about[1])):
            aioble.Characteristic(information, uuid(kind), read=True, initial=text.encode())
        self._services = [service, information]  # until they are registered
        self._awake = 0  # since when it advertises
        self._wanted = None  # what of the mailbox's wants has ended a rest

    def begin(self):
        """Start the stack, unless the board's start has (hal.chip.esp32), and register the services, once."""
        if self._services:
            aioble.config(mtu=self._gatt.MTU)
            aioble.register_services(*self._services)
            self._services = None

    async def run(self):
        self.begin()
        self._awake = time.ticks_ms()
        while True:
            self._gateways.begin()  # with the radio on: an ESP32's generator has its noise from there
            connection = await self._advertise()
            if connection is not None:
                self._connection = connection
                await self._attend()
                await self._leave()
                if not self._proved and self._since(self._awake, self._timing["window_s"] * 1000):
                    continue  # a stranger takes nobody's turn
            await self._rest()
            self._awake = time.ticks_ms()

    async def _advertise(self):
        """Advertise for the window, and on for as long as an event waits; returns a connection, or None."""
        while True:
            self._progress("ble")
            state, waiting = self._state()
            self._gatt.put_advertisement(self._advertisement, self._node_id, state, waiting)
            try:
                return await aioble.advertise(
                    self._timing["interval_ms"] * 1000, adv_data=self._advertisement, timeout_ms=_SLICE_MS
                )
            except asyncio.TimeoutError:
                if not self._stays(state & self._gatt.ALARM):
                    return None

    def _stays(self, urgent):
        return urgent or self._since(self._awake, self._timing["window_s"] * 1000)

    async def _rest(self):
        """Sleep until it is time, or an event comes."""
        began = time.ticks_ms()
        while not self._urgent() and not self._since(self._talked, _TALK_MS) and not self._updates():
            self._progress("ble", _REST)
            left = self._timing["rest_s"] * 1000 - time.ticks_diff(time.ticks_ms(), began)
            if left <= 0:
                return
            self._outbox.filled.clear()
            try:
                await asyncio.wait_for_ms(self._outbox.filled.wait(), min(left, 30_000))
            except asyncio.TimeoutError:
                pass

    def _updates(self):
        """Whether an update forbids to rest: firmware on trial that is not acknowledged yet, or a new want, once."""
        wanted = self._wants()
        new = wanted is not None and wanted != self._wanted
        self._wanted = wanted
        return new or (self._mailbox and self._mailbox.on_trial and not self._mailbox.acknowledged)

    async def _leave(self):
        try:
            await self._connection.disconnect(timeout_ms=2000)
        except (OSError, asyncio.TimeoutError):
            pass  # the supervision timeout ends it
        self._connection = None

    async def _prove(self):
        # BTstack would advertise again by itself once the connection ends, while nobody attends to it.
        aioble.core.ble.gap_advertise(None)
        await super()._prove()

    def _is_there(self):
        return self._connection.is_connected()

    async def recv(self, limit_ms):
        """limit_ms: for each chunk."""
        while True:
            try:
                with self._connection.timeout(self._left(limit_ms)):
                    sender, chunk = await self._down.written()
            except aioble.DeviceDisconnectedError as error:
                raise EOFError(type(error).__name__)
            if sender is not self._connection:
                continue  # the last words of a connection that is gone
            message = self._incoming.feed(chunk)
            if message is not None:
                return message

    def _expects(self, limit):
        """That of a release's chunk is there while one is wanted."""
        if self._limit != limit:
            self._limit = limit
            self._incoming = self._chunks.Assembler(limit)
        self._incoming.reset()

    async def send(self, message):
        connection = self._connection
        size = ble_mtu.of(connection) - 3
        for length in self._chunks.split(message, min(size, self._chunks.SIZE_MAX), self._chunk):
            for attempt in range(_RETRIES):
                if not connection.is_connected():  # aioble would take its handle for a number
                    raise EOFError("DeviceDisconnectedError")
                try:
                    self._up.notify(connection, self._view[:length])
                    break
                except OSError:
                    if attempt == _RETRIES - 1:
                        raise
                    await asyncio.sleep_ms(20)
