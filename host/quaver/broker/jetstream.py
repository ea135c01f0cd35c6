"""A worker's share of what nodes publish at NATS servers: MQTT 3.1.1 goes in there, JetStream hands it out here.

A NATS server acknowledges a node's message (PUBACK) once it is in the stream `$MQTT_msgs`, on most of its replicas,
and keeps it there until each consumer of its subject has acknowledged it (nats-server, server/README-MQTT.md). So it
is that stream which is read, with a durable consumer that all workers of a store share: each message goes to one of
them. A stream of one's own over the nodes' subjects would not do: it gets a copy that no acknowledgement waits for, and
what comes while it elects a leader is missing in it.

nats-py runs on an event loop; this one turns while its owner waits for messages, and in `stay`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import nats
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError
from nats.js.errors import Error as JetStreamError

from quaver.broker.address import NatsUrl
from quaver.broker.client import CONNECT_S, KEEPALIVE_S, tls_context, unreachable
from quaver.broker.link import LinkLost
from quaver.broker.reader import PACKET_MAX, Message
from quaver.errors import BrokerError

STREAM = "$MQTT_msgs"
_PREFIX = "$MQTT.msgs."  # of its subjects, before a topic's
_ASK = 1024  # messages a request; with their bytes the bound of this worker's memory
_ASK_BYTES = 1 << 23
_ASK_S = 5.0  # a request ends, answered or not
_LATE_S = 2.0  # so long after its end a request that was not answered is given up
_ACK_WAIT_S = 30.0  # then a message that a worker has taken and not acknowledged goes to another
_PENDING_MAX = 16 * _ASK  # messages that all workers have taken
_TURN_S = 0.001
_API_S = 5.0
_REPLICAS = 3
_NO_JETSTREAM = (10039, 10076)  # error codes of JetStream: not enabled for the account, for the server
_TOO_FEW = (10005, 10074)  # no peers for so many replicas; replicas without a cluster
_GONE = ("Consumer Deleted", "Consumer Not Found", "Stream Deleted")
# asyncio warns of what nats-py does at the end of a TLS connection; without a handler that goes to stderr.
logging.getLogger("asyncio").addHandler(logging.NullHandler())
_IN_TOPIC = {"//": ".", "/.": "/", "/": "", ".": "/"}
_Result = TypeVar("_Result")


class JetStreamSession:
    """consumer: names what the servers keep for all workers of a store. topics: filters of MQTT.

    As `quaver.broker.reader.Feed`. A consumer that is there is used as it is, but for its topics.
    """

    greeted = False  # no worker takes over the connection of another

    def __init__(self, url: NatsUrl, consumer: str, topics: Sequence[str], ca: Path | None = None) -> None:
        self.url = url
        self.remark = ""
        self._consumer = consumer
        self._subjects = [_PREFIX + topic.replace("/", ".").replace("+", "*") for topic in topics]
        self._tls = tls_context(ca) if url.tls else None
        self._first = 0  # of the servers, to be tried
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._ack_wait_s = _ACK_WAIT_S
        self._reset()

    def _reset(self) -> None:
        self._said = ""  # what the server does not let this user do
        self._came: list[Msg] = []
        self._news = asyncio.Event()
        self._replies: dict[int, str] = {}
        self._number = 0
        self._credit = 0  # messages that may still come for the last request
        self._asked_s = 0.0
        self._oldest_s: float | None = None  # when what waits to be acknowledged was asked for

    def connect(self, forget: str = "") -> bool:
        """Connect to one of the servers; whether they had kept the consumer. forget: a consumer to be removed first."""
        self.close()
        self._reset()
        kept = False
        for attempt in range(len(self.url.servers)):
            try:
                kept = self._run(self._connect(forget))
                break
            except LinkLost:
                self._first = (self._first + 1) % len(self.url.servers)
                self.close()
                if attempt + 1 == len(self.url.servers):
                    raise
            except BaseException:
                self.close()
                raise
        return kept

    def close(self) -> None:
        """Leave; the servers keep what is not acknowledged. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                self._run(asyncio.wait_for(client.close(), 2.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._run(asyncio.wait(left, timeout=1.0))
        self._loop.close()

    def receive(self, timeout: float) -> list[Message]:
        """What has arrived, in order: empty when nothing does within `timeout` seconds; 0 hardly waits."""
        return self._run(self._receive(max(timeout, _TURN_S)))

    def acknowledge(self, packets: Iterable[int]) -> None:
        """Tell the servers that they need not keep `packets`."""
        self._run(self._acknowledge([self._replies.pop(number) for number in packets]))
        if not self._replies:
            self._oldest_s = None

    def stay(self) -> None:
        """Answer the server while nothing is read; to be called every few seconds."""
        self._run(asyncio.sleep(_TURN_S))
        self._alive()

    def stale(self) -> bool:
        """Whether what was received here and is not acknowledged may have gone to another worker."""
        return self._oldest_s is not None and _clock_s() - self._oldest_s > self._ack_wait_s - 1.0

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self._loop.run_until_complete(work)

    def _alive(self) -> Client:
        if self._client is None:
            raise LinkLost("not connected")
        if self._said:
            raise BrokerError(self._said)
        if self._client.is_closed:
            last = self._client.last_error
            raise LinkLost(_why(last) if last else "the server closed the connection")
        return self._client

    async def _connect(self, forget: str) -> bool:
        host, port = self.url.servers[self._first]
        login = {"user": self.url.user, "password": self.url.password} if self.url.user else {}
        where = f"nats://[{host}]:{port}" if ":" in host else f"nats://{host}:{port}"
        try:
            # nats-py tells of a server that is not there only after two minutes of trying.
            socket.create_connection((host, port), CONNECT_S).close()
            self._client = await asyncio.wait_for(
                nats.connect(
                    servers=[where],
                    name="quaver ingest",
                    allow_reconnect=False,  # by the owner, who tells so
                    connect_timeout=int(CONNECT_S),
                    ping_interval=KEEPALIVE_S,
                    tls=self._tls,
                    tls_hostname=host if self._tls else None,
                    error_cb=self._error,
                    closed_cb=self._closed,
                    **login,
                ),
                CONNECT_S,
            )
        except (ssl.SSLCertVerificationError, errors.SecureConnRequiredError) as error:
            if self._tls is None or not isinstance(error, ssl.SSLCertVerificationError):
                raise BrokerError(f"broker {self.url}: asks for TLS; write tls:// and name its CA with --ca") from error
            raise BrokerError(f"broker {self.url}: {unreachable(error)}") from error
        except errors.SecureConnWantedError as error:
            raise BrokerError(f"broker {self.url}: speaks no TLS; write nats:// if the network is trusted") from error
        except (OSError, ValueError, errors.Error) as error:
            if isinstance(error, TimeoutError) or "INFO" in str(error):  # which a NATS server sends first
                raise LinkLost(f"no NATS answer from {host}:{port}; check that the port is a NATS server's") from error
            if not isinstance(error, errors.Error):
                raise LinkLost(f"{host}:{port}: {unreachable(error)}") from error
            if "authorization" in str(error).lower():
                raise BrokerError(
                    f"broker {self.url}: refused the connection; check the user and password, and that this user may "
                    "connect to NATS"
                ) from error
            raise LinkLost(f"{host}:{port}: {_why(error)}") from error
        return await self._prepare(self._client, forget)

    async def _prepare(self, client: Client, forget: str) -> bool:
        """Find the stream and the consumer, or make them, and have messages come; whether the consumer was there."""
        stream = client.jetstream(timeout=_API_S)
        try:
            if forget:
                with contextlib.suppress(NotFoundError):
                    await stream.delete_consumer(STREAM, forget)
            await self._stream(client, stream)
            kept = await self._share(stream)
            self._inbox = client.new_inbox()
            await client.subscribe(self._inbox, cb=self._message)
            await client.flush(int(_API_S))
        except (JetStreamError, errors.Error, TimeoutError) as error:
            if self._said:
                raise BrokerError(self._said) from error
            if isinstance(error, APIError) and error.err_code in _NO_JETSTREAM:
                raise BrokerError(
                    f"broker {self.url}: has no JetStream for this user; switch it on, as docs/nats.md tells"
                ) from error
            if isinstance(error, ServiceUnavailableError) and error.code is None:  # nobody answers; perhaps not yet
                raise LinkLost("no server has JetStream for this user; switch it on, as docs/nats.md tells") from error
            if isinstance(error, APIError) and error.code is not None and error.code < 500 and error.code != 404:
                raise BrokerError(f"broker {self.url}: {error.description}") from error
            raise LinkLost(f"JetStream is not ready ({_why(error)})") from error
        return kept

    async def _stream(self, client: Client, stream: JetStreamContext) -> None:
        """Find the stream of MQTT messages; without one make it as the server would with its first MQTT client."""
        clustered = bool(client._server_info.get("cluster"))
        try:
            found = await stream.stream_info(STREAM)
        except NotFoundError:
            config = StreamConfig(STREAM, subjects=[f"{_PREFIX}>"], retention=RetentionPolicy.INTEREST)
            try:
                found = await stream.add_stream(config, num_replicas=_REPLICAS if clustered else 1)
            except APIError as error:
                if error.err_code not in _TOO_FEW:
                    raise
                found = await stream.add_stream(config, num_replicas=1)
        replicas = found.config.num_replicas or 1
        self.remark = (
            f"the stream {STREAM} has {replicas} of {_REPLICAS} replicas: a server that stops holds all messages up; "
            f"set stream_replicas to {_REPLICAS}, as docs/nats.md tells"
            if clustered and replicas < _REPLICAS
            else ""
        )

    async def _share(self, stream: JetStreamContext) -> bool:
        """Find the consumer of all workers, or make it; whether it was there."""
        kept = True
        try:
            config = (await stream.consumer_info(STREAM, self._consumer)).config
        except NotFoundError:
            kept = False
            config = ConsumerConfig(
                name=self._consumer,
                durable_name=self._consumer,
                description="quaver ingest",
                deliver_policy=DeliverPolicy.NEW,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=_ACK_WAIT_S,
                max_ack_pending=_PENDING_MAX,
            )
        if not kept or sorted(config.filter_subjects or []) != sorted(self._subjects):
            config.filter_subjects = self._subjects
            config = (await stream.add_consumer(STREAM, config)).config
        self._ack_wait_s = config.ack_wait or _ACK_WAIT_S
        return kept

    async def _receive(self, timeout: float) -> list[Message]:
        client = self._alive()
        if not self._came and self._credit > 0 and _clock_s() > self._asked_s + _ASK_S + _LATE_S:
            try:
                await client.flush(int(_API_S))  # all that came for that request is here then
            except Exception as error:
                raise LinkLost(_why(error)) from error
            self._credit = 0
        if not self._came and self._credit <= 0:
            await self._ask(client)
        if not self._came:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), timeout)
        came, self._came = self._came, []
        found = [message for one in came if (message := self._taken(one)) is not None]
        if not found:
            self._alive()
            if came:  # word of a request that ended, or that nobody took
                await asyncio.sleep(timeout)
        return found

    async def _ask(self, client: Client) -> None:
        self._credit, self._asked_s = _ASK, _clock_s()
        # A message longer than that would end the request each time, and hold up all behind it.
        most = max(_ASK_BYTES, 2 * client.max_payload)
        request = {"batch": _ASK, "max_bytes": most, "expires": int(_ASK_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._consumer}"
        await client.publish(subject, json.dumps(request).encode(), reply=self._inbox)

    async def _acknowledge(self, replies: Iterable[str]) -> None:
        client = self._alive()
        try:
            for reply in replies:
                await client.publish(reply, b"+ACK")
            await asyncio.sleep(0)  # the client's own task writes them
        except Exception as error:
            raise LinkLost(_why(error)) from error

    def _taken(self, one: Msg) -> Message | None:
        """A message that came; None for a word of the server about the request. Raises LinkLost."""
        if not one.subject.startswith(_PREFIX):
            self._credit = 0
            status, said = (one.headers or {}).get("Status", ""), (one.headers or {}).get("Description", "")
            if status == "409" and said.startswith(_GONE):
                raise LinkLost(f"{said}: somebody removed the consumer {self._consumer}, or the stream")
            return None
        self._credit -= 1
        self._number += 1
        self._replies[self._number] = one.reply
        if self._oldest_s is None:
            self._oldest_s = self._asked_s
        payload = one.data if len(one.data) <= PACKET_MAX else None
        # $JS.ACK.<stream>.<consumer>.<delivered>…, or with domain and account behind ACK
        tokens = one.reply.split(".")
        again = tokens[4 if len(tokens) < 11 else 6] != "1"
        return Message(topic_of(one.subject[len(_PREFIX) :]), payload, self._number, again)

    # nats-py calls these, while the loop turns

    async def _message(self, message: Msg) -> None:
        self._came.append(message)
        self._news.set()

    async def _error(self, error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            said = f"refuses this user: {_why(error)}; allow it what docs/nats.md has for ingest"
            self._said = f"broker {self.url}: {said}"

    async def _closed(self) -> None:
        self._news.set()


def topic_of(subject: str) -> bytes:
    """The MQTT topic of a NATS subject (nats-server, server/mqtt.go, mqttToNATSSubjectConversion, and back)."""
    if "/" not in subject:
        return subject.replace(".", "/").encode()
    return re.sub(r"//|/\.|/|\.", lambda found: _IN_TOPIC[found[0]], subject).encode()


def _clock_s() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))  # goes on in a suspended machine


def _why(error: BaseException | None) -> str:
    if isinstance(error, APIError) and error.description:
        return error.description
    return str(error or "").removeprefix("nats: ") or type(error).__name__
