"""A host application that holds every message of Sparkplug to the rules: Sparkplug Specification 3.0.

Each rule has the clause it is from (without its tck-id-), and what breaks one is told with it.
"""

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho

from quaver.bridge.sparkplug_payload import BOOLEAN, DOUBLE, INT32, INT64, PAYLOAD, STRING, Metric, encode, now_ms
from tests.waiting import wait_until

ONLY_NODE = ("NBIRTH", "NDATA", "NDEATH")
OF_DEVICE = ("DBIRTH", "DDATA", "DDEATH")
_VALUES = {
    INT32: "int_value",
    INT64: "long_value",
    DOUBLE: "double_value",
    BOOLEAN: "boolean_value",
    STRING: "string_value",
}
_YEAR_2020_MS, _YEAR_2100_MS = 1_577_836_800_000, 4_102_444_800_000


def value_of(metric: Any) -> Any:
    kind = metric.WhichOneof("value")
    return None if kind is None else getattr(metric, kind)


@dataclass
class _Session:
    """devices: of those that are born, their metrics, each with its data type and the time of its last value."""

    bd_seq: int
    seq: int
    alive: bool = True
    missed: bool = False  # something of it: nothing can be said before its next birth
    node: dict[str, int] = field(default_factory=dict)
    devices: dict[str, dict[str, int]] = field(default_factory=dict)
    last_ms: dict[tuple[str, str], int] = field(default_factory=dict)


class Rules:
    """The state of each edge node as its messages tell it. faults: each rule that was broken.

    waits: a session may end that was not born, as one that waits for its primary host.
    """

    def __init__(self, waits: bool = False) -> None:
        self.faults: list[str] = []
        self.waits = waits
        self._sessions: dict[str, _Session] = {}

    def lost(self) -> None:
        """The host was away itself."""
        for session in self._sessions.values():
            session.missed = True

    def take(self, topic: str, data: bytes, qos: int, retain: bool) -> None:
        for fault in self._faults(topic, data, qos, retain):
            self.faults.append(f"{topic}: {fault}")

    def _faults(self, topic: str, data: bytes, qos: int, retain: bool) -> Iterable[str]:
        parts = topic.split("/")
        if parts[:2] == ["spBv1.0", "STATE"] or parts[2:3] == ["NCMD"]:
            return  # of hosts
        kind = parts[2] if len(parts) > 2 else ""
        if kind not in ONLY_NODE + OF_DEVICE or len(parts) != (5 if kind in OF_DEVICE else 4) or not all(parts):
            yield "topic-structure"
            return
        payload = PAYLOAD()
        payload.ParseFromString(data)
        if retain:
            yield f"payloads-{kind.lower()}-retain"
        if qos != (1 if kind == "NDEATH" else 0):
            yield f"payloads-{kind.lower()}-qos: {qos}"
        node = f"{parts[1]}/{parts[3]}"
        session = self._sessions.get(node)
        if kind == "NDEATH":
            yield from self._death(payload, session)
            return
        yield from self._common(kind, payload)
        if kind == "NBIRTH":
            bd_seq = [one for one in payload.metrics if one.name == "bdSeq"]
            if len(bd_seq) != 1 or bd_seq[0].datatype != INT64:
                yield "payloads-nbirth-bdseq"
                return
            yield from self._bd_seq(bd_seq[0].long_value, session)
            rebirth = [one for one in payload.metrics if one.name == "Node Control/Rebirth"]
            if [(one.datatype, value_of(one)) for one in rebirth] != [(BOOLEAN, False)]:
                yield "payloads-nbirth-rebirth-req"
            session = self._sessions[node] = _Session(bd_seq[0].long_value, payload.seq)
            session.node = {one.name: one.datatype for one in payload.metrics}
            return
        if session is not None and session.missed:
            return
        if session is None or not session.alive:
            yield "message-flow-device-birth-publish-nbirth-wait: no session"
            return
        if payload.seq != (session.seq + 1) % 256:
            yield f"payloads-sequence-num-incrementing: {payload.seq} after {session.seq}"
        session.seq = payload.seq
        yield from self._of_session(kind, "/".join(parts[4:]), payload, session)

    def _death(self, payload: Any, session: _Session | None) -> Iterable[str]:
        if payload.HasField("seq"):
            yield "payloads-ndeath-seq"
        if [(one.name, one.datatype) for one in payload.metrics] != [("bdSeq", INT64)]:
            yield "topics-ndeath-payload"
            return
        bd_seq = payload.metrics[0].long_value
        if session is not None and session.bd_seq == bd_seq:
            session.alive = False
            session.devices.clear()
        elif not self.waits and not (session is not None and session.missed):
            yield f"payloads-ndeath-bdseq: {bd_seq}"

    def _bd_seq(self, bd_seq: int, session: _Session | None) -> Iterable[str]:
        if session is None:
            if bd_seq and not self.waits:
                yield f"topics-nbirth-bdseq-increment: begins with {bd_seq}"
        elif (session.alive or session.missed) and bd_seq == session.bd_seq:
            pass  # asked for: operational-behavior-data-commands-rebirth-action-3
        elif bd_seq != (session.bd_seq + 1) % 256 and not (self.waits and bd_seq > session.bd_seq):
            yield f"topics-nbirth-bdseq-increment: {bd_seq} after {session.bd_seq}"

    def _common(self, kind: str, payload: Any) -> Iterable[str]:
        if not payload.HasField("seq") or not 0 <= payload.seq <= 255:
            yield "payloads-sequence-num-always-included"
        for time_ms in (payload.timestamp, *(one.timestamp for one in payload.metrics)):
            if not _YEAR_2020_MS < time_ms < _YEAR_2100_MS:
                yield f"payloads-timestamp-in-UTC: {time_ms}"
        born = kind.endswith("BIRTH")
        names = [one.name for one in payload.metrics]
        if not all(names) or (born and len(set(names)) < len(names)):
            yield "payloads-name-birth-data-requirement"
        times = [one.timestamp for one in payload.metrics if not one.is_historical]
        if times != sorted(times):
            yield f"operational-behavior-data-publish-{kind.lower()}-order"
        for one in payload.metrics:
            if one.datatype not in _VALUES and (born or one.HasField("datatype")):
                yield f"payloads-metric-datatype-value: {one.name}"
            if (value_of(one) is None) != one.is_null:
                yield f"operational-behavior-data-publish-{kind.lower()}-values: {one.name}"
            if not one.is_null and one.WhichOneof("value") != _VALUES.get(one.datatype):
                yield f"payloads-metric-datatype-value-type: {one.name}"
            if born and one.is_historical:
                yield f"a birth tells of now: {one.name}"
            if len(one.properties.keys) != len(one.properties.values):
                yield f"payloads-propertyset-values-array-size: {one.name}"
            if any(prop.type != STRING for prop in one.properties.values):
                yield f"payloads-metric-propertyvalue-type-req: {one.name}"

    def _of_session(self, kind: str, device: str, payload: Any, session: _Session) -> Iterable[str]:
        if kind == "DBIRTH":
            session.devices[device] = {one.name: one.datatype for one in payload.metrics}
            session.last_ms |= {(device, one.name): one.timestamp for one in payload.metrics}
            return
        born = session.node if kind == "NDATA" else session.devices.get(device)
        if born is None:
            yield f"{kind} of a device that is not born"
        elif kind == "DDEATH":
            del session.devices[device]
        elif not payload.metrics:
            yield f"topics-{kind.lower()}-payload: empty"
        for one in payload.metrics if born is not None else ():
            if born.get(one.name) != one.datatype:
                yield f"topics-{kind[0].lower()}birth-metric-reqs: {one.name} is not of the birth"
            before = session.last_ms.get((device, one.name), 0)
            if not one.is_historical and one.timestamp < before:
                yield f"operational-behavior-data-publish-{kind.lower()}-order: {one.name}"
            if not one.is_historical:
                session.last_ms[device, one.name] = one.timestamp


