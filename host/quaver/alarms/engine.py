"""Takes the records of a store, each once, and what persons do, and moves the alarms by the table of alarms.states.

What a batch of records changes, and how far was read, is one transaction: a kill loses nothing and repeats nothing.

A record that comes late is dated by its own time. What is older than the last word of its subject changes no state, it
is noted; what was over before it was heard of is raised and cleared at once, and waits for a person. Except at the
first start: a store may be years old, and what was over for a day before its alarms were first followed is history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from quaver.alarms.base import Alarm
from quaver.alarms.conditions import GAP, GONE, KEY, Begin, End, changes, expiring, missing, silent
from quaver.alarms.security import Security
from quaver.alarms.silence import Heard, heard_from
from quaver.alarms.states import ACK, CLEARED, NORMAL, SUPPRESSED, Act, after, allowed
from quaver.alarms.tables import CAUSES, priority
from quaver.errors import AlarmError
from quaver.messages.record import one_line
from quaver.query.health import Expiry
from quaver.query.nodes import SILENT_AFTER
from quaver.query.source import Reading
from quaver.store.ledger import Account

SHELF_MAX_MS = 7 * 86_400_000
REVIEW_MAX_MS = 366 * 86_400_000
TEXT_MAX = 2000
HISTORY_MS = 86_400_000  # so long before the first start: a shift that comes in sees what the one before it had
_GAPS = 5
_LEVELS = ("ok", "warning", "alarm")


class Engine(Security):
    """Everything raises AlarmError; a time is in ms since 1970."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._load()

    def _load(self) -> None:
        self._ended = {
            (row["node"], row["subject"], bool(row["all_of"])): End(
                row["node"], row["subject"], (row["major"], row["minor"]), row["at_ms"],
                all_of=bool(row["all_of"]), boot=row["boot"],
            ) for row in self._ask("SELECT * FROM ended")
        }  # fmt: skip
        self._heard = {
            row["node"]: Heard(**{key: row[key] for key in row.keys() if key != "node"})  # noqa: SIM118  a sqlite3.Row
            for row in self._ask("SELECT * FROM heard")
        }
        self._begun_ms = self._counted("begun").get("begun", 0)

    @contextmanager
    def _kept(self) -> Iterator[dict[int, Alarm]]:
        """A transaction, and what it changes; what is kept in mind follows what is on the disk."""
        changed: dict[int, Alarm] = {}
        try:
            with self._transaction():
                yield changed
        except BaseException:
            self._load()
            raise

    @property
    def begun_ms(self) -> int:
        """When the first record was taken; 0 before."""
        return self._begun_ms

    @property
    def lists_from_ms(self) -> int:
        """What was over before that is history: nobody is asked to acknowledge it; 0 before the first record."""
        return max(0, self._begun_ms - HISTORY_MS)

    # What records say.

    def take(self, readings: Sequence[Reading], now_ms: int) -> list[Alarm]:
        """Take the records that are behind `place`; the alarms that they changed, as they are now."""
        with self._turn, self._kept() as changed:
            place = self.place
            if not self._begun_ms:
                self._count("begun", now_ms)
                self._begun_ms = now_ms
            nodes: set[str] = set()
            ended: set[tuple[str, str, bool]] = set()
            for reading in readings:
                if reading.place.row <= place.row:
                    continue
                place = reading.place
                self._hear(reading)
                nodes.add(reading.node)
                self._secure(reading, now_ms)
                record = (place.boot, place.seq)
                for change in changes(reading):
                    if isinstance(change, Begin):
                        self._begin(change, now_ms, changed, record)
                    elif change.to == "ok":  # of any other level a Begin tells
                        ended |= self._end(change, now_ms, changed, record)
            for node in sorted(nodes):
                heard = asdict(self._heard[node])
                names = ", ".join(heard)
                self._do(
                    f"INSERT OR REPLACE INTO heard (node, {names}) VALUES (?{', ?' * len(heard)})",  # noqa: S608  ours
                    node, *heard.values(),
                )  # fmt: skip
            for key in sorted(ended):
                end = self._ended[key]
                self._do(
                    "INSERT OR REPLACE INTO ended (node, subject, all_of, boot, major, minor, at_ms) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    *key, end.boot, *end.order, end.at_ms,
                )  # fmt: skip
            self._do("UPDATE reader SET place = ?, node = ?, boot = ?, seq = ?", *place)
        return list(changed.values())

    def _hear(self, reading: Reading) -> None:
        heard = self._heard.get(reading.node)
        if heard is None:
            self._heard[reading.node] = heard_from(reading)
        else:
            heard.hear(reading)

    def _begin(
        self, begin: Begin, now_ms: int, changed: dict[int, Alarm], record: tuple[int, int] | None = None
    ) -> None:
        alarm = self.find(begin.node, begin.subject)
        if alarm is None:
            alarm = Alarm(
                0, begin.node, begin.subject, begin.topic, "normal", begin.level, "low", False, False,
                *begin.order, begin.since_ms,
            )  # fmt: skip
            self._insert(alarm)
        elif alarm.order > begin.order:
            self._note(alarm, "late", alarm.state, begin.since_ms, now_ms, why=begin.level, record=record)
            return
        before, known = alarm.state, dict(alarm.facts)
        lower = alarm.active and _LEVELS.index(begin.level) < _LEVELS.index(alarm.level)
        again = alarm.active and not lower and not _graver(alarm, begin)
        gateway = self._heard[begin.node].role == "gateway" if begin.node in self._heard else False
        alarm.level, alarm.topic, alarm.facts = begin.level, begin.topic, dict(begin.facts)
        alarm.priority = priority(begin.level, begin.subject, gateway)
        alarm.major, alarm.minor = begin.order
        if again or lower:
            if lower:
                self._note(alarm, "lower", before, begin.since_ms, now_ms, record=record)
            if lower or known != alarm.facts:
                changed[alarm.id] = alarm
            self._update(alarm)
            return
        if not alarm.active:
            alarm.since_ms, alarm.cleared_ms = begin.since_ms, None
        alarm.active = True
        alarm.unseen = alarm.unseen or before != SUPPRESSED
        if before != SUPPRESSED:
            alarm.acknowledged_ms = alarm.acknowledged_by = None
        self._move(alarm, "raise", begin.since_ms, now_ms, changed, record=record)
        over = [end for end in self._ends_of(begin.node, begin.subject) if _is_after(end, begin.order)]
        if over:
            self._clear(alarm, min(over, key=lambda end: end.at_ms), now_ms, changed, None)

    def _end(
        self, end: End, now_ms: int, changed: dict[int, Alarm], record: tuple[int, int] | None = None
    ) -> set[tuple[str, str, bool]]:
        """Clear what it ends; what is to be kept in mind of it."""
        where = "substr(subject, 1, length(?2)) = ?2" if end.all_of else "subject = ?2"
        sql = f"SELECT id FROM alarm WHERE node = ?1 AND {where} AND active"  # noqa: S608  ours
        for row in self._ask(sql, end.node, end.subject):
            alarm = self.get(row["id"])
            if _is_after(end, alarm.order):
                self._clear(alarm, end, now_ms, changed, record)
        if end.subject in (GONE, GAP, KEY):
            return set()  # nothing comes late of them
        key = (end.node, end.subject, end.all_of)
        if key in self._ended and self._ended[key].order >= end.order:
            return set()
        self._ended[key] = end
        return {key}

    def _ends_of(self, node: str, subject: str) -> list[End]:
        found = [self._ended.get((node, subject, False)), self._ended.get((node, subject, True))]
        head, blank, _ = subject.partition(" ")
        found.append(self._ended.get((node, head + blank, True)))
        return [end for end in found if end is not None]

    def _clear(
        self, alarm: Alarm, end: End, now_ms: int, changed: dict[int, Alarm], record: tuple[int, int] | None
    ) -> None:
        alarm.active = False
        alarm.cleared_ms = max(end.at_ms, alarm.since_ms)
        alarm.major, alarm.minor = end.order
        self._move(alarm, "clear", alarm.cleared_ms, now_ms, changed, record=record)
        if alarm.state == CLEARED and alarm.cleared_ms < self.lists_from_ms:
            alarm.unseen = False
            self._move(alarm, "archive", alarm.cleared_ms, now_ms, changed)

    # What no record says. Only where every record of the store was taken: else a node may have been heard since.

    def tick(self, now_ms: int, silence: bool = True) -> list[Alarm]:
        """Look at the clock: at shelves that end, at nodes that are silent, at what a gateway explains.

        silence: False where a node may have been heard of which nobody knows yet.
        """
        with self._turn, self._kept() as changed:
            for alarm in self._due(now_ms):
                self._back(alarm, "expire", alarm.until_ms or now_ms, now_ms, changed, "", "its time is over")
            nodes = sorted(self._heard.items(), key=lambda item: item[1].role != "gateway")
            for node, heard in nodes if silence else ():
                missed = heard.missed(now_ms, SILENT_AFTER)
                known = self.find(node, GONE) if missed else None
                if not missed or (known is not None and known.active):
                    continue
                begin = silent(node, heard.topic, heard.at_ms, heard.row, missed)
                gateways = self._gateways(heard) if heard.state == "via gateway" else []
                if gateways and all(gone.active for gone in gateways):
                    self._suppress(begin, known, now_ms, changed)
                self._begin(begin, now_ms, changed)
            for alarm in self.listed(states=(SUPPRESSED,)):
                self._release(alarm, now_ms, changed)
        return list(changed.values())

    def _gateways(self, heard: Heard) -> list[Alarm]:
        """Of each gateway that may have visited it, those of its site, the alarm that it is gone."""
        site = heard.topic.partition("/")[0]
        names = [n for n, one in self._heard.items() if one.role == "gateway" and one.topic.partition("/")[0] == site]
        found = [self.find(name, GONE) for name in names]
        here = Alarm(0, "", GONE, "", "normal", "ok", "low", False, False, 0, 0, 0)  # one that never was gone
        return [alarm or here for alarm in found]

    def _suppress(self, begin: Begin, known: Alarm | None, now_ms: int, changed: dict[int, Alarm]) -> None:
        if known is None:
            known = Alarm(
                0, begin.node, begin.subject, begin.topic, "normal", begin.level, "low", False, False,
                0, 0, begin.since_ms,
            )  # fmt: skip
            self._insert(known)
        if known.state in (NORMAL, CLEARED):
            self._move(known, "suppress", now_ms, now_ms, changed, why="every gateway of its site is gone")

    def _release(self, alarm: Alarm, now_ms: int, changed: dict[int, Alarm]) -> None:
        heard = self._heard[alarm.node]
        back = [gone.cleared_ms or 0 for gone in self._gateways(heard) if not gone.active]
        if not back:
            return
        visited = Heard(**asdict(heard) | {"at_ms": max(heard.at_ms, *back)})  # a gateway that is back has its time
        if not alarm.active or visited.missed(now_ms, SILENT_AFTER):
            self._back(alarm, "release", now_ms, now_ms, changed, "", "a gateway is back")

    def gaps(self, accounts: Iterable[Account], now_ms: int) -> list[Alarm]:
        """Take what the ledger misses without an explanation."""
        with self._turn, self._kept() as changed:
            for account in accounts:
                known = self.find(account.id, GAP)
                count = known.facts.get("count", 0) if known is not None and known.active else 0
                if account.unexplained > count:
                    gaps = [str(gap) for gap in account.gaps[-_GAPS:]]
                    begin = missing(account.id, account.topic, account.unexplained, gaps, now_ms)
                    self._begin(begin, now_ms, changed)
                elif not account.unexplained and known is not None and known.active:
                    self._end(End(account.id, GAP, (now_ms, 0), now_ms), now_ms, changed)
        return list(changed.values())

    def keys(self, found: Iterable[Expiry], now_ms: int) -> list[Alarm]:
        """Take whose device keys expire soon, or have: these and no others."""
        with self._turn, self._kept() as changed:
            left = {alarm.node for alarm in self._wrong(KEY)}
            for one in found:
                left.discard(one.node)
                known = self.find(one.node, KEY)
                if known is None or not known.active or known.facts.get("text") != one.day:
                    self._begin(expiring(one.node, one.topic, one.day, one.since_ms), now_ms, changed)
            for node in sorted(left):
                self._end(End(node, KEY, (now_ms, 0), now_ms), now_ms, changed)
        return list(changed.values())

    def _wrong(self, subject: str) -> list[Alarm]:
        return [self.get(row["id"]) for row in self._ask("SELECT id FROM alarm WHERE subject = ? AND active", subject)]

    # What persons do. who: the name of a user.

    def acknowledge(
        self, number: int, who: str, now_ms: int, text: str = "", cause: str | None = None, work_order: str = ""
    ) -> Alarm:
        with self._turn, self._kept() as changed:
            alarm = self._known(number, "acknowledge")
            self._acknowledge(alarm, who, now_ms, text, cause, work_order, changed)
        return alarm

    def acknowledge_all(
        self, numbers: Sequence[int], who: str, now_ms: int, text: str = "", cause: str | None = None,
        work_order: str = "",
    ) -> list[Alarm]:  # fmt: skip
        """Acknowledge several in one act, or none where one does not exist; those that still need it, as they are now.

        What somebody else has acknowledged meanwhile, or put aside, is left as it is. Raises AlarmError where that is
        all of them.
        """
        with self._turn, self._kept() as changed:
            found = [self.get(number) for number in dict.fromkeys(numbers)]
            needed = [alarm for alarm in found if allowed(alarm.state, "acknowledge")]
            if not needed:
                raise AlarmError("none of these alarms is to be acknowledged any more; look at the list anew", 409)
            for alarm in needed:
                self._acknowledge(alarm, who, now_ms, text, cause, work_order, changed)
        return needed

    def _acknowledge(
        self, alarm: Alarm, who: str, now_ms: int, text: str, cause: str | None, work_order: str,
        changed: dict[int, Alarm],
    ) -> None:  # fmt: skip
        alarm.unseen = False
        if alarm.active:
            alarm.acknowledged_ms, alarm.acknowledged_by = now_ms, who
        self._say(alarm, who, now_ms, text, cause, work_order)
        self._move(alarm, "acknowledge", now_ms, now_ms, changed, who)

    def comment(
        self, number: int, who: str, now_ms: int, text: str = "", cause: str | None = None, work_order: str = ""
    ) -> Alarm:
        if not (text or cause or work_order):
            raise AlarmError("a comment says something: give a text, a cause or a work order")
        with self._turn, self._kept():
            alarm = self.get(number)
            self._say(alarm, who, now_ms, text, cause, work_order)
            self._update(alarm)
        return alarm

    def shelve(self, number: int, who: str, now_ms: int, until_ms: int, why: str) -> Alarm:
        """Put it aside until then: at most a week. ISA-18.2-2016, clause 11: a shelf has a reason and an end."""
        if not now_ms < until_ms <= now_ms + SHELF_MAX_MS:
            raise AlarmError(f"a shelf ends, at most {SHELF_MAX_MS // 86_400_000} days from now: give such a time")
        return self._put_aside(number, "shelve", who, now_ms, until_ms, why)

    def out_of_service(self, number: int, who: str, now_ms: int, review_ms: int, why: str) -> Alarm:
        """Take it out until somebody puts it back; review_ms: when somebody looks whether that is still right."""
        if not now_ms < review_ms <= now_ms + REVIEW_MAX_MS:
            raise AlarmError("what is out of service has a date of review, at most a year from now: give such a date")
        return self._put_aside(number, "out-of-service", who, now_ms, review_ms, why)

    def unshelve(self, number: int, who: str, now_ms: int) -> Alarm:
        return self._return(number, "unshelve", who, now_ms)

    def in_service(self, number: int, who: str, now_ms: int) -> Alarm:
        return self._return(number, "in-service", who, now_ms)

    def _put_aside(self, number: int, act: Act, who: str, now_ms: int, until_ms: int, why: str) -> Alarm:
        why = _text(why)
        if not why:
            raise AlarmError("who puts an alarm aside says why: give a reason")
        with self._turn, self._kept() as changed:
            alarm = self._known(number, act)
            alarm.unseen = False
            alarm.until_ms, alarm.held_by, alarm.held_why = until_ms, who, why
            self._move(alarm, act, now_ms, now_ms, changed, who, why)
        return alarm

    def _return(self, number: int, act: Act, who: str, now_ms: int) -> Alarm:
        with self._turn, self._kept() as changed:
            alarm = self._known(number, act)
            self._back(alarm, act, now_ms, now_ms, changed, who, "")
        return alarm

    def _known(self, number: int, act: Act) -> Alarm:
        alarm = self.get(number)
        try:
            after(alarm.state, act, alarm.active, alarm.unseen)
        except ValueError as error:
            raise AlarmError(f"alarm {number}: {error}", 409) from None
        return alarm

    def _say(self, alarm: Alarm, who: str, now_ms: int, text: str, cause: str | None, work_order: str) -> None:
        if cause is not None and cause not in CAUSES:
            raise AlarmError(f"there is no cause {one_line(cause)}; the causes are {', '.join(CAUSES)}")
        if cause is not None:
            alarm.cause = cause
        if text or cause or work_order:
            self._do(
                "INSERT INTO comment (alarm, at_ms, who, text, cause, work_order) VALUES (?, ?, ?, ?, ?, ?)",
                alarm.id, now_ms, who, _text(text), cause, one_line(work_order),
            )  # fmt: skip

    # The one place where a state changes.

    def _back(
        self, alarm: Alarm, act: Act, at_ms: int, now_ms: int, changed: dict[int, Alarm], who: str, why: str
    ) -> None:
        alarm.until_ms = alarm.held_by = alarm.held_why = None
        self._move(alarm, act, at_ms, now_ms, changed, who, why)

    def _move(
        self, alarm: Alarm, act: Act, at_ms: int, now_ms: int, changed: dict[int, Alarm],
        who: str = "", why: str = "", record: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        before = alarm.state
        alarm.state = after(before, act, alarm.active, alarm.unseen)
        if alarm.state != ACK:
            alarm.acknowledged_ms = alarm.acknowledged_by = None
        self._update(alarm)
        self._note(alarm, act, before, at_ms, now_ms, who, why, record)
        changed[alarm.id] = alarm


def _graver(alarm: Alarm, begin: Begin) -> bool:
    """Whether what is told of an alarm that is active is to be told a person anew."""
    facts: Mapping[str, object] = begin.facts
    return (
        _LEVELS.index(begin.level) > _LEVELS.index(alarm.level)
        or facts.get("subject") != alarm.facts.get("subject")
        or (begin.subject == GAP and facts.get("count") != alarm.facts.get("count"))
    )


def _is_after(end: End, order: tuple[int, int]) -> bool:
    return end.order > order and (end.boot is None or order[0] < end.boot)


def _text(text: str) -> str:
    """What a person writes: printable, lines kept, not long."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip()[:TEXT_MAX]
