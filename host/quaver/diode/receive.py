"""The far side: bundles into a store of its own, in which `quaver ledger` shows what the way lost.

Records go through the intake of `quaver ingest`, which dates them, and takes in what nodes say that they dropped. Their
seals were opened on the near side; here is no device key, so nothing here can be said to a node.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from quaver.bridge.state import State
from quaver.broker.reader import Message
from quaver.diode.bundle import BUNDLE_MAX, Record, unpack
from quaver.errors import DiodeError
from quaver.ingest.intake import Intake
from quaver.messages.sealing import Malformed, Opened
from quaver.store.rows import Node, Row
from quaver.store.store import Store

_MISSING_MAX = 10_000  # numbers of bundles that are remembered as missing, of a stream


class _Carried:
    """Gives the intake the records of a bundle in place of opened messages."""

    def __init__(self) -> None:
        self._records: dict[bytes, Record] = {}

    def hold(self, record: Record) -> Message:
        key = b"%b %d %d " % (record.node, record.boot, record.seq) + record.tag
        self._records[key] = record
        topic = f"{record.topic}/{record.message_class}".encode()
        return Message(topic, key, 0, again=True)  # a bundle may come twice: that is no replay

    def open(self, message_class: str, payload: bytes) -> Opened:
        record = self._records.pop(payload)
        try:
            values = orjson.loads(record.body)
        except ValueError as error:
            raise Malformed(f"the body is no JSON: {error}") from error
        if not isinstance(values, dict) or record.boot < 0 or record.seq < 0:
            raise Malformed("the body is no record")
        return Opened(record.node, 0, record.boot, record.seq, values)


class _Intake(Intake):
    """What is too old was refused on the near side; what is late here came late on the way."""

    def _judge(self, node: Node, row: Row, generation: int) -> None:
        pass


class Receiving:
    """store: opened to write. state: a private file with the numbers of the bundles. say: hears of losses, refusals."""

    def __init__(self, store: Store, state: Path, key: Ed25519PublicKey, say: Callable[[str], None]) -> None:
        self._key = key
        self._say = say
        self._state = State(state)
        self._carried = _Carried()
        self._intake = _Intake(store, self._carried, lambda _node: None, say)
        self.bundles = self.refused = 0

    @property
    def records(self) -> int:
        """New ones."""
        return self._intake.tally.received

    def take(self, data: bytes, name: str) -> bool:
        """Put a bundle's records into the store; whether it was used. Raises StoreError."""
        try:
            if len(data) > BUNDLE_MAX:
                raise DiodeError("is longer than a bundle")
            bundle = unpack(data, self._key)
        except DiodeError as error:
            self.refused += 1
            self._say(f"{name}: {error}")
            return False
        for record in bundle.records:
            self._intake.take([self._carried.hold(record)], record.received_ms)
        if bundle.records:
            self._intake.commit(bundle.records[-1].received_ms)
        self._count(bundle.stream, bundle.number)
        self.bundles += 1
        return True

    def _count(self, stream: str, number: int) -> None:
        """Note which bundles have come. Numbers are kept as what comes next, and what is missing before it."""
        following = self._state.count(f"{stream} next")
        if number >= following:
            if number > following:
                last = f" to {number - 1}" if number - 1 > following else ""
                self._say(f"bundle {following}{last} of {stream} has not come; quaver ledger shows what is missing")
            for missed in range(max(following, number - _MISSING_MAX), number):
                self._state.set_count(f"{stream} missing {missed}", 1)
            self._state.set_count(f"{stream} next", number + 1)
        else:
            self._state.set_count(f"{stream} missing {number}", 0)

    def close(self) -> None:
        self._state.close()


def standing(state: Path) -> list[dict[str, Any]]:
    """Of each stream the bundles that should have come, and those that are missing. Raises BridgeError."""
    with State(state) as found:
        counts = found.counts()
    streams: dict[str, dict[str, Any]] = {}
    for name, value in counts.items():
        stream, what, *rest = name.split()
        entry = streams.setdefault(stream, {"stream": stream, "bundles": 0, "missing": []})
        if what == "next":
            entry["bundles"] = value
        elif value:
            entry["missing"].append(int(rest[0]))
    for entry in streams.values():
        entry["missing"].sort()
    return list(streams.values())