class Host:
    """A host application at a broker, which hears all and can ask for a rebirth; a context manager."""

    def __init__(self, port: int, name: str = "", waits: bool = False, user: str = "") -> None:
        self.rules = Rules(waits)
        self.heard: list[tuple[str, Any]] = []  # (topic after the namespace, payload)
        self.retained: list[str] = []
        self._ready = threading.Event()
        self._connections = 0
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name)
        if user:
            self._client.username_pw_set(user)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(240)

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, *_: object) -> None:
        self.rules.lost()
        client.subscribe("spBv1.0/#", qos=2)

    def _subscribed(self, *_: object) -> None:
        self._connections += 1
        self._ready.set()

    def again(self, times: int) -> None:
        """Wait until it has connected again, so often."""
        wait_until(lambda: self._connections > times, what="that the host is back")

    def _message(self, _client: Any, _data: Any, message: Any) -> None:
        self.rules.take(message.topic, message.payload, message.qos, message.retain)
        if message.retain:
            self.retained.append(message.topic)
        if "/STATE/" in message.topic:
            return
        payload = PAYLOAD()
        payload.ParseFromString(message.payload)
        self.heard.append((message.topic.partition("/")[2], payload))

    def of(self, kind: str) -> list[Any]:
        return [payload for topic, payload in self.heard if topic.split("/")[1] == kind]

    def kinds(self) -> list[str]:
        return [topic.split("/")[1] for topic, _ in self.heard]

    def asks_for_rebirth(self, node: str = "quaver/bridge", value: bool = True) -> None:
        group, edge_node = node.split("/")
        metric = Metric("Node Control/Rebirth", BOOLEAN, value, now_ms())
        self.publish(f"spBv1.0/{group}/NCMD/{edge_node}", encode([metric], now_ms()))

    def state(self, online: bool, time_ms: int, name: str = "scada") -> None:
        message = json.dumps({"online": online, "timestamp": time_ms}).encode()
        self.publish(f"spBv1.0/STATE/{name}", message, qos=1, retain=True)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(240)


def values(payload: Any) -> dict[str, Any]:
    """name -> value, None where it is null."""
    return {one.name: value_of(one) for one in payload.metrics}
