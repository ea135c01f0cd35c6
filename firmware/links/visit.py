"""The node's half of what it says to a gateway, over a link that brings one: hands over what waits, takes what comes.

The messages are quaver_wire/gatt.py's. A record leaves the outbox when the gateway has acknowledged it, so an early
end of a connection loses no record. The peer may be an attacker: before it has proved a link key it gets no record, and
a second's time; a message that is not the next one of the protocol ends the connection, and so does silence.
"""

import asyncio
import time

from micropython import const

_PROOF_MS = const(1000)  # from the connection until the peer has proved its link key
_ACK_MS = const(10_000)  # a gateway's flash is slow, but not that slow
_LINGER_MS = const(3000)  # after END, for commands
_ANSWER_MS = const(4000)  # for a command's answer, before END: a gateway does not wait longer for a sign of life
_MORE_MS = const(2500)  # for the next want, likewise; what is done with a chunk holds the processor up
_CONTENT_MS = const(10_000)  # for a chunk, which a gateway may have to ask its broker for
_STEP_MS = const(20)
_STATUS_MS = const(86_400_000)  # between two statuses: a broker may have lost the last one
_BY_GATEWAY = const(2)  # of a status: this node is heard through a gateway, in its turn
_VISIT = const(2)  # a place of build.hang


