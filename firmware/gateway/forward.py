"""The forwarding task: brings Wi-Fi and MQTT up, sends what waits, each record under its node's topic, takes commands.

down --wifi.up--> joined --mqtt.up, status--> online --an entry--> online
any LinkError: the broker's session is closed and the supervisor starts the task again after its backoff
"""

import asyncio

from micropython import const

_WIFI_LIMIT_MS = const(20_000)
_ACK_LIMIT_MS = const(10_000)
_IDLE_MS = const(100)  # a command waits no longer in the radio's buffer
_BUSY_MS = const(20)  # nor a chunk of a release that a node waits for
_ONLINE = const(1)
_JOIN, _CONNECT, _SEND = const(1), const(2), const(3)  # places of build.hang


class Forward:
    """root: the gateway's own topic prefix and "/"; prefixes: {node id: topic prefix}; branch: for a node without one.

    contents: of this package. mailbox: of node.mailbox, where what comes for the gateway itself goes, or None.
    outbox: the gateway's own records; recorder: makes them. timekeeper: of node.timekeeper, or None. progress(name):
    tells the supervisor that the task lives.
    """

    def __init__(
        self,
        wifi,
        mqtt,
        outbox,
        relay,
        commands,
        contents,
        mailbox,
        root,
        prefixes,
        branch,
        recorder,
        timekeeper,
        progress,
    ):
        self._wifi = wifi
        self._mqtt = mqtt
        self._outbox = outbox
        self._relay = relay
        self._commands = commands
        self._contents = contents
        self._mailbox = mailbox
        self._sought = None
        self._root = root
        self._prefixes = prefixes
        self._branch = branch
        self._recorder = recorder
        self._timekeeper = timekeeper
        self._progress = progress
        self._command_topics = {prefix + "/command": node_id for node_id, prefix in prefixes.items()}
        topics = list(self._command_topics)
        if mailbox:
            topics.append(root + "command")
        mqtt.listen(topics, self._commanded)

    def _commanded(self, topic, sealed):
        """A command, or a chunk. Raises OSError when flash does not take one for a node, and the broker keeps it."""
        if topic == self._contents.wanted:
            self._contents.bring(sealed)
            return
        if self._mailbox and topic == self._root + "command":
            self._mailbox.take(sealed)
            return
        if topic == self._own():
            self._mailbox.bring(sealed)
            return
        node_id = self._command_topics.get(topic)
        if node_id is not None:
            self._commands.put(node_id, sealed)
            print("gateway: command for", topic)

    async def run(self):
        try:
            self._progress("forward", _JOIN)
            await self._wifi.up(_WIFI_LIMIT_MS)
            self._progress("forward", _CONNECT)
            await self._tend()  # a certificate has dates, and the nodes want to know
            self._mqtt.up()
            await self._mqtt.publish(self._root + "status", self._recorder.status(_ONLINE), _ACK_LIMIT_MS, retain=True)
            self._progress("forward", _SEND)
            print("gateway: online")
            self._sought = None
            self._contents.online = True
            self._outbox.link(True)
            if self._mailbox:
                self._mailbox.online()
                self._mailbox.acknowledged = True
            while True:
                await self._send()
                self._progress("forward", _SEND)
        finally:
            self._contents.online = False
            self._outbox.link(False)
            if self._mailbox:
                self._mailbox.offline()
            self._mqtt.down()

    async def _send(self):
        """Send one: nodes' events, then what this gateway has to say, then telemetry."""
        self._recorder.account()
        self._seek()
        own = None if self._relay.urgent() else self._outbox.first()
        if own:
            await self._mqtt.publish(self._root + own.message_class, own.payload, _ACK_LIMIT_MS)
            self._outbox.done(own)
            return
        entry = self._relay.first()
        if entry is None:
            try:
                pause = _BUSY_MS if self._sought else _IDLE_MS
                await asyncio.wait_for_ms(self._relay.filled.wait(), pause)
            except asyncio.TimeoutError:
                pass
            self._mqtt.idle()
            await self._tend()
            return
        node_id, message_class, message = self._relay.split(entry)
        prefix = self._prefixes.get(node_id) or self._branch + "".join("{:02x}".format(b) for b in node_id)
        await self._mqtt.publish(
            "{}/{}".format(prefix, message_class), message, _ACK_LIMIT_MS, retain=message_class == "status"
        )
        self._relay.done(entry)

    def _own(self):
        """The topic of the chunk that this gateway wants for itself, or None."""
        wanted = self._mailbox and self._mailbox.wanted
        return self._root.split("/", 1)[0] + "/" + wanted if wanted else None

    def _seek(self):
        """Ask the broker for the chunk that a node wants, or else this gateway: what is retained there comes when one
        subscribes."""
        topic = self._contents.wanted or self._own()
        if topic != self._sought:
            if self._sought:
                self._mqtt.ignore(self._sought)
            self._sought = topic
            if topic:
                self._mqtt.seek(topic)

    async def _tend(self):
        if self._timekeeper:
            await self._timekeeper.tend()
            self._progress("forward", _CONNECT)
