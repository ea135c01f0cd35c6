"""Nodes that exist in a test alone: they seal what they say, and publish it with an MQTT client of others."""

from typing import Any

import paho.mqtt.client as paho

from quaver.broker.reader import Message
from quaver.fleet.keys import KeyStore
from quaver.messages import host_fields
from quaver.messages.sealing import Sealer
from quaver_wire.fields import EVENTS, VERSION

PLACE = "plant/hall/line-2/pump"
HOUR_MS = 3_600_000


class Node:
    """A node that is enrolled in `keys` and numbers what it says; `lose` skips numbers."""

    def __init__(self, keys: KeyStore, node_id: bytes, name: str, boot: int = 1) -> None:
        self.id = node_id
        self.name = name
        self.boot = boot
        self.seq = 0
        self.key = ((keys.path.exists() and keys.get(node_id)) or keys.create(node_id, name)).keys
        self.generation = max(self.key)

    def topic(self, message_class: str) -> str:
        return f"{PLACE}/{self.name}/{message_class}"

    def seal(self, message_class: str = "telemetry", at: tuple[int, int] | None = None, **values: Any) -> bytes:
        """The next message, or the one of number `at`."""
        boot, seq = at or (self.boot, self.seq)
        if at is None:
            self.seq += 1
        sealer = Sealer(self.key[self.generation], self.id, self.generation, "uplink")
        return sealer.seal(message_class, boot, seq, encoded(message_class, **values))

    def says(self, message_class: str = "telemetry", **values: Any) -> Message:
        return Message(self.topic(message_class).encode(), self.seal(message_class, **values), 1, False)

    def boots(self, **values: Any) -> Message:
        """Start anew, and say so."""
        self.boot += 1
        self.seq = 0
        return self.says("event", code=EVENTS.index("boot"), **values)


def encoded(message_class: str, **values: Any) -> bytes:
    """The plaintext of a message of class `message_class` with a few fields, and `values` besides."""
    common: dict[str, Any] = {
        "telemetry": {"rms_g": 0.25, "kurtosis": 3.0},
        "event": {"code": EVENTS.index("boot")},
        "status": {"state": 1, "firmware": "0.1.0", "board": "pico_w", "interval_s": 60},
        "answer": {"id": 7},
    }[message_class]
    buffer = bytearray(900)
    end = host_fields.encode(buffer, {"version": VERSION, "uptime_ms": 1000, **common, **values}, message_class)
    return bytes(buffer[:end])


def publish(port: int, messages: list[tuple[str, bytes]], **settings: Any) -> None:
    """Publish at QoS 1 with paho, and return when the broker has acknowledged all."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.max_inflight_messages_set(100)
    if "user" in settings:
        client.username_pw_set(settings["user"], settings["password"])
    if "ca" in settings:
        client.tls_set(str(settings["ca"]))
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        for waiting in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            waiting.wait_for_publish(20)
            assert waiting.is_published()
    finally:
        client.disconnect()
        client.loop_stop()
