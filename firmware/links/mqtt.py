"""The MQTT 3.1.1 link over umqtt: publish at QoS 1 and wait, within a limit, for the acknowledgement."""

import asyncio
import time

from micropython import const
from umqtt.simple2 import MQTTClient, MQTTException

from links.errors import LinkError

# umqtt waits for the socket inside its calls; two such waits must stay below the shortest watchdog (8.3 s).
_SOCKET_TIMEOUT_S = const(3)
_POLL_MS = const(5)
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_LONGEST = const(560)  # bytes of a command; what is longer is read past
_CONTENT = const(1024)  # bytes of what is sought
_SKIPPED_MAX = const(65536)  # beyond that the session is given up, and with it what the broker keeps for it
_PART = const(256)
_DELIVERED = const(1)
_UNSUBACK = const(0xB0)
_REST = const(3)  # bytes of it behind the first
# MQTTException numbers of umqtt.simple2 that a person can act on
_REASONS = {
    1: "connection closed by the broker",
    3: "broker unreachable",
    21: "broker refuses this protocol version",
    22: "broker refuses this client id",
    23: "broker unavailable",
    24: "wrong broker user or password",
    25: "not authorised at the broker",
    30: "no answer from the broker",
    44: "not authorised to read commands at the broker",
}


def _reason(error):
    number = error.args[0] if error.args else None
    if isinstance(error, MQTTException):
        return _REASONS.get(number) or "mqtt error {}".format(number)
    return "broker unreachable (errno {})".format(number)


class _Client(MQTTClient):
    """Never takes a message into memory that is too long for one: it comes as an empty one.

    Sends a message as one: of the four parts in which umqtt writes it each would be a record of TLS and a segment of
    TCP, for which ESP-IDF takes 1.5 kB.
    """

    def __init__(self, *settings, **named):
        super().__init__(*settings, **named)
        self.flooded = False
        self.longest = _LONGEST
        self._parts = None

    def publish(self, *message, **named):
        self._parts = []
        try:
            packet_id = super().publish(*message, **named)
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        super()._write(whole)
        return packet_id

    def _write(self, data, length=-1):
        if self._parts is None:
            return super()._write(data, length)
        self._parts.append(bytes(data if length < 0 else data[:length]))

    def unsubscribe(self, topic):
        """umqtt has none (MQTT 3.1.1, 3.10)."""
        size = 4 + len(topic)
        buffer = bytearray(5)
        buffer[0] = 0xA2
        end = self._varlen_encode(size, buffer, 1)
        self._write(buffer, end)
        self._write(next(self.newpid).to_bytes(2, "big"))
        self._send_str(topic)

    def check_msg(self):
        kind = super().check_msg()
        if kind == _UNSUBACK:
            super()._read(_REST)
        return kind

    def _recv_len(self):
        """At most four bytes (MQTT 3.1.1, 2.2.3): umqtt takes as many as come."""
        size = shift = 0
        while shift < 28:
            byte = self._read(1)[0]
            size |= (byte & 127) << shift
            if byte < 128:
                return size
            shift += 7
        raise ValueError

    def _read(self, n):
        if n <= self.longest:
            return super()._read(n)
        if n > _SKIPPED_MAX:
            self.flooded = True
            raise LinkError("the broker sent a message of {} bytes".format(n))
        while n > 0:
            super()._read(min(n, _PART))
            n -= _PART
        return b""


