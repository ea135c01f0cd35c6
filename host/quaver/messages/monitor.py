"""Subscribes at a broker and decodes the messages of nodes into records; a message that can't be read is counted."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from quaver.broker.address import BrokerUrl, node_topics
from quaver.broker.client import CONNECT_S, Silence, connect, mqtt_client, no_answer, refused
from quaver.errors import BrokerError
from quaver_wire import decoder as wire
from quaver_wire.cose import START as SEALED
from quaver_wire.fields import EVENTS, FAULTS, KINDS, LEVELS, LINES, QUALITY, WireError
from quaver_wire.names import ENERGY, LINE, MACHINE, ROLES, STATES, ZONES
from quaver_wire.reasons import words

if TYPE_CHECKING:
    from quaver.messages.sealing import Opener

_PLACE = ("site", "area", "line", "asset", "node")
_RETRY_S = (1, 8)  # seconds between reconnects: the first, and the most
_LEAVES = KINDS[:3]  # what a node sends by itself; commands and answers are between it and who commands it
# the fields whose number has a name
_CODES: Mapping[str, tuple[str, ...]] = {
    "level": LEVELS,
    "event_level": LEVELS,
    "state": STATES,
    "role": ROLES,
    "code": EVENTS,
    "zone": ZONES,
    "machine": MACHINE,
    "fault": FAULTS,
}
_LINE_MAX = 160  # characters of a broken message's own text in a line


class MessageError(ValueError):
    """A message that is not a record. `kind` is what it is counted under: topic, cbor, version, field."""

    def __init__(self, kind: str, line: str) -> None:
        super().__init__(line)
        self.kind = kind


@dataclass(frozen=True)
class Record:
    """One decoded message: where it came from and its fields by name, in units that the names tell.

    values: the names of `quaver_wire.fields` with readable values: "level" and "event_level" one of ok,
    warning, alarm; "code" the event's name; "state" online, offline or via gateway; "role" node or gateway; "quality" a
    list of names; "text" the words for "reason", where that is there; "peaks" a list of [Hz, g]; "energy" a dict. An
    absent value is an absent name. received: seconds since the epoch.
    """

    topic: str
    kind: str
    values: Mapping[str, Any]
    received: float

    @property
    def node(self) -> str:
        """The node's place in the namespace: "site/area/line/asset/node"."""
        return self.topic.rpartition("/")[0]

    def as_json(self) -> dict[str, Any]:
        """The record as one flat object; "time" is when it was received, UTC, ISO 8601."""
        moment = datetime.fromtimestamp(self.received, UTC).isoformat(timespec="milliseconds")
        parts = self.topic.split("/")
        place = dict(zip(_PLACE, parts, strict=False))
        return {"time": moment, "topic": self.topic, "kind": self.kind, **place, **self.values}


@dataclass(frozen=True)
class Problem:
    """A message that could not be taken as it was; `kind` is what it is counted under."""

    kind: str
    line: str
    topic: str


@dataclass(frozen=True)
class Link:
    """The connection to the broker went up or down."""

    up: bool
    line: str


@dataclass(frozen=True)
class Notice:
    """Something that a person should know and no message said."""

    line: str


Item = Record | Problem | Link | Notice


def decode(topic: str, payload: bytes, received: float | None = None, opener: Opener | None = None) -> Record:
    """Decode one message by protocols/README.md; keys that this version doesn't know are passed over.

    opener: takes sealed messages, and no others. Raises MessageError.
    """
    parts = topic.split("/")
    if len(parts) != 6 or not all(parts) or parts[5] not in _LEAVES:
        raise MessageError("topic", f"not a node's topic: expected site/area/line/asset/node/{{{','.join(_LEAVES)}}}")
    stamp = time.time() if received is None else received
    if opener is not None:
        return Record(topic, parts[5], _readable(_opened(opener, parts[5], payload)), stamp)
    values = _decoded(parts[5], payload)
    values.pop("kind", None)
    if values.get("node") != parts[4]:
        raise MessageError(
            "node", f"names node {_shown(values.get('node'))}: expected {_shown(parts[4])} as in its topic"
        )
    del values["node"]
    return Record(topic, parts[5], _readable(values), stamp)


def _opened(opener: Opener, leaf: str, payload: bytes) -> dict[str, Any]:
    from quaver.messages.sealing import SealError

    try:
        opened = opener.open(leaf, payload)
    except SealError as error:
        raise MessageError(error.kind, str(error)) from error
    values = dict(opened.record)
    values.pop("kind", None)
    return {**values, "boot": opened.boot, "seq": opened.seq}


