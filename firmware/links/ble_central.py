"""A gateway's end of the Bluetooth link: it finds nodes, connects to them and takes what they have.

The messages are quaver_wire/gatt.py's, each with the tag of quaver_wire/link.py. A record is acknowledged after `store`
has taken it, never before. The node may be an attacker: each step has a limit, each message is bounded, and a protocol
error ends the connection as a LinkError.
"""

import asyncio
import time
from collections import deque

import aioble
from micropython import const

from links.errors import LinkError

_SCAN_US = const(30_000)  # interval and window: the receiver is always open
_STEP_MS = const(4000)  # of each step of setting up
_INTERVAL_US = const(15_000)  # between connection events: setting up is a dozen questions, each waits for one
_CANCEL_MS = const(100)
_SILENCE_MS = const(5000)  # between two messages
_QUEUE = const(64)  # chunks that may wait: the longest message has 35 at the smallest MTU


class _Buffers:
    """What one connection needs: a chunk to send, and the message that comes; its chunks' size, and its session."""

    def __init__(self, chunks):
        self.chunk = bytearray(chunks.SIZE_MAX)
        self.view = memoryview(self.chunk)
        self.incoming = chunks.Assembler()
        self.size = 0
        self.session = None


class Central:
    """gatt, chunks: the modules of quaver_wire; uuid: makes a UUID of what they name.

    visit_s: the longest connection; records: the most that one connection takes, and how many chunks of a release it
    gives; connections: how many at once.
    """

    def __init__(self, gatt, chunks, uuid, visit_s, records, connections=1):
        self._gatt = gatt
        self._chunks = chunks
        self._service = uuid(gatt.SERVICE)
        self._uplink = uuid(gatt.UPLINK)
        self._downlink = uuid(gatt.DOWNLINK)
        self._visit_ms = visit_s * 1000
        self._records = records
        self._free = [_Buffers(chunks) for _ in range(connections)]
        self._begun = False

    async def scan(self, duration_ms, found):
        """found(device, node_id, state, waiting, rssi) for each advertisement of a node; True from it ends the scan."""
        if not self._begun:  # the stack's memory is held back on an ESP32 until all is built
            aioble.config(mtu=self._gatt.MTU)
            self._begun = True
        async with aioble.scan(duration_ms, _SCAN_US, _SCAN_US) as scanner:
            async for result in scanner:
                if result.adv_data:
                    node = self._gatt.parse_advertisement(result.adv_data)
                    if node and found(result.device, node[0], node[1], node[2], result.rssi):
                        return

    async def connect(self, device):
        """A connection to `device`, for `collect`; one call at a time, and none during a scan. Raises LinkError."""
        try:
            return await device.connect(_STEP_MS, None, _INTERVAL_US, _INTERVAL_US)
        except (OSError, asyncio.TimeoutError):
            # The stack goes on trying, and takes no other connection meanwhile, until it is told to stop.
            try:
                aioble.core.ble.gap_connect(None)
            except OSError:
                pass  # NimBLE: it was not trying
            await asyncio.sleep_ms(_CANCEL_MS)
            raise LinkError("no connection")

    async def collect(self, connection, link, unix_ms, commands, store, content):
        """Collect what waits at a connected node, and disconnect; returns how many records it gave.

        link: has `hello` and answered(message) -> session, as gateway.link_keys; None for a node that knows no keys.
        unix_ms(): the time now, ms since 1970. commands: a list of bytes, or what acts as one; each that arrived is
        popped. store(message_class, payload): awaited; True when the record is on flash, which acknowledges it.
        content(digest, number): awaited; the chunk of a release, b"" for none, None when it can't be asked for now.
        Raises LinkError: whatever was acknowledged before stays so.
        """
        buffers = self._free.pop()
        try:
            return await self._collect(connection, buffers, link, unix_ms, commands, store, content)
        except asyncio.TimeoutError:
            raise LinkError("node does not answer")
        except aioble.DeviceDisconnectedError:
            raise LinkError("connection lost")
        except (aioble.GattError, ValueError) as error:
            raise LinkError("protocol error ({})".format(error))
        finally:
            self._free.append(buffers)
            try:
                await connection.disconnect(timeout_ms=2000)
            except (OSError, asyncio.TimeoutError):
                pass  # the supervision timeout ends it

    async def _collect(self, connection, buffers, link, unix_ms, commands, store, content):
        gatt = self._gatt
        ends = time.ticks_add(time.ticks_ms(), self._visit_ms)
        mtu = await connection.exchange_mtu(gatt.MTU, timeout_ms=_STEP_MS)
        with connection.timeout(_STEP_MS):
            service = await connection.service(self._service)
            if service is None:
                raise ValueError("no service")
            up = down = None
            async for found in service.characteristics():
                if found.uuid == self._uplink:
                    up = found
                elif found.uuid == self._downlink:
                    down = found
            if up is None or down is None:
                raise ValueError("no characteristic")
            # aioble keeps one notification and forgets the ones before it.
            up._notify_queue = deque((), _QUEUE)
            await up.subscribe(notify=True)
        buffers.incoming.reset()
        buffers.size = min((mtu or 23) - 3, self._chunks.SIZE_MAX)
        buffers.session = None
        if link:
            await self._send(buffers, down, link.hello, False)
            answer = await self._message(connection, buffers, up, _STEP_MS)
            if answer[0] == gatt.REFUSED:
                raise LinkError("node refuses the link key")
            try:
                buffers.session = link.answered(answer)
            except ValueError:
                raise LinkError("node does not prove the link key")
        await self._send(buffers, down, gatt.time_message(unix_ms()), True)
        taken = given = 0
        while True:
            left = min(_SILENCE_MS, time.ticks_diff(ends, time.ticks_ms()))
            if left <= 0:
                raise asyncio.TimeoutError
            message = await self._message(connection, buffers, up, left)
            if buffers.session:
                message = buffers.session.check(message)
            kind, number, payload = gatt.parse_uplink(message)
            if kind == gatt.END:
                if not commands:
                    return taken
                await self._send(buffers, down, gatt.command(commands[0]), True)
                commands.pop(0)
                continue
            if kind == gatt.WANT:
                if given >= self._records or time.ticks_diff(ends, time.ticks_ms()) < _STEP_MS:
                    return taken  # it goes on with the next connection; others have their turn
                if commands:
                    await self._send(buffers, down, gatt.command(commands[0]), True)
                    commands.pop(0)
                found = await content(payload, number)
                if found:
                    message = gatt.content(number, found)
                else:
                    message = gatt.absent(gatt.LATER if found is None else gatt.NONE)
                await self._send(buffers, down, message, True)
                given += 1
                continue
            if not await store(gatt.RECORD_CLASSES[kind], payload):
                raise LinkError("flash is full")
            await self._send(buffers, down, gatt.ack(number), False)
            taken += 1
            if taken >= self._records:
                return taken

    async def _message(self, connection, buffers, up, limit_ms):
        """The next message. Past aioble's own `notified`, which can wait for ever once its queue has held more."""
        with connection.timeout(limit_ms):
            while True:
                while not up._notify_queue:
                    await up._notify_event.wait()
                message = buffers.incoming.feed(up._notify_queue.popleft())
                if message is not None:
                    return message

    async def _send(self, buffers, down, message, response):
        if buffers.session:
            message = buffers.session.sign(message)
        for length in self._chunks.split(message, buffers.size, buffers.chunk, self._gatt.CONTENT_MAX):
            await down.write(buffers.view[:length], response=response, timeout_ms=_STEP_MS)
