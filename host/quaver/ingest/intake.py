"""The intake: each message is verified, compared with what is known of its node, and made a row.

A message is a row, a copy of one, or refused. Refused means counted under its reason, told as a security event, and
nothing of its content used. The reasons:

    topic          not a node's topic, or not that of the node whose key sealed it
    oversized      longer than any message of a node
    malformed      sealed or encoded in no way that the wire format knows; or not sealed at all
    wrong_version  of a version of the wire format that is not this one
    unknown_node   its node has no key in the key store, or none of this generation
    wrong_key      sealed under another key, altered, or moved from another class
    key_revoked    sealed under a key that was revoked
    key_expired    sealed under a key whose time is over
    old_key        sealed under an old key after the first message under the new one, and not before it
    replay         a copy that comes long after the record it copies
    conflict       another message under a number that is taken: the node's boot counter was set back

A record that nobody has seen is no replay, however old its boot: what a node has given away may wait at a gateway,
while a later boot's first event says that its journal has no more of it.

A clock that is years off its receipt is a security event too, `clock`, and one that was corrected: the record is taken,
and dated by its receipt, or by what the clock said later (dating.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from quaver.broker.reader import Message
from quaver.ingest.dating import DRIFT_MS, corrected, in_range, judge
from quaver.messages.decoding import decode
from quaver.messages.sealing import Malformed, Opened, SealError
from quaver.store.removed import removed_of
from quaver.store.rows import Clock, Node, Row, Span
from quaver.store.store import Store
from quaver_wire.cose import START
from quaver_wire.fields import WireError

RECORD_CLASSES = ("telemetry", "event", "status", "answer")
MESSAGE_MAX = 2048  # bytes; the longest event, all its drops told, takes 700
_TOPIC_PARTS = 6
_TOPIC_MAX = 512  # bytes; a node's own takes 490 at most, and only such are kept in memory
_RUNS_MAX = 16  # runs of lost records that one event may tell
_SEQ_MAX = 0xFFFFFF
_DETAIL_MAX = 200
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=bytes.hex)
PLAIN = b"unsealed:"  # begins the id of a node that seals nothing; longer than any chip's


class Reader(Protocol):
    """Opens messages; raises quaver.messages.sealing.SealError for what it does not take."""

    def open(self, message_class: str, message: bytes) -> Opened: ...


class PlainToo:
    """A reader that also takes messages that nobody sealed; nothing vouches for them."""

    def __init__(self, sealed: Reader) -> None:
        self._sealed = sealed

    def open(self, message_class: str, message: bytes) -> Opened:
        if message[:1] < b"\xa0" or message[:1] > b"\xbf":  # no CBOR map
            return self._sealed.open(message_class, message)
        try:
            record = decode(message, message_class)
            node, boot, seq = record.pop("node"), record.pop("boot"), record.pop("seq")
        except WireError as error:
            raise Malformed(f"not sealed, and {error}; update its firmware") from error
        except KeyError as error:
            raise Malformed(f"not sealed, and without {error}; update its firmware") from error
        return Opened(PLAIN + node.encode(), 0, boot, seq, record)


class Refusal(Exception):
    """A message that is not taken; `reason` is one of the module's list."""

    def __init__(self, reason: str, detail: str, node: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.node = node


@dataclass
class Told:
    """How often a reason was met for a node since the last commit, and what the last one was."""

    count: int = 0
    detail: str = ""


@dataclass
class Tally:
    """What an intake has done since it was made; refused by reason."""

    received: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Intake:
    """reader: opens messages. name_of(node id): the name that its topics must carry, None when any will do.

    `take` judges a batch, `commit` puts it into the store; until then nothing of it is there. `heard` gathers which
    nodes said something new; whoever reads it clears it. alarm(line) is called,
    at a commit, for the first refusal of each kind and node that this intake meets. stale: whether the broker may have
    handed to another worker what was taken here; asked at a commit, once no other can write.
    """

    def __init__(
        self, store: Store, reader: Reader, name_of: Callable[[bytes], str | None], alarm: Callable[[str], None]
    ) -> None:
        self.store = store
        self.reader = reader
        self.tally = Tally()
        self.stale: Callable[[], bool] = lambda: False
        self.heard: dict[bytes, tuple[int, str | None]] = {}  # node -> when, ms since 1970, and its firmware if it said
        self._wills: set[tuple[int, int, int]] = set()  # rows that a broker said in its node's stead
        self._firmware: dict[int, str] = {}
        self._name_of = name_of
        self._alarm = alarm
        self._nodes = {node.id: node for node in store.nodes()}
        self._newest: dict[int, int] = {}  # boots, by a node's number
        self._dirty: dict[int, Node] = {}
        self._clocks: dict[tuple[int, int], Clock] = {}
        self._dirty_clocks: dict[tuple[int, int], Clock] = {}
        self._sets: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (uptime, offset) of each boot's clock
        self._receipts: dict[tuple[int, int], int] = {}  # of each boot in this span, the least
        self._dirty_receipts: dict[tuple[int, int, int], int] = {}
        self._anew: set[tuple[int, int]] = set()  # boots whose clock was corrected
        self._span: Span | None = None
        self._rows: list[Row] = []
        self._again: set[tuple[int, int, int]] = set()  # rows that the broker itself says it sends again
        self._clock_sets: list[tuple[int, int, int, int]] = []
        self._explained: list[tuple[int, int, int, int, int]] = []
        self._refused: dict[tuple[str, str], Told] = {}
        self._alarmed: set[tuple[str, str]] = set()
        self._topics: dict[bytes, tuple[str, str, str]] = {}

    def follow(self, span: Span) -> None:
        """What comes from now on is received in `span`; nothing that was taken may be uncommitted."""
        self._span = span
        self._receipts.clear()
        self._clocks.clear()
        self._sets.clear()

    def judge_again(self, node: int, boot: int) -> None:
        """Date a boot's records by all that is known now, inside a transaction of the store's."""
        believed, others, sets = judge(self.store.claims(node, boot))
        self.store.put_judged(node, boot, believed, others, sets)
        self._clocks.pop((node, boot), None)
        self._sets.pop((node, boot), None)
        for known in self._nodes.values():
            if known.number == node:
                known.last_time_ms = self.store.last_time_ms(node)

    def take(self, messages: Sequence[Message], now_ms: int) -> None:
        """Judge messages that came at `now_ms`, milliseconds since the epoch."""
        append = self._rows.append
        for message in messages:
            if message.payload == b"" and message.topic.endswith(b"/status"):
                continue  # a node that retires takes back what the broker kept of it
            try:
                append(self._row(message, now_ms))
            except Refusal as refusal:
                self._refuse(refusal.node, refusal.reason, str(refusal))

    def commit(self, now_ms: int) -> None:
        """Put all that was taken into the store. Raises StoreError: then the store is as it was."""
        if not (self._rows or self._refused):
            return
        with self.store.transaction():
            numbers = {node.number: node for node in self._nodes.values()}
            for row in removed_of(self.store, self._rows):
                self._rows.remove(row)
                said = f"{numbers[row.node].topic}: boot {row.boot} seq {row.seq} again, which a policy had deleted"
                self._refuse(numbers[row.node].id.hex(), "replay", said)
            copies = self.store.add(self._rows)
            for row in self._rows:
                numbers[row.node].received += 1
            for copy in copies:
                node = numbers[copy.row.node]
                node.received -= 1
                # A last will is published once for each connection that is cut, the same bytes.
                if copy.resent or (copy.same and (copy.row.message_class == "status" or copy.row[:3] in self._again)):
                    node.duplicates += 1
                    self.tally.duplicates += 1
                elif copy.same:
                    self._refuse(
                        node.id.hex(), "replay", f"{node.topic}: boot {copy.row.boot} seq {copy.row.seq} again"
                    )
                else:
                    said = f"{node.topic}: boot {copy.row.boot} seq {copy.row.seq} with other content"
                    self._refuse(node.id.hex(), "conflict", said)
            said_new = Counter(row.node for row in self._rows)
            copied = {copy.row[:3] for copy in copies}
            said_new.subtract(copy.row.node for copy in copies)
            said_new.subtract(number for number, *_ in (self._again | self._wills) - copied)
            self.store.put_nodes(self._dirty.values())
            self.store.put_clocks(self._dirty_clocks.values())
            self.store.put_clock_sets(self._clock_sets)
            self.store.put_receipts(self._dirty_receipts)
            if self._span is not None and self._rows:
                self._span.last_ms = self._rows[-1].received_ms
                self.store.put_spans([self._span])
            self.store.put_explained(self._explained)
            for (name, reason), told in self._refused.items():
                self.store.put_security_event(name, reason, told.count, now_ms, told.detail)
            for key in self._anew:
                self.judge_again(*key)
        self._hear(said_new, numbers, now_ms)
        self.tally.received += len(self._rows) - len(copies)
        for (name, reason), told in self._refused.items():
            self.tally.refused[reason] += told.count
            self._tell(name, reason, told)
        for batch in (
            self._dirty,
            self._dirty_clocks,
            self._dirty_receipts,
            self._anew,
            self._rows,
            self._again,
            self._clock_sets,
            self._explained,
            self._refused,
            self._wills,
            self._firmware,
        ):
            batch.clear()

    def _hear(self, said_new: Counter[int], numbers: Mapping[int, Node], now_ms: int) -> None:
        for number, count in said_new.items():
            node_id = numbers[number].id
            if count > 0 and not node_id.startswith(PLAIN):
                firmware = self._firmware.get(number) or self.heard.get(node_id, (0, None))[1]
                self.heard[node_id] = now_ms, firmware

    def _tell(self, name: str, reason: str, told: Told) -> None:
        if (name, reason) not in self._alarmed and len(self._alarmed) < 1000:
            self._alarmed.add((name, reason))
            self._alarm(f"refused ({reason}): {told.detail}")

    def _refuse(self, name: str, reason: str, detail: str) -> None:
        told = self._refused.setdefault((name, reason), Told())
        told.count += 1
        told.detail = _printable(detail)

    def _row(self, message: Message, now_ms: int) -> Row:
        prefix, name, message_class = self._topics.get(message.topic) or self._split(message.topic)
        payload = message.payload
        if payload is None or len(payload) > MESSAGE_MAX:
            raise Refusal("oversized", f"{prefix}/{message_class}: longer than {MESSAGE_MAX} bytes")
        try:
            opened = self.reader.open(message_class, payload)
        except SealError as error:
            claimed = payload[8:16].hex() if payload.startswith(START) and len(payload) >= 16 else ""
            raise Refusal(error.kind, f"{prefix}/{message_class}: {error}", claimed) from error
        node_id = opened.node_id
        plain = node_id.startswith(PLAIN)
        wanted = node_id[len(PLAIN) :].decode() if plain else self._name_of(node_id)
        if wanted is not None and wanted != name:
            raise Refusal(
                "topic", f"{prefix}/{message_class}: sealed by {wanted}, on the topics of {name}", node_id.hex()
            )
        boot, seq, values = opened.boot, opened.seq, opened.record
        node = self._nodes.get(node_id) or self._new_node(node_id, prefix)
        uptime = values.get("uptime_ms")
        if type(uptime) is not int or not 0 <= uptime < 1 << 53:
            raise Refusal("malformed", f"{prefix}/{message_class}: no uptime", node_id.hex())
        try:
            body = self._body(message_class, values)
        except (ValueError, TypeError) as error:
            raise Refusal("malformed", f"{prefix}/{message_class}: {error}", node_id.hex()) from error
        tag = hashlib.sha256(payload).digest()[:8] if plain else payload[-8:]
        if message.again:
            self._again.add((node.number, boot, seq))
        row = Row(
            node.number,
            boot,
            seq=seq,
            message_class=message_class,
            arrival=node.arrivals + 1,
            tag=tag,
            received_ms=now_ms,
            uptime_ms=uptime,
            time_ms=None,
            claimed_ms=None,
            body=body,
            span=self._span.number if self._span else 0,
        )
        self._judge(node, row, opened.generation)
        if message_class != "telemetry":
            self._learn(node, row, values)
        if message_class == "status":
            if values.get("state") == 0:
                self._wills.add((node.number, boot, seq))
            elif "firmware" in values:
                self._firmware[node.number] = values["firmware"]
        node.arrivals += 1
        node.topic = prefix
        self._dirty[node.number] = node
        return self._date(node, row, values.get("time_ms"))

    def _body(self, message_class: str, values: Mapping[str, Any]) -> str:
        return body_of(message_class, values)

    def _split(self, topic: bytes) -> tuple[str, str, str]:
        """A topic's (topic prefix, node's name, class); kept, for there are few."""
        try:
            parts = topic.decode().split("/")
        except UnicodeDecodeError as error:
            raise Refusal("topic", "a topic that is not UTF-8") from error
        if len(parts) != _TOPIC_PARTS or not all(parts) or parts[-1] not in RECORD_CLASSES:
            raise Refusal("topic", f"{topic.decode()}: not a node's topic")
        found = ("/".join(parts[:-1]), parts[-2], parts[-1])
        if len(self._topics) < 100_000 and len(topic) <= _TOPIC_MAX:
            self._topics[topic] = found
        return found

    def _new_node(self, node_id: bytes, prefix: str) -> Node:
        node = Node(max((n.number for n in self._nodes.values()), default=0) + 1, node_id, prefix)
        self._nodes[node_id] = node
        return node

    def _judge(self, node: Node, row: Row, generation: int) -> None:
        """Refuse what is under too old a key: one before the newest that was seen."""
        at = (row.boot, row.seq)
        first = (node.generation_boot, node.generation_seq)
        if generation > node.generation:
            node.generation, node.generation_boot, node.generation_seq = generation, *at
        elif generation < node.generation:
            # What waited in the journal when the key changed is sealed under the old one, and its number tells.
            if at >= first and not self._is_copy(row):
                said = (
                    f"{node.topic}: key {generation}, it has had {node.generation} since boot {first[0]} seq {first[1]}"
                )
                raise Refusal("old_key", said, node.id.hex())
        elif at < first:
            node.generation_boot, node.generation_seq = at

    def _is_copy(self, row: Row) -> bool:
        copy = self.store.find(row)
        return copy is not None and copy.same

    def _learn(self, node: Node, row: Row, values: Mapping[str, Any]) -> None:
        """What a node says of its journal: what it dropped, what its power took."""
        said = f"{node.topic}/{row.message_class}: boot {row.boot} seq {row.seq}"
        drops = values.get("drops") or ()
        if len(drops) % 3 or len(drops) > 3 * _RUNS_MAX:
            raise Refusal("malformed", f"{said}: drops of {len(drops)} numbers", node.id.hex())
        runs: list[tuple[int, int, int, int, int]] = []
        for i in range(0, len(drops), 3):
            boot, first, last = drops[i : i + 3]
            if boot > row.boot or not first <= last <= _SEQ_MAX:
                raise Refusal("malformed", f"{said}: drops of boot {boot}, {first} to {last}", node.id.hex())
            runs.append((node.number, boot, first, last, 0))
        lost = values.get("lost_from") or ()
        pairs = list(zip(lost[::2], lost[1::2], strict=False))
        ends = [*(boot for boot, _ in pairs[1:]), row.boot][: len(pairs)]
        if (
            len(lost) % 2
            or len(pairs) > _RUNS_MAX
            or any(seq > _SEQ_MAX + 1 or boot >= end for (boot, seq), end in zip(pairs, ends, strict=True))
        ):
            raise Refusal("malformed", f"{said}: lost_from {list(lost)[:8]}", node.id.hex())
        # What has no pair of its own, a number that the boot counter leapt over, lies in the stretch before.
        runs += [(node.number, boot, seq, -1, end) for (boot, seq), end in zip(pairs, ends, strict=True)]
        oldest = values.get("oldest_boot", 0)
        if oldest > row.boot:
            raise Refusal("malformed", f"{said}: oldest boot {oldest}", node.id.hex())
        self._explained += runs

    def _date(self, node: Node, row: Row, time_ms: int | None) -> Row:
        """The row with its own time, when that can be believed; what it says of its boot's clock is kept."""
        key = (row.node, row.boot)
        clock = self._clocks.get(key) or self._clock(node, row)
        receipt = row.received_ms - row.uptime_ms
        if receipt < self._receipts.get(key, receipt + 1):
            self._receipts[key] = self._dirty_receipts[*key, row.span] = receipt
        if time_ms is None:
            return row
        said = f"{node.topic}: its clock"
        if not in_range(time_ms, row.received_ms + (self._span.shift_ms if self._span else 0)):
            apart = (time_ms - row.received_ms) / 86_400_000
            said += f" and this machine's are {apart:+.1f} days apart; dated by receipt"
            self._refuse(node.id.hex(), "clock", said)
            return _unbelieved(row, time_ms)
        at = row.uptime_ms, time_ms - row.uptime_ms
        before, after = self._neighbours(key, row.uptime_ms)
        if after and corrected(after, at):
            self._refuse(node.id.hex(), "clock", f"{said} was corrected in boot {row.boot}; dated by its later time")
            return _unbelieved(row, time_ms)
        if before is None or abs(at[1] - before[1]) > DRIFT_MS:
            if before and corrected(before, at):
                moved = (at[1] - before[1]) / 1000
                self._refuse(node.id.hex(), "clock", f"{said} moved by {moved:+.0f} s in boot {row.boot}; earlier "
                             "records are dated by it")  # fmt: skip
                self._anew.add(key)
            self._clock_sets.append((*key, *at))
            self._sets[key].append(at)
            self._sets[key].sort()
            clock.offset_ms = self._sets[key][-1][1]
            self._dirty_clocks[key] = clock
        if node.last_time_ms is None or time_ms > node.last_time_ms:
            node.last_time_ms = time_ms
        return row._replace(time_ms=time_ms)

    def _neighbours(
        self, key: tuple[int, int], uptime_ms: int
    ) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """(uptime, offset) of the times that a boot's clock was set: the last by then, and the next."""
        sets = self._sets.get(key)
        if sets is None:
            sets = self._sets[key] = self.store.clock_sets(*key)
        place = bisect_right(sets, (uptime_ms, 1 << 64))
        return sets[place - 1] if place else None, sets[place] if place < len(sets) else None

    def _clock(self, node: Node, row: Row) -> Clock:
        key = (row.node, row.boot)
        clock = self._dirty_clocks.get(key) or self.store.clock(*key)
        if clock is None:
            clock = Clock(row.node, row.boot, None, self._not_before(node, row.boot))
            self._dirty_clocks[key] = clock
        if len(self._clocks) > 10_000:
            self._clocks.clear()
            self._sets.clear()
            self._receipts.clear()
        self._clocks[key] = clock
        return clock

    def _not_before(self, node: Node, boot: int) -> int | None:
        """The latest date that the boots before `boot` told: a later boot may have come first, and bounds nothing."""
        if node.number not in self._newest:
            self._newest.update(self.store.newest_boots([node.number]))
        newest = self._newest.get(node.number, 0)
        self._newest[node.number] = max(newest, boot)
        return self.store.dated_before(node.number, boot) if boot < newest else node.last_time_ms


def body_of(message_class: str, values: Mapping[str, Any]) -> str:
    """The fields as the store keeps them: JSON. Raises ValueError, TypeError for what that can't have.

    JSON has no bytes, as the parts of a waveform are: they stand there in hexadecimal. An answer may have infinities,
    which orjson writes as null and this refuses, and integers of over 64 bits with their sign.
    """
    if message_class != "answer":
        with contextlib.suppress(TypeError):
            return orjson.dumps(values, default=bytes.hex).decode()
    return _ENCODER.encode(values)


def _unbelieved(row: Row, time_ms: int) -> Row:
    return row._replace(claimed_ms=min(time_ms, (1 << 63) - 1))


def _printable(text: str) -> str:
    """Foreign text made safe for one line of a terminal: printable, and not long."""
    return "".join(c if c.isprintable() else "?" for c in text[:_DETAIL_MAX])