def _decoded(leaf: str, payload: bytes) -> dict[str, Any]:
    if not payload:
        raise MessageError("cbor", "empty payload: expected a CBOR map")
    if payload.startswith(SEALED):
        raise MessageError("sealed", "sealed: quaver ingest opens it with its node's key")
    try:
        return wire.decode(payload, leaf)
    except wire.VersionError as error:
        raise MessageError("version", f"{error}; update the older one") from error
    except wire.FieldError as error:
        raise MessageError("field", _one_line(error)) from error
    except WireError as error:
        raise MessageError("cbor", f"broken CBOR ({len(payload)} bytes): {error}") from error


def _short(value: float) -> float:
    """A binary32's value as the shortest decimal of 8 digits: 0.1, not 0.10000000149011612."""
    if isinstance(value, int):
        return value
    return float(f"{value:.8g}")


def _readable(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if isinstance(value, float):
            values[name] = _short(value)
        elif isinstance(value, list):
            values[name] = [None if v is None else _short(v) for v in value]
    for name, names in _CODES.items():
        if name in values:
            code = values[name]
            # A later node may send a code that this host has no name for: its number still says something.
            values[name] = names[code] if 0 <= code < len(names) and names[code] else str(code)
    if "quality" in values:
        bits = values["quality"]
        values["quality"] = [name for bit, name in enumerate(QUALITY) if bits >> bit & 1]
        if bits >> len(QUALITY):
            values["quality"].append(f"bits {bits >> len(QUALITY) << len(QUALITY):#x}")
    if values.get("reason"):
        values.setdefault("text", words(values["reason"]))
    if "peaks" in values:
        values["peaks"] = _rows("peaks", values["peaks"], 2)
    if "lines" in values:
        if len(values["lines"]) != len(LINES) * len(LINE):
            raise MessageError("field", f"lines has {len(values['lines'])} numbers: expected {len(LINES) * len(LINE)}")
        rows = _rows("lines", values["lines"], len(LINE))
        values["lines"] = {line: dict(zip(LINE, row, strict=True)) for line, row in zip(LINES, rows, strict=True)}
    if "energy" in values:
        flat = values["energy"]
        if len(flat) != len(ENERGY):
            raise MessageError("field", f"energy has {len(flat)} numbers: expected {len(ENERGY)}")
        values["energy"] = {name: v for name, v in zip(ENERGY, flat, strict=True) if v is not None}
    return values


def _rows(name: str, flat: list[Any], width: int) -> list[list[Any]]:
    if len(flat) % width:
        raise MessageError("field", f"{name} has {len(flat)} numbers: expected a multiple of {width}")
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def _shown(value: object) -> str:
    return _one_line(repr(value))


def _one_line(value: object) -> str:
    """Foreign text made safe for one line of a terminal: printable, and not long."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= _LINE_MAX else text[: _LINE_MAX - 1] + "…"


class Monitor:
    """A subscription at a broker; a context manager. `get` and iteration hand out what arrived, in order.

    Connecting raises BrokerError at once when the broker is down or refuses; later interruptions are Link
    items, and it reconnects by itself. `problems` counts what could not be taken, by kind. ca: who signed the
    broker's certificate, PEM; None trusts whom this system does. opener: for sealed messages, which are then the
    only ones that are taken. topics: a filter, or all that can be nodes'. clock: by which a silence is told once, in
    seconds; None tells of none.
    """

    def __init__(
        self,
        url: BrokerUrl,
        topics: str | None = None,
        ca: Path | None = None,
        opener: Opener | None = None,
        clock: Callable[[], float] | None = time.monotonic,
    ) -> None:
        self._opener = opener
        self.url = url
        self.problems: Counter[str] = Counter()
        self._topics = node_topics() if topics is None else (topics,)
        self._clock = clock
        self._silence: Silence | None = None
        self._heard = False
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._known: set[str] = set()
        self._strangers: set[str] = set()
        self._subscribed = threading.Event()
        self._refusal: str | None = None
        self._was_up = False
        self._stopping = False
        client = mqtt_client(url, ca)
        client.reconnect_delay_set(*_RETRY_S)
        client.on_connect = self._connected
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        self._client = client

    def start(self) -> Self:
        connect(self._client, self.url)
        if not self._subscribed.wait(CONNECT_S) or self._refusal is not None:
            self.stop()
            raise BrokerError(f"broker {self.url}: {self._refusal or no_answer(self.url)}")
        self._silence = Silence(self.url, self._clock) if self._clock else None
        return self

    def stop(self) -> None:
        self._stopping = True
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def get(self, timeout: float | None = None) -> Item | None:
        """The next item, or None after `timeout` seconds without one."""
        try:
            return self._items.get(timeout=timeout)
        except queue.Empty:
            line = self._silence.tell(self._heard) if self._silence else ""
            return Notice(line) if line else None

    def __iter__(self) -> Iterator[Item]:
        while True:
            # A wait without end would hold back Ctrl-C on some systems.
            item = self.get(timeout=1.0)
            if item is not None:
                yield item

    # paho calls these in its own thread; an exception here would end that thread, so none may escape.

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        if code.is_failure:
            self._refuse(refused(code))
            return
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, codes: list[ReasonCode], _props: Any) -> None:
        if any(code.is_failure for code in codes):
            refused = [topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure]
            self._refuse(f"refused the subscription to {', '.join(refused)}; allow this user to read it")
            return
        if self._was_up:
            self._items.put(Link(True, f"broker {self.url}: connected again"))
        self._was_up = True
        self._subscribed.set()

    def _refuse(self, reason: str) -> None:
        if self._subscribed.is_set():
            self._items.put(Link(False, f"broker {self.url}: {reason}"))
        else:
            self._refusal = reason
            self._subscribed.set()

    def _disconnected(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        if self._stopping:
            return
        if not self._subscribed.is_set():
            self._refuse("")
        elif self._was_up:
            self._items.put(Link(False, f"broker {self.url}: connection lost; reconnecting"))

    def _message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._heard = True
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._problem("topic", "?", "a topic that is not UTF-8")
            return
        if not message.payload and topic.endswith("/status"):  # what the broker kept of it was taken back
            self._items.put(Notice(f"{_one_line(topic.rpartition('/')[0])}: retired"))
            return
        try:
            record = decode(topic, bytes(message.payload), opener=self._opener)
        except MessageError as error:
            self._problem(error.kind, topic, str(error))
            return
        if record.kind == "status":
            self._known.add(record.node)
        elif record.node not in self._known and record.node not in self._strangers:
            self._strangers.add(record.node)
            self._problem("node", topic, "unknown node: it has published no status; its messages are shown")
        self._items.put(record)

    def _problem(self, kind: str, topic: str, line: str) -> None:
        self.problems[kind] += 1
        self._items.put(Problem(kind, f"{_one_line(topic)}: {line}", topic))


_STAYS = ("peaks", "bands", "lines")


@dataclass
class NodeState:
    """What is known of one node: its last status, its last telemetry, the levels that stand."""

    place: str
    state: str = "unknown"
    board: str = ""
    firmware: str = ""
    captures: int = 0
    last_seen: float = 0.0
    telemetry: Mapping[str, Any] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """The worst level that stands: of the last telemetry and of every event not yet cleared."""
        levels = [str(self.telemetry.get("level", "ok")), *self.raised.values()]
        return max(levels, key=lambda level: LEVELS.index(level) if level in LEVELS else 0)


class Fleet:
    """The present picture of all nodes, updated record by record; `events` keeps the last few."""

    def __init__(self, events: int = 8) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.events: deque[Record] = deque(maxlen=events)

    def update(self, record: Record) -> NodeState:
        node = self.nodes.setdefault(record.node, NodeState(record.node))
        values = record.values
        seen, node.last_seen = node.last_seen, record.received
        if record.kind == "status":
            node.state = values.get("state", node.state)
            node.board = values.get("board", node.board)
            node.firmware = values.get("firmware", node.firmware)
            if node.state == "via gateway" and "time_ms" in values:  # the broker kept it, for months perhaps
                node.last_seen = max(seen, min(record.received, values["time_ms"] / 1000))
        elif record.kind == "telemetry":
            node.captures += 1
            # an ordinary record leaves out its spectrum: the last that came still stands for the machine
            node.telemetry = {**{name: node.telemetry[name] for name in _STAYS if name in node.telemetry}, **values}
        else:
            self.events.append(record)
            if values.get("code") == "level":
                subject = str(values.get("subject", ""))
                node.raised[subject] = values.get("event_level", "ok")
                if node.raised[subject] == "ok":
                    del node.raised[subject]
            elif values.get("code") == "boot":
                node.raised.clear()  # a node that starts anew judges anew
        return node
