"""The sink of opened records as MQTT messages, each delivered once, with their schemas beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from quaver.bridge.formats import FORMATS, KINDS, schema
from quaver.bridge.sink import SinkDown
from quaver.bridge.spec import Mqtt, broker_of
from quaver.broker.exactly_once import WINDOW, ExactlyOnce, Outgoing
from quaver.broker.link import LinkLost
from quaver.errors import BrokerError
from quaver.query.source import Reading

_KEPT = ("telemetry", "spectrum", "status")  # of which the broker keeps the last, for whoever comes later


class OpenMessages:
    """identity: of this bridge, which names its session at the broker."""

    name = "mqtt"

    def __init__(self, spec: Mqtt, identity: str) -> None:
        self._prefix = spec.prefix
        self._formats = [FORMATS[name] for name in spec.formats]
        self.batch = WINDOW // len(self._formats)  # and what the broker takes, once it is known
        # Other messages are another stream: their identifiers say nothing of these.
        stream = hashlib.sha256(json.dumps([spec.prefix, spec.formats]).encode()).hexdigest()[:8]
        self._link = ExactlyOnce(broker_of(spec), f"quaver-bridge-{identity}-{stream}", spec.ca)
        self._json = "json" in spec.formats

    def connect(self, done: int) -> None:
        try:
            self._link.connect(done)
            self.batch = max(1, self._link.window // len(self._formats))
            if self._json:
                self._link.tell(
                    Outgoing(f"{self._prefix}/schema/{kind}", json.dumps(schema(kind)).encode(), retain=True)
                    for kind in KINDS
                )
        except (LinkLost, BrokerError) as error:
            raise self._down(error) from error

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        messages = [
            Outgoing(
                f"{self._prefix}/{reading.topic}/{reading.kind}{ending}",
                encode(reading),
                retain=reading.latest and reading.kind in _KEPT,
            )
            for reading in readings
            for ending, encode in self._formats
        ]
        try:
            self._link.put(messages, done, note)
        except (LinkLost, BrokerError) as error:
            raise self._down(error) from error

    def _down(self, error: LinkLost | BrokerError) -> SinkDown:
        return SinkDown(str(error) if isinstance(error, BrokerError) else f"broker {self._link.url}: {error}")

    def rest(self, blind: bool = False) -> None:
        try:
            self._link.stay()
        except (LinkLost, BrokerError) as error:
            raise self._down(error) from error

    def close(self) -> None:
        self._link.close()
