"""The sink of one `[[notify]]` table: hears what begins and ends, and tells it when it is time.

What waits for the receiver waits in the state file; records are read on meanwhile, so that a table that this one
escalates to hears of it though this receiver is down.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from quaver.alarms.conditions import GAP, GONE, KEY, Begin, End, changes, expiring, missing, refused, silent
from quaver.alarms.silence import Heard, heard_from
from quaver.bridge.notify.alarms import Alarms
from quaver.bridge.notify.message import LISTED, Writer
from quaver.bridge.notify.receivers import Receiver, receiver_of
from quaver.bridge.notify.spec import Notify, zone
from quaver.bridge.sink import SinkDown
from quaver.query.health import expiring as expiring_keys
from quaver.query.source import Reading, Source, at_once
from quaver.store.ledger import ledger
from quaver.store.location import Location
from quaver.store.store import EXPIRES

_BATCH = 1000
_RETRY_S = (1, 60)  # after a receiver was down: the first time, and the most
_SILENCE_MS = 10_000  # between looks at who is silent,
_COUNTS_MS = 30_000  # at what was refused and whose keys expire,
_LEDGER_MS = 600_000  # and at the ledger, which reads all numbers of a store
_CATCH_UP_MS = 60_000  # which ingest has for what came while the store was away, before anybody is called silent
_AGAIN_MS = 3_600_000  # refusals of a node for one reason are told once in that time, with their number
_GAPS = 5


class Notifier:
    """trouble: why its receiver takes nothing at the moment, "" when all is well.

    tables: all of the bridge's. say: hears a line when the receiver is lost and when it is back. begin_now: what was
    missing and refused before its first start is not told. clock_ms: since 1970.
    """

    batch = _BATCH

    def __init__(
        self,
        table: Notify,
        tables: Sequence[Notify],
        store: Location,
        state: Path,
        say: Callable[[str], None],
        begin_now: bool = True,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        receiver: Receiver | None = None,
    ) -> None:
        self.name = f"notify {table.name}"
        self.trouble = ""
        self._table = table
        self._sources = [
            (one.name, int(60_000 * one.escalate_after)) for one in tables
            if one.escalate_to == table.name and one.escalate_after is not None
        ]  # fmt: skip
        self._store, self._state = store, state
        self._say = say
        self._begin_now = begin_now
        self._clock_ms = clock_ms
        self._receiver = receiver or receiver_of(table)
        self._writer = Writer(table.name, table.language, table.time_zone, table.group, table.template)
        self._zone = zone(table.time_zone)
        self._window = table.window
        self._alarms: Alarms | None = None
        self._heard: dict[str, Heard] = {}
        self._looked: dict[str, int] = {}
        self._pause_s = 0
        self._retry_ms = 0

    # As a sink.

    def connect(self, done: int) -> None:
        self.close()
        self._alarms = Alarms(self._state, self._table.name)
        self._open = {alarm.node for alarm in self._alarms.open()}
        with Source(self._store) as source:
            for reading in (*source.newest("telemetry"), *source.newest("status")):
                self._hear(reading)
            if self._alarms.counted("begun") is None:
                with self._alarms.transaction():
                    if self._begin_now:
                        self._count(source)
                    self._alarms.put_count("begun", 1, self._clock_ms())

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        assert self._alarms is not None
        now_ms = self._clock_ms()
        found: list[Begin | End] = []
        for reading in readings:
            self._hear(reading)
            if self._table.covers(reading.topic):
                for change in changes(reading):
                    if isinstance(change, Begin):
                        self._open.add(change.node)
                        found.append(change)
                    elif change.node in self._open:
                        found.append(change)
        if found:
            with self._alarms.transaction():
                for change in found:
                    self._take(change, now_ms)
            self._open = {alarm.node for alarm in self._alarms.open()}
        note(done + len(readings))
        if len(readings) < self.batch:  # of a backlog all is heard before any of it is told
            self._look(now_ms)
            self._tell(now_ms)

    def rest(self, blind: bool = False) -> None:
        now_ms = self._clock_ms()
        if blind:
            self._looked["silence"] = now_ms + _CATCH_UP_MS
        else:
            self._look(now_ms)
        self._tell(now_ms)

    def close(self) -> None:
        if self._alarms is not None:
            self._alarms.close()
            self._alarms = None

    # What begins and ends.

    def _hear(self, reading: Reading) -> None:
        heard = self._heard.get(reading.node)
        if heard is None:
            self._heard[reading.node] = heard_from(reading)
        else:
            heard.hear(reading)

    def _take(self, change: Begin | End, now_ms: int) -> None:
        assert self._alarms is not None
        what = self._table.what
        if isinstance(change, Begin):
            if change.what in what:
                self._alarms.begin(change, now_ms)
            return
        next_tells = change.to == "warning" and "warnings" in what
        self._alarms.end(change, now_ms, tell="recoveries" in what and change.to != "alarm" and not next_tells)

    def _look(self, now_ms: int) -> None:
        """At what no record tells. Only where every record is heard: else a node may have been heard since."""
        what = self._table.what
        found: list[Begin | End] = []
        if "gone" in what and self._due("silence", _SILENCE_MS, now_ms):
            found += self._silent(now_ms)
        gaps = "gaps" in what and self._due("ledger", _LEDGER_MS, now_ms)
        security = "security" in what and self._due("counts", _COUNTS_MS, now_ms)
        keys = "keys" in what and self._due("keys", _COUNTS_MS, now_ms)
        if not (found or gaps or security or keys):
            return
        assert self._alarms is not None
        with Source(self._store, at_once) as source, self._alarms.transaction():
            found += self._missing(source, now_ms) if gaps else []
            found += self._refused(source, now_ms) if security else []
            found += self._expiring(source, now_ms) if keys else []
            for change in found:
                self._take(change, now_ms)
                self._open.add(change.node)

    def _due(self, name: str, every_ms: int, now_ms: int) -> bool:
        if now_ms - self._looked.get(name, -every_ms) < every_ms:
            return False
        self._looked[name] = now_ms
        return True

    def _silent(self, now_ms: int) -> list[Begin]:
        assert self._alarms is not None
        found = []
        for node, heard in self._heard.items():
            missed = heard.missed(now_ms, self._table.silent_after)
            if missed and self._table.covers(heard.topic) and not self._alarms.is_open(node, GONE):
                found.append(silent(node, heard.topic, heard.at_ms, heard.row, missed))
        return found

    def _missing(self, source: Source, now_ms: int) -> list[Begin | End]:
        assert self._alarms is not None
        found: list[Begin | End] = []
        for account in ledger(source.store)[0]:
            if not self._table.covers(account.topic):
                continue
            told = self._alarms.counted(f"gap {account.id}")
            if account.unexplained == (told[0] if told else 0):
                continue
            self._alarms.put_count(f"gap {account.id}", account.unexplained, now_ms)
            if account.unexplained > (told[0] if told else 0):
                gaps = [str(gap) for gap in account.gaps[-_GAPS:]]
                found.append(missing(account.id, account.topic, account.unexplained, gaps, now_ms))
            elif not account.unexplained:
                found.append(End(account.id, GAP, (now_ms, 0), now_ms))
        return found

    def _refused(self, source: Source, now_ms: int) -> list[Begin | End]:
        assert self._alarms is not None
        topics = {node.id.hex(): node.topic for node in source.store.nodes()}
        found: list[Begin | End] = []
        sql = "SELECT node, reason, count, first_ms, last_ms, detail FROM security_event "
        sql += " WHERE reason NOT IN ('clock', ?)"
        for node, reason, count, first_ms, last_ms, detail in source.store.query(sql, (EXPIRES,)):
            topic = topics.get(node, "")
            told = self._alarms.counted(f"refused {node} {reason}")
            new = count - (told[0] if told else 0)
            if new <= 0 or (told and now_ms - told[1] < _AGAIN_MS):
                continue
            if self._table.covers(topic) if topic else "*" in self._table.nodes:
                self._alarms.put_count(f"refused {node} {reason}", count, now_ms)
                since_ms = told[1] if told else first_ms
                found.append(refused(node, topic, reason, new, since_ms, last_ms, detail))
        return found

    def _expiring(self, source: Source, now_ms: int) -> list[Begin | End]:
        assert self._alarms is not None
        left = {alarm.node for alarm in self._alarms.open() if alarm.subject == KEY}
        found: list[Begin | End] = []
        for one in expiring_keys(source):
            left.discard(one.node)
            if self._table.covers(one.topic):
                found.append(expiring(one.node, one.topic, one.day, one.since_ms))
        return [*found, *(End(node, KEY, (now_ms, 0), now_ms) for node in sorted(left))]

    def _count(self, source: Source) -> None:
        """Take what is missing and refused now for told."""
        assert self._alarms is not None
        if "gaps" in self._table.what:
            for account in ledger(source.store)[0]:
                self._alarms.put_count(f"gap {account.id}", account.unexplained, 0)
        for node, reason, count in source.store.query("SELECT node, reason, count FROM security_event"):
            self._alarms.put_count(f"refused {node} {reason}", count, 0)

    # What goes out.

    def _tell(self, now_ms: int) -> None:
        alarms = self._alarms
        assert alarms is not None
        if self._sources:
            with alarms.transaction():
                for name, after_ms in self._sources:
                    alarms.escalate(name, after_ms, now_ms)
        quiet = self._window is not None and self._window.holds(datetime.fromtimestamp(now_ms / 1000, self._zone))
        outgoing = alarms.outgoing()
        if not quiet or self._table.urgent:
            since_ms = alarms.waiting_since(alarms_alone=quiet)
            if since_ms is not None and now_ms - since_ms >= 1000 * self._table.group:
                alarms.make_due(quiet, now_ms)
                if outgoing is None and alarms.sent_within_an_hour(now_ms) < self._table.per_hour:
                    alarms.compose(secrets.token_hex(12), quiet, now_ms)
                    outgoing = alarms.outgoing()
        if outgoing is not None and now_ms >= self._retry_ms:
            self._send(*outgoing, now_ms, quiet)

    def _send(self, message_id: str, made_ms: int, now_ms: int, quiet: bool) -> None:
        alarms = self._alarms
        assert alarms is not None
        told, count = alarms.told_by(message_id, LISTED)
        urgent = bool(told) and told[0].level == "alarm" and not told[0].over  # the gravest is the first
        if quiet and not (urgent and self._table.urgent):
            return  # its receiver was down until the quiet hours began
        if told:
            message = self._writer.write(message_id, made_ms, told, count, now_ms)
            if self._writer.trouble:
                self._say(f"{self.name}: {self._writer.trouble}")
            try:
                partly = self._receiver.send(message)
            except SinkDown as error:
                if not self.trouble:
                    self._say(f"{self.name}: {error}; what it has to tell waits in the state file")
                self.trouble = str(error)
                self._pause_s = min(max(_RETRY_S[0], 2 * self._pause_s), _RETRY_S[1])
                self._retry_ms = now_ms + 1000 * self._pause_s
                return
            if partly:
                self._say(f"{self.name}: {partly}")
        if self.trouble:
            self._say(f"{self.name}: {self._receiver.where} takes messages again")
        self.trouble, self._pause_s, self._retry_ms = "", 0, 0
        alarms.sent(message_id, now_ms)


def notifiers(
    tables: Sequence[Notify], store: Location, state: Path, say: Callable[[str], None], begin_now: bool
) -> list[Notifier]:
    """A sink for each table. Raises BridgeError."""
    return [Notifier(table, tables, store, state, say, begin_now) for table in tables]