class Mqtt:
    """host, port, user, password: the broker; will_topic, will: published, retained, when the node is gone.

    tls: what wraps the socket (links.tls.Tls), or None for a plain one.
    """

    def __init__(self, config, client_id, will_topic, will, tls=None):
        self._tls = tls
        self._keepalive_ms = config["keepalive_s"] * 1000
        # As bytes: umqtt states the length of a text in characters, and sends it in UTF-8.
        self._client = _Client(
            client_id.encode(),
            config["host"],
            config["port"],
            config["user"].encode() or None,
            config["password"].encode() or None,
            keepalive=config["keepalive_s"],
            ssl=tls is not None,
            socket_timeout=_SOCKET_TIMEOUT_S,
        )
        self._client.set_last_will(will_topic.encode(), will, retain=True, qos=1)
        self._client.set_callback_status(self._on_status)
        self._topics: tuple = ()
        self._waiting = None
        self._heard = 0
        self._asked = 0
        self.is_up = False

    def listen(self, topics, heard):
        """Before `up`: have heard(topic, payload) called for what comes on `topics`; the broker keeps it meanwhile.

        It is acknowledged when `heard` returns. An OSError from it ends the session, and the message comes again.
        """
        self._topics = topics
        self._client.set_callback(lambda topic, payload, retained, again: heard(topic.decode(), payload))

    def _on_status(self, packet_id, status):
        if packet_id == self._waiting and status == _DELIVERED:
            self._waiting = None

    def up(self):
        """Connect; blocks for at most two socket time-outs. Raises LinkError."""
        if self._tls:
            self._tls.offer()
        try:
            self._client.connect(not self._topics or self._client.flooded)
            self._client.flooded = False
            self._client.rcv_pids.clear()
            for topic in self._topics:
                self._client.subscribe(topic.encode(), qos=1)
        except LinkError:
            self._client.sock_raw.close()  # TLS did not come about, and umqtt does not know of a socket yet
            self._tls.down()
            raise
        except (OSError, MQTTException) as error:
            self.down()
            raise LinkError(_reason(error))
        try:
            # Of umqtt's small parts of other packets the second would wait for the first's acknowledgement, 40 ms.
            self._client.sock_raw.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except (OSError, ValueError):
            pass  # a port that does not know it is slower
        self._heard = self._asked = time.ticks_ms()
        self.is_up = True

    def down(self):
        self.is_up = False
        self._client.disconnect()
        if self._tls:
            self._tls.down()

    def _receive(self):
        """Take what the broker sent, ask it for a sign of life when it is silent. Raises LinkError."""
        client = self._client
        try:
            last = client.last_cpacket
            client.check_msg()
            now = time.ticks_ms()
            if client.last_cpacket != last:
                self._heard = now
            if time.ticks_diff(now, self._heard) > self._keepalive_ms * 2:
                raise LinkError("broker silent")
            if time.ticks_diff(now, max(self._heard, self._asked)) > self._keepalive_ms // 2:
                client.ping()
                self._asked = now
        except LinkError:
            raise
        except (OSError, MQTTException) as error:
            raise LinkError(_reason(error))
        except (ValueError, NotImplementedError):  # a length, a topic that is not UTF-8, QoS 2
            raise LinkError("the broker does not keep to MQTT")

    async def publish(self, topic, payload, limit_ms, retain=False):
        """Return once the broker has acknowledged; else raise LinkError within about `limit_ms`."""
        try:
            self._waiting = self._client.publish(topic.encode(), payload, retain=retain, qos=1)
        except (OSError, MQTTException) as error:
            raise LinkError(_reason(error))
        began = time.ticks_ms()
        while self._waiting is not None:
            self._receive()
            if self._waiting is None:
                return
            if time.ticks_diff(time.ticks_ms(), began) > limit_ms:
                raise LinkError("no acknowledgement within {} ms".format(limit_ms))
            await asyncio.sleep_ms(_POLL_MS)

    def seek(self, topic):
        """Have what is retained at a topic, at most 1,024 bytes, come as what is listened to. Raises LinkError."""
        self._client.longest = _CONTENT
        try:
            self._client.subscribe(topic.encode(), qos=1)
        except (OSError, MQTTException) as error:
            raise LinkError(_reason(error))

    def ignore(self, topic):
        """No more of a topic that was sought. Raises LinkError."""
        self._client.longest = _LONGEST
        try:
            self._client.unsubscribe(topic.encode())
        except (OSError, MQTTException) as error:
            raise LinkError(_reason(error))

    def idle(self):
        """To be called now and then while there is nothing to publish: keeps the session alive."""
        self._receive()