class Visited:
    """A node that gateways connect to.

    name: of the link's task; gatt: of quaver_wire. gateways: begin(), ready(), greet(message) and done(), as
    node.gateways has them. outbox: first() -> entry (message_class, payload) or None, done(entry), filled
    (an event), link(up), and a length. timing: visit_s, the longest connection. clock: set(ms since 1970) takes the
    time that a gateway brings. recorder: makes the status, and an event of what the outbox lost. mailbox: of
    node.mailbox, where commands go; None for a node that takes none. progress(name): tells the supervisor that the task
    of that name lives.

    A link has send(message) and recv(limit_ms), coroutines of one message each, which raise EOFError when the gateway
    has left, OSError and asyncio.TimeoutError. It may have _expects(limit), which is told how long the messages are
    that may come, the first of them of a new connection, and _is_there(), whether the gateway is.
    """

    def __init__(self, name, gatt, gateways, outbox, timing, clock, recorder, mailbox, progress):
        self._name = name
        self._gatt = gatt
        self._gateways = gateways
        self._outbox = outbox
        self._timing = timing
        self._clock = clock
        self._recorder = recorder
        self._mailbox = mailbox
        self._progress = progress
        self._session = None  # that of a peer which has not proved its key yet, or has
        self._proved = False
        self._visit_ends = 0
        self._told = None  # when a gateway has acknowledged a status
        self._talked = None  # when the last command or chunk came

    def _urgent(self):
        entry = self._outbox.first()
        return entry is not None and entry.message_class == "event"

    def _state(self):
        """What a gateway is told of this node before it connects: bits of gatt, and how many records wait."""
        gatt = self._gatt
        waiting = len(self._outbox)
        state = gatt.SECRET | (gatt.PENDING if waiting or self._wants() else 0)
        return state | (gatt.ALARM if self._urgent() else 0), waiting

    def _wants(self):
        """What of a release a gateway is to be asked for, or None."""
        return self._mailbox.wanted if self._mailbox else None

    @staticmethod
    def _since(moment, span_ms):
        """Whether `moment` was less than span_ms ago; None was not."""
        return moment is not None and time.ticks_diff(time.ticks_ms(), moment) < span_ms

    async def _attend(self):
        """A connection, from its begin to its end, whichever that is."""
        try:
            gatt = self._gatt
            outbox = self._outbox
            self._expects(gatt.DOWNLINK_MAX)
            began = time.ticks_ms()
            self._visit_ends = time.ticks_add(began, _PROOF_MS)
            await self._prove()
            self._visit_ends = time.ticks_add(began, self._timing["visit_s"] * 1000)
            outbox.link(True)
            number = 0
            if not self._since(self._told, _STATUS_MS):
                number = 1
                await self._hand_over("status", number, self._recorder.status(_BY_GATEWAY))
                self._told = time.ticks_ms()
            ended = False
            while True:
                self._progress(self._name, _VISIT)
                self._recorder.account()
                entry = outbox.first()
                if entry is not None:
                    number = number % 0xFFFF + 1
                    await self._hand_over(entry.message_class, number, entry.payload)
                    outbox.done(entry)
                    if (
                        self._mailbox
                        and entry.message_class == "telemetry"
                        and entry.boot == self._recorder.moment()[0]
                    ):
                        self._mailbox.acknowledged = True
                    ended = False
                    continue
                if self._wants() and self._mailbox.is_online:
                    await self._fetch()
                    await self._settled(_MORE_MS)
                    ended = False
                    continue
                if not ended:
                    await self._say(bytes((gatt.END,)))
                    ended = True
                try:
                    kind, _, _ = await self._heed(_LINGER_MS)
                except EOFError:
                    return  # the gateway has all that there was
                if kind not in (gatt.TIME, gatt.COMMAND):
                    raise ValueError("peer answered what it was not asked")
                if kind == gatt.COMMAND:
                    await self._settled(_ANSWER_MS)
                ended = False
        except (OSError, EOFError, ValueError, MemoryError, asyncio.TimeoutError) as error:
            print("{}: connection ended: {}".format(self._name, str(error) or type(error).__name__))
        finally:
            self._session = None
            self._outbox.link(False)
            if self._mailbox:
                self._mailbox.is_online = False

    async def _prove(self):
        """Return once the gateway has proved its link key, and this node its own; all else ends the connection."""
        self._proved = False
        try:
            self._gateways.ready()  # while the gateway still asks for the services
            answer, session, why = self._gateways.greet(await self._message(_PROOF_MS))
            if answer:
                await self.send(answer)
        finally:
            self._gateways.done()
        if session is None:
            self._refuse(why)
            raise ValueError(why or "peer refused")
        self._session = session
        kind, _, _ = await self._heed(_PROOF_MS)
        if kind != self._gatt.TIME:
            raise ValueError("peer did not send the time first")

    def _refuse(self, why):
        if why and self._mailbox:
            self._mailbox.refuse(why)

    async def _hand_over(self, message_class, number, payload):
        """Return once the gateway has it on its flash."""
        await self._say(self._gatt.record(message_class, number, payload))
        if await self._heed(_ACK_MS) != (self._gatt.ACK, number, b""):
            raise ValueError("peer acknowledged a record not sent")

    async def _fetch(self):
        """Ask the gateway for the chunk that the mailbox wants."""
        gatt = self._gatt
        wanted = self._wants()
        _, digest, asked = wanted.split("/")
        self._expects(gatt.CONTENT_MAX)
        await self._say(gatt.want(bytes.fromhex(digest), int(asked)))
        kind = gatt.COMMAND
        while kind == gatt.COMMAND:
            kind, number, chunk = await self._heed(_CONTENT_MS)
        if kind == gatt.CONTENT and number == int(asked):
            self._talked = time.ticks_ms()
            if wanted == self._wants():
                self._mailbox.bring(chunk)
        elif kind != gatt.ABSENT:
            raise ValueError("peer answered what it was not asked")
        elif number == gatt.LATER:
            self._mailbox.is_online = False  # what such a gateway does not have is not missed

    async def _settled(self, limit_ms):
        """Give what came, a command or a chunk, a while to be answered, or to have more wanted, in this connection.

        What takes longer than a gateway waits leaves with the next one.
        """
        began = time.ticks_ms()
        mailbox = self._mailbox
        while mailbox and mailbox.working() and self._since(began, limit_ms) and self._is_there():
            if len(self._outbox) or self._wants():
                break
            await asyncio.sleep_ms(_STEP_MS)

    async def _heed(self, limit_ms):
        """The next message of the gateway as (kind, number, payload), done with where it is the time or a command."""
        gatt = self._gatt
        message = await self._message(limit_ms)
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

    async def _message(self, limit_ms):
        """The next message of the peer, its tag behind it."""
        return await self.recv(self._left(limit_ms))

    def _left(self, limit_ms):
        """Of that and of the connection's time; raises TimeoutError where that is over."""
        left = min(limit_ms, time.ticks_diff(self._visit_ends, time.ticks_ms()))
        if left <= 0:
            raise asyncio.TimeoutError
        return left

    async def _say(self, message):
        await self.send(self._session.sign(message))

    def _expects(self, limit):
        pass

    def _is_there(self):
        return True
