"""The node's end of the Bluetooth link: it advertises, hands a gateway what waits, and rests.

    rest --its time is over, or an event waits--> advertise --a gateway connects--> connection
    advertise --its window is over--> rest; with an event waiting, soon after a command or a chunk, or with new firmware
                                      on trial, advertise on
    connection --all sent, time over, connection lost, protocol error--> rest
    connection --no proof of a link key--> advertise, until the window is over

The messages are quaver_wire/gatt.py's. A record leaves the outbox when the gateway has acknowledged it, so an early
end of a connection loses no record. The peer may be an attacker: before it has proved a link key it gets no record, and
a second's time; a message that is not the next one of the protocol ends the connection, and so does silence.
"""

import asyncio
import time

import aioble
from micropython import const

from links import ble_mtu

_SLICE_MS = const(1000)  # how old what the advertisement says may be
_PROOF_MS = const(1000)  # from the connection until the peer has proved its link key
_ACK_MS = const(10_000)  # a gateway's flash is slow, but not that slow
_LINGER_MS = const(3000)  # after END, for commands
_ANSWER_MS = const(4000)  # for a command's answer, before END: a gateway does not wait longer for a sign of life
_MORE_MS = const(2500)  # for the next want, likewise; what is done with a chunk holds the processor up
_CONTENT_MS = const(10_000)  # for a chunk, which a gateway may have to ask its broker for
_STEP_MS = const(20)
_TALK_MS = const(30_000)  # after a command, or a chunk, without rest: there are likely to be more
_STATUS_MS = const(86_400_000)  # between two statuses: a broker may have lost the last one
_BY_GATEWAY = const(2)  # of a status: this node is heard through a gateway, in its turn
_REST, _VISIT = const(1), const(2)  # places of build.hang
_RETRIES = const(50)  # of a packet that the stack has no room for, 20 ms apart


