"""The embedded broker: amqtt on this machine's loopback, for emulated boards and the demo."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from types import TracebackType
from typing import Any, Self

from quaver.broker.address import BrokerUrl
from quaver.errors import BrokerError

_START_S = 10.0  # an embedded broker that isn't up by then never will be
_STOP_S = 5.0


class EmbeddedBroker:
    """An amqtt broker on the host's loopback, in a thread of its own; a context manager.

    port: 0 takes a free one, which `port` and `url` then tell. Not 1883 by itself: whatever else on this
    machine looks for a broker there would join in. Anyone on this machine may connect. `with` (or `start`)
    raises BrokerError when it can't listen.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> BrokerUrl:
        return BrokerUrl("127.0.0.1", self.port)

    def start(self) -> Self:
        _quiet_logs()
        self._ready.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="quaver-broker", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S):
            self._failure = TimeoutError(f"not up after {_START_S:.0f} s")
        if self._failure is not None:
            raise BrokerError(
                f"embedded broker: can't listen on 127.0.0.1:{self.port}: {self._failure}; "
                "free that port or name another broker with --broker"
            ) from self._failure
        return self

    def stop(self) -> None:
        """Close every connection and the port; safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_STOP_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # told by start(), or after it nobody's loss: clients see the closed port
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
        from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

        # amqtt binds only ports that it is told; a socket of ours takes a free one without a race.
        config = BrokerConfig(
            listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL)},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        )
        broker = _broker(config)
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task: asyncio.Task[None] | None = asyncio.current_task()
            if task is not None:
                connections.add(task)
            try:
                await broker.external_connected(
                    StreamReaderAdapter(reader), StreamWriterAdapter(writer), listener_name="default"
                )
            finally:
                if task is not None:
                    connections.discard(task)
                writer.close()

        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(connected, "127.0.0.1", self.port)
        await broker.start()
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(broker.shutdown(), _STOP_S / 2)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def _broker(config: Any) -> Any:
    """An amqtt broker that hands retained messages to those who subscribed to them, and to nobody else."""
    from amqtt.broker import Broker

    class Corrected(Broker):  # type: ignore[misc, unused-ignore]
        # amqtt 0.12.1 sends every client that connects the retained messages of everybody's subscriptions; a node
        # that subscribes to nothing is not ready for any (MQTT 3.1.1, 3.3.1.3: on a subscription, to its client).
        async def _publish_retained_messages_for_subscription(
            self, subscription: tuple[str, int], session: Any
        ) -> None:
            subscribers = self.subscriptions.get(subscription[0], [])
            if any(subscriber.client_id == session.client_id for subscriber, _ in subscribers):
                await super()._publish_retained_messages_for_subscription(subscription, session)

    return Corrected(config)


def _quiet_logs() -> None:
    """Keep amqtt's running commentary off the terminal unless somebody configured logging for it."""
    logger = logging.getLogger("amqtt")
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
