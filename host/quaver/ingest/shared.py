"""The intake of one of several workers: what it judges by is read in the transaction that stores what it judged.

Messages are opened as they come; nothing is judged before `commit`, which holds the store's lock. There a node's state
(its arrivals, by which a copy is a resend or a replay, its keys, its clock) is what the last worker left.

The broker keeps an order for each worker alone. A worker is behind another by what waits for it, so what a node says
of its oldest boot holds for the worker that it came to: what that one gets later was sent later. A message that the
broker hands out again, which another worker may have had, comes in no order, and no boot is too old for it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quaver.broker.reader import Message
from quaver.errors import StoreAway
from quaver.ingest.intake import MESSAGE_MAX, Intake, Reader, Refusal, Tally, body_of
from quaver.messages.sealing import Opened, SealError
from quaver.store.postgresql import PostgresqlStore
from quaver.store.rows import Node

_AWAY_S = 0.5


class SharedIntake(Intake):
    """As Intake, for a store that others write too. A database that goes in the middle of a commit is waited for."""

    store: PostgresqlStore

    def __init__(
        self,
        store: PostgresqlStore,
        reader: Reader,
        name_of: Callable[[bytes], str | None],
        alarm: Callable[[str], None],
    ) -> None:
        super().__init__(store, _Ready(reader), name_of, alarm)
        self._ready: _Ready = self.reader  # type: ignore[assignment]
        self._came: list[tuple[Message, int]] = []
        self._top = 0  # the highest number of a node, once one is needed

    def take(self, messages: Sequence[Message], now_ms: int) -> None:
        for message in messages:
            self._came.append((message, now_ms))
            try:
                _, _, message_class = self._topics.get(message.topic) or self._split(message.topic)
            except Refusal:
                continue  # again at the commit, where it counts
            if message.payload is None or len(message.payload) > MESSAGE_MAX:
                continue
            self._ready.prepare(message_class, message.payload)

    def commit(self, now_ms: int) -> None:
        if not self._came:
            return
        away = False
        before = Tally(self.tally.received, self.tally.duplicates, self.tally.refused.copy())
        while True:
            try:
                self._commit(now_ms)
                break
            except StoreAway as error:
                self.tally.received, self.tally.duplicates = before.received, before.duplicates
                self.tally.refused = before.refused.copy()
                if self.store.wait is None:
                    raise
                away = True
                self.store.wait(f"{error}; waiting until it is back")
                time.sleep(_AWAY_S)
                # Whether the commit came there is not known: what it holds already is no replay.
                self._came = [(message._replace(again=True), now) for message, now in self._came]
            finally:
                self._forget()
        if away and self.store.wait is not None:
            self.store.wait("")
        self._came.clear()
        self._ready.clear()

    def _commit(self, now_ms: int) -> None:
        with self.store.transaction():
            self._renew()
            if self.stale():  # another worker may have stored it, long ago
                self._came = [(message._replace(again=True), now) for message, now in self._came]
            at = 0
            while at < len(self._came):
                now, begin = self._came[at][1], at
                while at < len(self._came) and self._came[at][1] == now:
                    at += 1
                super().take([message for message, _ in self._came[begin:at]], now)
            super().commit(now_ms)

    def _forget(self) -> None:
        """What was judged in a transaction that failed; nothing after one that did not."""
        for batch in (
            *(self._dirty, self._dirty_clocks, self._dirty_receipts, self._anew, self._rows, self._again),
            *(self._clock_sets, self._explained, self._refused, self._wills, self._firmware),
        ):
            batch.clear()
        self._nodes.clear()
        self._clocks.clear()
        self._sets.clear()
        self._receipts.clear()

    def _renew(self) -> None:
        """Read what the store knows of the nodes of this batch."""
        self._forget()
        ids = {opened.node_id for opened in self._ready.opened()}
        self._nodes = {node.id: node for node in self.store.nodes_of(sorted(ids))}
        self._top = 0
        numbers = {node.id: node.number for node in self._nodes.values()}
        boots = {(numbers[o.node_id], o.boot) for o in self._ready.opened() if o.node_id in numbers}
        known = self.store.boots_of(sorted(boots), self._span.number if self._span else 0)
        self._clocks, self._sets, self._receipts = known
        self._newest = self.store.newest_boots(sorted(numbers.values()))

    def _body(self, message_class: str, values: Mapping[str, Any]) -> str:
        return self._ready.bodies.get(id(values)) or super()._body(message_class, values)

    def _new_node(self, node_id: bytes, prefix: str) -> Node:
        self._top = (self._top or self.store.top_node()) + 1
        node = Node(self._top, node_id, prefix)
        self._nodes[node_id] = node
        return node


class _Ready:
    """A reader that has opened already what it is asked for: the same message gives the same."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._found: dict[tuple[str, bytes], Opened | SealError] = {}
        self.bodies: dict[int, str] = {}  # by the id of a record, which lives in `_found` as long

    def prepare(self, message_class: str, payload: bytes) -> None:
        """Open a message, and keep what comes of it until `clear`."""
        if (message_class, payload) in self._found:
            return
        try:
            found = self._found[message_class, payload] = self._reader.open(message_class, payload)
        except SealError as error:
            self._found[message_class, payload] = error
            return
        with contextlib.suppress(ValueError, TypeError):  # met again where it is refused
            self.bodies[id(found.record)] = body_of(message_class, found.record)

    def opened(self) -> list[Opened]:
        return [found for found in self._found.values() if isinstance(found, Opened)]

    def open(self, message_class: str, message: bytes) -> Opened:
        found = self._found.get((message_class, message))
        if found is None:
            return self._reader.open(message_class, message)
        if isinstance(found, SealError):
            raise found
        return found

    def clear(self) -> None:
        self._found.clear()
        self.bodies.clear()