class Ble:
    """gatt, chunks: the modules of quaver_wire; uuid: makes a UUID of what they name; node_id: 8 bytes.

    gateways: begin(), ready(), greet(message) and done(), as node.gateways has them.
    outbox: first() -> entry (message_class, payload) or None, done(entry), filled (an event), link(up), and a length.

    about: (model, firmware), texts; timing: interval_ms (between advertisements), window_s (of advertising), rest_s
    and visit_s (the longest connection). clock: set(ms since 1970) takes the time that a gateway brings. recorder:
    makes the status, and an event of what the outbox lost. mailbox: of node.mailbox, where commands go; None for a node
    that takes none. progress(name): tells the supervisor that the task of that name lives.
    """

    def __init__(
        self, gatt, chunks, uuid, gateways, outbox, node_id, about, timing, clock, recorder, mailbox, progress
    ):
        self._gatt = gatt
        self._chunks = chunks
        self._gateways = gateways
        self._outbox = outbox
        self._node_id = node_id
        self._timing = timing
        self._clock = clock
        self._recorder = recorder
        self._mailbox = mailbox
        self._progress = progress
        self._advertisement = bytearray(gatt.ADVERTISEMENT)
        self._chunk = bytearray(chunks.SIZE_MAX)
        self._view = memoryview(self._chunk)
        self._limit = gatt.DOWNLINK_MAX  # bytes of a message that comes
        self._incoming = chunks.Assembler(self._limit)
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
        self._session = None  # that of a peer which has not proved its key yet, or has
        self._proved = False
        self._awake = 0  # since when it advertises
        self._visit_ends = 0
        self._told = None  # when a gateway has acknowledged a status
        self._talked = None  # when the last command or chunk came
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
                try:
                    # BTstack would advertise again by itself once the connection ends, while nobody attends to it.
                    aioble.core.ble.gap_advertise(None)
                    await self._attend(connection)
                except (
                    OSError,
                    ValueError,
                    MemoryError,
                    asyncio.TimeoutError,
                    aioble.DeviceDisconnectedError,
                ) as error:
                    print("ble: connection ended: {}".format(str(error) or type(error).__name__))
                finally:
                    self._session = None
                    self._outbox.link(False)
                    if self._mailbox:
                        self._mailbox.is_online = False
                await self._leave(connection)
                if not self._proved and self._since(self._awake, self._timing["window_s"] * 1000):
                    continue  # a stranger takes nobody's turn
            await self._rest()
            self._awake = time.ticks_ms()

    def _urgent(self):
        entry = self._outbox.first()
        return entry is not None and entry.message_class == "event"

    async def _advertise(self):
        """Advertise for the window, and on for as long as an event waits; returns a connection, or None."""
        gatt = self._gatt
        while True:
            self._progress("ble")
            waiting = len(self._outbox)
            urgent = self._urgent()
            state = gatt.SECRET | (gatt.PENDING if waiting or self._wants() else 0) | (gatt.ALARM if urgent else 0)
            gatt.put_advertisement(self._advertisement, self._node_id, state, waiting)
            try:
                return await aioble.advertise(
                    self._timing["interval_ms"] * 1000, adv_data=self._advertisement, timeout_ms=_SLICE_MS
                )
            except asyncio.TimeoutError:
                if not self._stays(urgent):
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

    def _wants(self):
        """What of a release a gateway is to be asked for, or None."""
        return self._mailbox.wanted if self._mailbox else None

    def _updates(self):
        """Whether an update forbids to rest: firmware on trial that is not acknowledged yet, or a new want, once."""
        wanted = self._wants()
        new = wanted is not None and wanted != self._wanted
        self._wanted = wanted
        return new or (self._mailbox and self._mailbox.on_trial and not self._mailbox.acknowledged)

    @staticmethod
    def _since(moment, span_ms):
        """Whether `moment` was less than span_ms ago; None was not."""
        return moment is not None and time.ticks_diff(time.ticks_ms(), moment) < span_ms

    async def _leave(self, connection):
        try:
            await connection.disconnect(timeout_ms=2000)
        except (OSError, asyncio.TimeoutError):
            pass  # the supervision timeout ends it

    async def _attend(self, connection):
        gatt = self._gatt
        outbox = self._outbox
        self._incoming = self._assembler(self._gatt.DOWNLINK_MAX)
        began = time.ticks_ms()
        self._visit_ends = time.ticks_add(began, _PROOF_MS)
        await self._prove(connection)
        self._visit_ends = time.ticks_add(began, self._timing["visit_s"] * 1000)
        outbox.link(True)
        number = 0
        if not self._since(self._told, _STATUS_MS):
            number = 1
            await self._hand_over(connection, "status", number, self._recorder.status(_BY_GATEWAY))
            self._told = time.ticks_ms()
        ended = False
        while True:
            self._progress("ble", _VISIT)
            self._recorder.account()
            entry = outbox.first()
            if entry is not None:
                number = number % 0xFFFF + 1
                await self._hand_over(connection, entry.message_class, number, entry.payload)
                outbox.done(entry)
                if self._mailbox and entry.message_class == "telemetry" and entry.boot == self._recorder.moment()[0]:
                    self._mailbox.acknowledged = True
                ended = False
                continue
            if self._wants() and self._mailbox.is_online:
                await self._fetch(connection)
                await self._settled(connection, _MORE_MS)
                ended = False
                continue
            if not ended:
                await self._say(connection, bytes((gatt.END,)))
                ended = True
            try:
                kind, _, _ = await self._heed(connection, _LINGER_MS)
            except aioble.DeviceDisconnectedError:
                return  # the gateway has all that there was
            if kind not in (gatt.TIME, gatt.COMMAND):
                raise ValueError("peer answered what it was not asked")
            if kind == gatt.COMMAND:
                await self._settled(connection, _ANSWER_MS)
            ended = False

    async def _prove(self, connection):
        """Return once the gateway has proved its link key, and this node its own; all else ends the connection."""
        self._proved = False
        try:
            self._gateways.ready()  # while the gateway still asks for the services
            answer, session, why = self._gateways.greet(await self._message(connection, _PROOF_MS))
            if answer:
                await self._send(connection, answer)
        finally:
            self._gateways.done()
        if session is None:
            self._refuse(why)
            raise ValueError(why or "peer refused")
        self._session = session
        kind, _, _ = await self._heed(connection, _PROOF_MS)
        if kind != self._gatt.TIME:
            raise ValueError("peer did not send the time first")

    def _refuse(self, why):
        if why and self._mailbox:
            self._mailbox.refuse(why)

    async def _hand_over(self, connection, message_class, number, payload):
        """Return once the gateway has it on its flash."""
        await self._say(connection, self._gatt.record(message_class, number, payload))
        if await self._heed(connection, _ACK_MS) != (self._gatt.ACK, number, b""):
            raise ValueError("peer acknowledged a record not sent")

    async def _fetch(self, connection):
        """Ask the gateway for the chunk that the mailbox wants."""
        gatt = self._gatt
        wanted = self._wants()
        _, digest, asked = wanted.split("/")
        self._incoming = self._assembler(gatt.CONTENT_MAX)
        await self._say(connection, gatt.want(bytes.fromhex(digest), int(asked)))
        kind = gatt.COMMAND
        while kind == gatt.COMMAND:
            kind, number, chunk = await self._heed(connection, _CONTENT_MS)
        if kind == gatt.CONTENT and number == int(asked):
            self._talked = time.ticks_ms()
            if wanted == self._wants():
                self._mailbox.bring(chunk)
        elif kind != gatt.ABSENT:
            raise ValueError("peer answered what it was not asked")
        elif number == gatt.LATER:
            self._mailbox.is_online = False  # what such a gateway does not have is not missed

    async def _settled(self, connection, limit_ms):
        """Give what came, a command or a chunk, a while to be answered, or to have more wanted, in this connection."""
        try:
            with connection.timeout(limit_ms):
                while self._mailbox and self._mailbox.working() and not len(self._outbox) and not self._wants():
                    await asyncio.sleep_ms(_STEP_MS)
        except asyncio.TimeoutError:
            pass  # it takes longer than a gateway waits: its answer leaves with the next connection

    async def _heed(self, connection, limit_ms):
        """The next message of the gateway as (kind, number, payload), done with where it is the time or a command."""
        gatt = self._gatt
        message = await self._message(connection, limit_ms)
        try:
            message = self._session.check(message)
        except ValueError:
            self._refuse("wrong_link_key")
            raise
        self._proved = True
        kind, number, payload = gatt.parse_downlink(message)
        if kind == gatt.TIME:
            if number:  # 0: the gateway does not know it
                self._clock.set(number)
            if self._mailbox:
                self._mailbox.online()
        elif kind == gatt.COMMAND and self._mailbox:
            self._talked = time.ticks_ms()
            self._mailbox.take(payload)
        return kind, number, payload

    async def _message(self, connection, limit_ms):
        """The next message of the peer, its tag behind it."""
        while True:
            left = min(limit_ms, time.ticks_diff(self._visit_ends, time.ticks_ms()))
            if left <= 0:
                raise asyncio.TimeoutError
            with connection.timeout(left):
                sender, chunk = await self._down.written()
            if sender is not connection:
                continue  # the last words of a connection that is gone
            message = self._incoming.feed(chunk)
            if message is not None:
                return message

    def _assembler(self, limit):
        """What puts messages of up to that many bytes together, empty; that of a chunk is there while one is wanted."""
        if self._limit != limit:
            self._limit = limit
            self._incoming = self._chunks.Assembler(limit)
        self._incoming.reset()
        return self._incoming

    async def _say(self, connection, message):
        await self._send(connection, self._session.sign(message))

    async def _send(self, connection, message):
        size = ble_mtu.of(connection) - 3
        for length in self._chunks.split(message, min(size, self._chunks.SIZE_MAX), self._chunk):
            for attempt in range(_RETRIES):
                if not connection.is_connected():  # aioble would take its handle for a number
                    raise aioble.DeviceDisconnectedError
                try:
                    self._up.notify(connection, self._view[:length])
                    break
                except OSError:
                    if attempt == _RETRIES - 1:
                        raise
                    await asyncio.sleep_ms(20)
