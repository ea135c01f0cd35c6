"""A blank node's way in over Bluetooth: it advertises, takes session messages from whoever connects, and answers.

    advertise --somebody connects--> connection --silent, lost, or protocol error--> advertise

With Improv, its service stands beside. While its window is open its advertisement is the one that is sent, and the
node's own the scan response: neither leaves room for the other.
"""

import asyncio
import time

import aioble
from micropython import const

from links import ble_mtu

_INTERVAL_US = const(250_000)
_SLICE_MS = const(1000)  # how old what the advertisement says may be
_SILENCE_MS = const(120_000)  # a technician who types takes his time; the session outlives the connection
_RETRIES = const(50)  # of a packet that the stack has no room for, 20 ms apart

_IMPROV = "00467768-6228-2272-4663-2774782680{:02x}"
_IMPROV_COMMAND = const(3)
_IMPROV_CAPABILITIES = const(5)
_IMPROV_MAX = const(244)


def improv_advertisement(uuid, state, capabilities):
    """Service UUID, and service data 0x4677: with flags it is 31 bytes, all that an advertisement has (BLE 2.2)."""
    return b"\x02\x01\x06\x11\x07" + bytes(uuid) + b"\x09\x16\x77\x46" + bytes((state, capabilities, 0, 0, 0, 0))


class Doorway:
    """gatt: quaver_wire.gatt_session; chunks: quaver_wire.chunks; uuid: makes a UUID of what they name.

    identity: 8 bytes; state: of the advertisement. serve(message, send): a coroutine, works on one session message.
    improv: makes links.improv's Improv of its `emit`; or None.
    """

    def __init__(self, gatt, chunks, uuid, identity, state, serve, improv=None):
        self._gatt = gatt
        self._chunks = chunks
        self._serve = serve
        self._own = gatt.service_data(identity, state)
        self._alone = gatt.advertisement(identity, state)
        self._connection = None
        self._heard = 0
        self.refused = 0  # connections that a protocol error ended
        self._incoming = chunks.Assembler(gatt.MESSAGE_MAX)
        self._chunk = bytearray(chunks.SIZE_MAX)
        self._view = memoryview(self._chunk)
        aioble.config(mtu=gatt.MTU)
        service = aioble.Service(uuid(gatt.SERVICE))
        self._up = aioble.Characteristic(service, uuid(gatt.TO_HOST), notify=True)
        self._down = self._inlet(service, uuid(gatt.TO_NODE), chunks.SIZE_MAX)
        services = [service]
        self._improv = None
        if improv:
            services.append(self._improv_service(uuid))
            self._improv = improv(self._emit)
        aioble.register_services(*services)

    def _inlet(self, service, uuid, size):
        return aioble.BufferedCharacteristic(
            service, uuid, write=True, write_no_response=True, capture=True, max_len=size
        )

    def _improv_service(self, uuid):
        self._improv_uuid = uuid(_IMPROV.format(0))
        service = aioble.Service(self._improv_uuid)
        self._said = {}  # by what `emit` is given: state, error, result
        for kind, initial in ((1, b"\x01"), (2, b"\x00"), (4, b"")):
            which = uuid(_IMPROV.format(kind))
            self._said[kind] = aioble.Characteristic(service, which, read=True, notify=True, initial=initial)
        self._command = self._inlet(service, uuid(_IMPROV.format(_IMPROV_COMMAND)), _IMPROV_MAX)
        which = uuid(_IMPROV.format(_IMPROV_CAPABILITIES))
        self._capabilities = aioble.Characteristic(service, which, read=True)
        return service

    def _emit(self, kind, data):
        self._said[kind].write(data, send_update=True)

    async def run(self, window_s=0):
        """Serve until it is cancelled; window_s: seconds from now in which Improv takes a network."""
        if self._improv:
            self._capabilities.write(bytes((self._improv.capabilities(),)))
            self._improv.open(window_s)
            improving = asyncio.create_task(self._improve())
        try:
            while True:
                connection = await self._advertise()
                if connection is None:
                    return
                self._connection = connection
                try:
                    await self._attend(connection)
                except (OSError, ValueError, asyncio.TimeoutError, aioble.DeviceDisconnectedError) as error:
                    if isinstance(error, ValueError):
                        self.refused += 1
                        print("node: Bluetooth peer refused: {}".format(error))
                self._connection = None
                if self._improv:
                    self._improv.forget()
                try:
                    await connection.disconnect(timeout_ms=2000)
                except (OSError, asyncio.TimeoutError):
                    pass  # the supervision timeout ends it
        finally:
            if self._improv:
                improving.cancel()

    def close(self):
        """Switch Bluetooth off."""
        aioble.stop()

    async def _advertise(self):
        while True:
            first, second = self._alone, None
            if self._improv and self._improv.tick():
                improv = self._improv
                first = improv_advertisement(self._improv_uuid, improv.state, improv.capabilities())
                second = self._own
            try:
                return await aioble.advertise(_INTERVAL_US, adv_data=first, resp_data=second, timeout_ms=_SLICE_MS)
            except asyncio.TimeoutError:
                pass

    async def _attend(self, connection):
        self._incoming.reset()
        self._heard = time.ticks_ms()
        while True:
            left = _SILENCE_MS - time.ticks_diff(time.ticks_ms(), self._heard)
            if left <= 0:
                return
            try:
                with connection.timeout(left):
                    sender, chunk = await self._down.written()
            except asyncio.TimeoutError:
                continue  # Improv may have heard something
            if sender is not connection:
                continue  # the last words of a connection that is gone
            self._heard = time.ticks_ms()
            message = self._incoming.feed(chunk)
            if message is not None:
                await self._serve(message, self._send)
                self._heard = time.ticks_ms()

    async def _improve(self):
        """Beside the connections: a network is joined to the end, whoever hangs up meanwhile."""
        while True:
            sender, part = await self._command.written()
            if sender is self._connection:
                self._heard = time.ticks_ms()
                await self._improv.write(part)
                self._heard = time.ticks_ms()

    async def _send(self, message):
        """Best effort: what does not reach the host, it asks for again."""
        connection = self._connection
        size = min(ble_mtu.of(connection) - 3, self._chunks.SIZE_MAX)
        for length in self._chunks.split(message, size, self._chunk, self._gatt.MESSAGE_MAX):
            for attempt in range(_RETRIES):
                if not connection.is_connected():
                    return
                try:
                    self._up.notify(connection, self._view[:length])
                    break
                except OSError:
                    await asyncio.sleep_ms(20)
            else:
                return
