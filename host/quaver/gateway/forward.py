"""The broker's side of a host's gateway: sends waiting records, each under its node's topic, and receives commands.

A record leaves the spool when the broker has acknowledged it; a command is acknowledged when the spool has it. The
connection comes and goes; paho tries again with growing pauses and sends once more what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from quaver.broker.address import BrokerUrl
from quaver.broker.client import KEEPALIVE_S, mqtt_client, no_answer, other_kind
from quaver.broker.rivalry import Rivalry
from quaver.errors import StoreError
from quaver.gateway.spool import Spool

_BATCH = 32  # on their way at once
_RETRY_S = (1, 30)
_IDLE_S = 0.05
_LEAVE_S = 2.0
_COMMAND_MAX = 640
_CHUNK_MAX = 1024
_RETAINED_S = 2.0


class Presence(NamedTuple):
    """What the broker keeps of the gateway itself on `topic`: its last will, and what it says at each connection."""

    topic: str
    offline: bytes
    online: bytes


class Forward:
    """A context manager. prefixes: {node id: topic prefix}. ca: who signed the broker's certificate, PEM.

    presence: the gateway's own status, or None. say: hears of the connection, in another thread.
    Raises BrokerError when the CA can't be used.
    """

    def __init__(
        self,
        url: BrokerUrl,
        spool: Spool,
        prefixes: Mapping[bytes, str],
        say: Callable[[str], None],
        ca: Path | None = None,
        presence: Presence | None = None,
    ) -> None:
        self.url = url
        self.sent = 0
        self._spool = spool
        self._prefixes = prefixes
        self._say = say
        self._presence = presence
        self._topics = {f"{prefix}/command": node_id for node_id, prefix in prefixes.items()}
        self._sought: dict[str, Future[bytes]] = {}
        self._stopping = threading.Event()
        self._acknowledged: set[int] = set()
        self._changed = threading.Condition()
        client_id = spool.client_id
        self._rivalry = Rivalry(client_id)
        client = mqtt_client(url, ca, client_id)
        client.reconnect_delay_set(*_RETRY_S)
        client.max_inflight_messages_set(_BATCH)
        if presence:
            client.will_set(presence.topic, presence.offline, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        client.on_publish = self._published
        client.on_subscribe = self._subscribed
        self._client = client
        self._thread = threading.Thread(target=self._run, name="forward", daemon=True)
        self._told = ""
        self._answered = False  # this connection, by an MQTT broker

    def __enter__(self) -> Self:
        self._client.connect_async(self.url.host, self.url.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if (
            self._presence and self._client.is_connected()
        ):  # a broker publishes no will of a client that disconnects properly
            said = self._client.publish(self._presence.topic, self._presence.offline, qos=1, retain=True)
            with contextlib.suppress(ValueError, RuntimeError):
                said.wait_for_publish(_LEAVE_S)
        self._client.disconnect()
        self._client.loop_stop()

    async def retained(self, topic: str) -> bytes | None:
        """What the broker retains at a topic, at most 1,024 bytes; b"" for nothing, None without a broker."""
        if not self._client.is_connected():
            return None
        sought = self._sought[topic] = Future()
        self._client.subscribe(topic, qos=1)
        try:
            async with asyncio.timeout(_RETAINED_S):
                return await asyncio.wrap_future(sought)
        except TimeoutError:
            return b"" if self._client.is_connected() else None
        finally:
            del self._sought[topic]
            self._client.unsubscribe(topic)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._send():
                    self._stopping.wait(_IDLE_S)
            except StoreError as error:
                self._tell(str(error))
                self._stopping.wait(_RETRY_S[0])

    def _send(self) -> bool:
        """Send a batch and wait until the broker has it; whether there was one."""
        if not self._client.is_connected():
            return False
        known = self._spool.first(_BATCH, tuple(self._prefixes))  # whose node is listed no more waits for its list
        waiting: dict[int, int] = {}
        with self._changed:
            self._acknowledged.clear()  # of what was no record: its number comes again
        for record in known:
            topic = f"{self._prefixes[record.node]}/{record.message_class}"
            info = self._client.publish(topic, record.message, qos=1, retain=record.message_class == "status")
            waiting[info.mid] = record.number
        while waiting and not self._stopping.is_set():
            with self._changed:
                if not self._acknowledged & waiting.keys():
                    self._changed.wait(1.0)
                arrived = self._acknowledged & waiting.keys()
                self._acknowledged -= arrived
            self._spool.done(waiting.pop(mid) for mid in list(arrived))
            self.sent += len(arrived)
        return bool(known)

    # paho calls these in its own thread; an exception here would end that thread, so none may escape.

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        self._answered = True
        if code.is_failure:
            self._tell(f"broker {self.url}: refused the connection: {str(code).lower()}; trying again")
            return
        self._rivalry.connected()
        for topic in self._topics:
            client.subscribe(topic, qos=1)
        if self._presence:
            client.publish(self._presence.topic, self._presence.online, qos=1, retain=True)
        if not self._rivalry.seen:
            self._tell(f"broker {self.url}: connected")

    def _subscribed(self, _client: mqtt.Client, _data: Any, _mid: int, codes: list[ReasonCode], _props: Any) -> None:
        if any(code.is_failure for code in codes):
            self._tell(
                f"broker {self.url}: refused a subscription; allow this user to read the nodes' command topics, and "
                "SITE/release/#"
            )

    def _failed(self, _client: mqtt.Client, _data: Any) -> None:
        why = other_kind(self.url) or "can't be reached"
        self._tell(f"broker {self.url}: {why}; records are kept, trying again")

    def _disconnected(self, client: mqtt.Client, _data: Any, _flags: Any, _code: ReasonCode, _props: Any) -> None:
        answered, self._answered = self._answered, False
        if self._stopping.is_set():
            return
        away = self._rivalry.lost()
        client.reconnect_delay_set(*((away, away) if away else _RETRY_S))
        if away:
            why = self._rivalry.line("gateway", away)
        else:
            why = f"{'connection lost' if answered else no_answer(self.url)}; records are kept, trying again"
        self._tell(f"broker {self.url}: {why}")

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._say(line)

    def _published(self, _client: mqtt.Client, _data: Any, mid: int, _code: Any, _props: Any) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify()

    def _message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            node_id = self._topics.get(message.topic)
            sought = self._sought.get(message.topic)
            if sought is not None:
                with contextlib.suppress(InvalidStateError):  # it has come already, or nobody waits any more
                    sought.set_result(bytes(message.payload) if len(message.payload) <= _CHUNK_MAX else b"")
            if node_id is not None and 0 < len(message.payload) <= _COMMAND_MAX:
                self._spool.command(node_id, bytes(message.payload))
        except StoreError as error:
            self._tell(str(error))
            return  # not acknowledged: the broker keeps it
        except UnicodeDecodeError:
            pass  # a topic that is none of ours
        client.ack(message.mid, message.qos)
