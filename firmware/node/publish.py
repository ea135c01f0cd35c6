"""The publishing task: brings the links up, empties the outbox in order, keeps the session alive.

down --wifi.up--> joined --mqtt.up, status--> online --an entry--> online
any LinkError: the broker's session is closed and the supervisor starts the task again after its backoff
"""

import asyncio

from micropython import const

_WIFI_LIMIT_MS = const(20_000)
_ACK_LIMIT_MS = const(10_000)
_IDLE_MS = const(1000)
_BUSY_MS = const(50)
_ONLINE = const(1)
_JOIN, _CONNECT, _SEND = const(1), const(2), const(3)  # places of build.hang


class Publish:
    """recorder: makes the retained record that says this node is online; root: the topic prefix with its last "/"."""

    def __init__(self, wifi, mqtt, outbox, root, recorder, quiet, progress, timekeeper=None, mailbox=None):
        """quiet: the lock that keeps the radio's joining and a capture apart.

        progress(name): tells the supervisor that the task of that name lives. timekeeper: of node.timekeeper.
        mailbox: of node.mailbox, where what comes for this node goes.
        """
        self._wifi = wifi
        self._mqtt = mqtt
        self._outbox = outbox
        self._root = root
        self._recorder = recorder
        self._quiet = quiet
        self._progress = progress
        self._timekeeper = timekeeper
        self._mailbox = mailbox
        self._sought = None
        if mailbox:
            mqtt.listen((root + "command",), self._heard)

    def _heard(self, topic, message):
        if topic == self._root + "command":
            self._mailbox.take(message)
        elif topic == self._content():
            self._mailbox.bring(message)

    def _content(self):
        """The topic of what the mailbox wants, or None."""
        wanted = self._mailbox.wanted
        return self._root.split("/", 1)[0] + "/" + wanted if wanted else None

    async def _tick(self):
        """Wake `_send` every so often: one task that stays, for `asyncio.wait_for_ms` makes two each time."""
        while True:
            await asyncio.sleep_ms(self._pause_ms())
            self._outbox.filled.set()

    async def run(self):
        ticks = None
        try:
            # Joining takes the processor for 73 ms at a stretch; a capture's FIFO lasts 19.
            self._progress("publish", _JOIN)
            async with self._quiet:
                await self._wifi.up(_WIFI_LIMIT_MS)
            self._progress("publish", _CONNECT)
            await self._tend()  # a certificate has dates
            async with self._quiet:  # with TLS it takes the processor for 1.7 s
                self._mqtt.up()
            await self._mqtt.publish(self._root + "status", self._recorder.status(_ONLINE), _ACK_LIMIT_MS, retain=True)
            self._progress("publish", _SEND)
            print("node: online")
            self._sought = None
            self._outbox.link(True)
            if self._mailbox:
                self._mailbox.online()
                self._mailbox.acknowledged = True
            ticks = asyncio.create_task(self._tick())
            while True:
                await self._send()
                self._progress("publish", _SEND)
        finally:
            if ticks:
                ticks.cancel()
            self._outbox.link(False)
            if self._mailbox:
                self._mailbox.offline()
            self._mqtt.down()

    async def _send(self):
        """Send what waits; with an empty outbox wait a moment for something and tend the session."""
        outbox = self._outbox
        self._recorder.account()
        entry = outbox.first()
        if entry is None:
            outbox.filled.clear()
            if self._mailbox:
                if self._mailbox.leaving:
                    await self._leave()
                self._seek()
            await outbox.filled.wait()
            self._mqtt.idle()
            await self._tend()
            return
        await self._mqtt.publish(self._root + entry.message_class, entry.payload, _ACK_LIMIT_MS)
        outbox.done(entry)

    def _seek(self):
        """Ask the broker for what the mailbox wants: what is retained there comes when one subscribes."""
        topic = self._content()
        if topic != self._sought:
            if self._sought:
                self._mqtt.ignore(self._sought)
            self._sought = topic
            if topic:
                self._mqtt.seek(topic)

    async def _leave(self):
        """Retired: nothing of this node stays at the broker, neither what it said last nor its last will."""
        await self._mqtt.publish(self._root + "status", b"", _ACK_LIMIT_MS, retain=True)
        self._mqtt.down()
        self._mailbox.leaving()

    def _pause_ms(self):
        return _BUSY_MS if self._mailbox and (self._mailbox.busy() or self._mailbox.wanted) else _IDLE_MS

    async def _tend(self):
        if self._timekeeper:
            await self._timekeeper.tend()
            self._progress("publish", _CONNECT)
