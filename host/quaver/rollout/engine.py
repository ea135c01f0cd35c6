"""Decides what a rollout does next: whom to tell, who has failed, when a wave is over, when it pauses.

It knows neither broker nor file: it is told what nodes say (`hear`) and what time it is (`tick`), and answers with the
nodes that are to be told now. So it can be tried with thousands of made-up fleets.

    waiting --told--> told --answered--> fetching --restarts--> restarted --confirmed--> watched --quiet--> updated
       ^                |                   |                       |                       |
       +--- the first --+------ failed -----+-----------------------+                       +--> unhealthy
                        +--- the second ----> penalty box

A wave begins when all nodes of the earlier ones have come to an end, or wait and are offline; the canary must have the
release. Nodes of an earlier wave that return get it then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quaver.fleet.operator import is_host_gateway
from quaver.fleet.refusals import in_words
from quaver.rollout.plan import asset_of, failures_borne
from quaver_wire.fields import EVENTS, LEVELS
from quaver_wire.names import STATES

WAITING, TOLD, FETCHING, TRIAL, WATCHED = "waiting", "told", "fetching", "restarted", "watched"
UPDATED, UNHEALTHY, PENALTY, MISSED, LEFT_OUT = "updated", "unhealthy", "penalty box", "missed", "left out"
UNDER_WAY = (TOLD, FETCHING, TRIAL)
ENDS = (UPDATED, UNHEALTHY, PENALTY, MISSED, LEFT_OUT)

RUNNING, PAUSED, ABORTED, ENDED = "running", "paused", "aborted", "ended"

_RESTARTS = 2  # of the node or of its tasks while it is watched: a loop
_HEAP_PART = 2  # less than half of the heap that was free before
_ALARM = LEVELS.index("alarm")
_OFFLINE = STATES.index("offline")
_HAS_IT = "release refused: old"
HAD_IT = "had this release or a later one"
_WRONG_KEY = "release refused: wrong_key"
_NO_TIME = ("clock not set", "release refused: no_time")  # it has just started, and asks for the date
_AGAIN_S = 60.0  # when to tell such a node again
_LACKS = {TOLD: "no answer", FETCHING: "it fetches, or is gone", TRIAL: "it did not say how the trial ended"}


@dataclass
class Member:
    """One node in a rollout, as it is kept.

    id: 8 bytes. prefix: its topic prefix. wave: from 0, the canary's. reason: why it is in its state, or failed last.
    failures: how often. counted: whether the rollout's budget has it. since: when it last took a step, s since 1970.
    boot: its boot when it was told, or confirmed. restarts: since then. heap: bytes free before; 0: not known.
    loud: whether it had an alarm before. command: id of the last one. signature: which of the release's it got.
    """

    id: bytes
    prefix: str
    wave: int
    state: str = WAITING
    reason: str = ""
    failures: int = 0
    counted: bool = False
    since: float = 0.0
    boot: int = 0
    restarts: int = 0
    heap: int = 0
    loud: bool = False
    command: int = 0
    signature: int = 0


@dataclass
class Presence:
    """What a node last said of itself. prefix: of its topics. generation: of its key. alarms: subjects that stand.

    timeless: since when it has said that it does not know the time, s since 1970; 0 for one that does.
    """

    prefix: str = ""
    online: bool = False
    generation: int = 0
    boot: int = 0
    seq: int = -1
    heap: int = 0
    timeless: float = 0.0
    alarms: set[str] = field(default_factory=set)
    events: dict[int, set[int]] = field(default_factory=dict)

    def tells_anew(self, boot: int, seq: int) -> bool:
        """Whether an event of that number is no copy: what was not acknowledged comes again (MQTT 3.1.1, 4.3.2)."""
        known = self.events.setdefault(boot, set())
        anew = seq not in known
        known.add(seq)
        return anew


@dataclass(frozen=True)
class Rules:
    """concurrency: nodes under way at once. step_s: in which a node that was told takes its next step. watch_s: how
    long it is watched once it has confirmed. expires: s since 1970, until when a node may get the release."""

    concurrency: int
    step_s: float
    watch_s: float
    expires: float


class Engine:
    """One rollout. members: all of its nodes. signatures: how many the release has.

    state, why: of the rollout. is_open: whether a maintenance window is. changed: the members that are to be kept, by
    id; who keeps them clears it. draw: makes the id of a command.
    """

    def __init__(
        self,
        members: list[Member],
        rules: Rules,
        sequence: int,
        draw: Callable[[], int],
        *,
        signatures: int = 1,
        state: str = RUNNING,
        why: str = "",
    ) -> None:
        self.members = {member.id: member for member in members}
        self.rules = rules
        self.state = state
        self.why = why
        self.is_open = True
        self.seen = {member.id: Presence() for member in members}
        self.changed: dict[bytes, Member] = {}
        self._sequence = sequence
        self._draw = draw
        self._signatures = signatures
        self._borne = failures_borne(len(members))

    # What nodes say.

    def hear(
        self,
        node: bytes,
        message_class: str,
        values: Mapping[str, Any],
        now: float,
        *,
        prefix: str,
        boot: int,
        seq: int,
        generation: int,
    ) -> None:
        """A message that was opened. node: its id; prefix: of its topic. Those of other nodes are passed over."""
        member = self.members.get(node)
        if member is None:
            return
        seen = self.seen[node]
        if message_class == "status":
            self._status(member, seen, values, now, prefix=prefix, boot=boot, seq=seq, generation=generation)
        elif message_class == "answer":
            self._answer(member, values, now)
        elif message_class == "event":
            if seen.tells_anew(boot, seq):
                self._event(member, seen, values, now, boot)
        else:
            self._telemetry(member, seen, values, now)
        if message_class != "status":
            self._restarted(member, boot, now)

    def _status(
        self,
        member: Member,
        seen: Presence,
        values: Mapping[str, Any],
        now: float,
        *,
        prefix: str,
        boot: int,
        seq: int,
        generation: int,
    ) -> None:
        state = values.get("state", _OFFLINE)
        # A last will was sealed before all that came after it, and is told when the connection is lost.
        if (boot, seq) <= (seen.boot, seen.seq) and not (boot == seen.boot and state == _OFFLINE):
            return
        if is_host_gateway(values) and member.state == WAITING:
            self._to(member, LEFT_OUT, now, "is a gateway on a Linux machine")
            return
        seen.prefix, seen.online, seen.generation = prefix, state != _OFFLINE, generation
        seen.boot, seen.seq = boot, max(seq, seen.seq if boot == seen.boot else -1)
        if member.state in UNDER_WAY:
            member.since = now  # it took a step
            self.changed[member.id] = member
        self._restarted(member, boot, now)

    def _restarted(self, member: Member, boot: int, now: float) -> None:
        """Take note of the boot that a message is of."""
        if boot <= member.boot:
            return
        if member.state in (TOLD, FETCHING):
            member.boot = boot
            if member.state == FETCHING:
                self._to(member, TRIAL, now)
        elif member.state == TRIAL:
            member.boot, member.since = boot, now
        elif member.state == WATCHED:
            member.restarts += boot - member.boot
            member.boot = boot
            self._check_restarts(member, now, "the node")
        else:
            return
        self.changed[member.id] = member

    def _check_restarts(self, member: Member, now: float, what: str) -> None:
        if member.restarts >= _RESTARTS:
            times = f"{member.restarts} times since it confirmed the release"
            self._unhealthy(member, now, f"restarted {times}, the last: {what}")

    def _answer(self, member: Member, values: Mapping[str, Any], now: float) -> None:
        if member.state != TOLD or values.get("id") != member.command:
            return
        error = values.get("error")
        seen = self.seen[member.id]
        if error in _NO_TIME and now - (seen.timeless or now) < self.rules.step_s:
            seen.timeless = seen.timeless or now
            self._to(member, WAITING, now, in_words(error))
            return
        seen.timeless = 0.0
        if error is None:
            self._to(member, FETCHING, now)
        elif error == _HAS_IT:
            self._to(member, UPDATED, now, HAD_IT)
        elif error == _WRONG_KEY and member.signature + 1 < self._signatures:
            member.signature += 1
            self._to(member, WAITING, now)
        else:
            self._failed(member, now, in_words(str(error)))

    def _event(self, member: Member, seen: Presence, values: Mapping[str, Any], now: float, boot: int) -> None:
        code = values.get("code", 0)
        name = EVENTS[code] if code < len(EVENTS) else ""
        if name == "update_confirmed" and values.get("value") == self._sequence:
            if member.state not in (WATCHED, UPDATED, UNHEALTHY):  # also one that was given up: late is not never
                member.boot, member.restarts = boot, 0
                self._to(member, WATCHED, now)
                if seen.alarms and not member.loud:
                    self._unhealthy(member, now, f"a new alarm: {', '.join(sorted(seen.alarms))}")
        elif name == "update_rejected":
            if member.state in (FETCHING, TRIAL):
                self._failed(member, now, values.get("text") or "it gave no reason")
        elif name == "level":
            self._level(member, seen, str(values.get("subject", "")), values.get("event_level", 0), now)
        elif member.state == WATCHED:
            if name in ("hung", "low_memory"):
                more = " ".join(str(values[key]) for key in ("subject", "text") if values.get(key))
                told = {"hung": "hung", "low_memory": "is short of memory"}[name]
                self._unhealthy(member, now, f"{told}: {more}" if more else told)
            elif name == "task_restarted":
                member.restarts += 1
                self.changed[member.id] = member
                words = (str(values[key]) for key in ("subject", "text") if values.get(key))
                self._check_restarts(member, now, ": ".join(("task", *words)))

    def _level(self, member: Member, seen: Presence, subject: str, level: int, now: float) -> None:
        if level != _ALARM:
            seen.alarms.discard(subject)
            return
        seen.alarms.add(subject)
        if member.state == WATCHED and not member.loud:
            self._unhealthy(member, now, f"a new alarm: {subject}")

    def _telemetry(self, member: Member, seen: Presence, values: Mapping[str, Any], now: float) -> None:
        seen.heap = values.get("heap_free", seen.heap)
        if "spectrum" not in values:
            if values.get("level", 0) == _ALARM:
                self._level(member, seen, "level", _ALARM, now)
            else:
                seen.alarms.clear()
        if member.state == WATCHED and 0 < seen.heap < member.heap // _HEAP_PART:
            self._unhealthy(member, now, f"{seen.heap // 1000} kB of heap free, {member.heap // 1000} before")

    # What follows.

    def _to(self, member: Member, state: str, now: float, reason: str = "") -> None:
        member.state, member.since = state, now
        if reason or state != WAITING:
            member.reason = reason
        self.changed[member.id] = member

    def _failed(self, member: Member, now: float, reason: str) -> None:
        member.failures += 1
        member.counted = True
        self._to(member, WAITING if member.failures == 1 else PENALTY, now, reason)
        failed = sum(member.counted for member in self.members.values())
        if member.wave == 0:
            self.pause(f"the canary failed: {member.prefix}: {reason}")
        elif failed >= self._borne:
            self.pause(f"{failed} of {len(self.members)} nodes failed, the last was {member.prefix}: {reason}")

    def _unhealthy(self, member: Member, now: float, reason: str) -> None:
        self._to(member, UNHEALTHY, now, reason)
        self.pause(f"{member.prefix}: {reason}")

    def pause(self, why: str) -> None:
        """Tell no more nodes, until `resume`; the reason of the first pause stays."""
        if self.state == RUNNING:
            self.state, self.why = PAUSED, why

    def resume(self) -> None:
        """Go on: the failures until now no longer count."""
        self.state, self.why = RUNNING, ""
        for member in self.members.values():
            if member.counted:
                member.counted = False
                self.changed[member.id] = member

    def deaf_until(self, now: float) -> None:
        """Nobody has listened to the nodes until now: what is under way or watched gets its whole time again."""
        for member in self.members.values():
            if member.state in (*UNDER_WAY, WATCHED):
                member.since = now
                self.changed[member.id] = member

    def leave_out(self, node: bytes, now: float, reason: str) -> None:
        """A node can't be told."""
        self._to(self.members[node], LEFT_OUT, now, reason)

    @property
    def under_way(self) -> list[Member]:
        """The nodes that were told and have not come to an end."""
        return [member for member in self.members.values() if member.state in UNDER_WAY]

    @property
    def wave(self) -> int:
        """The wave whose nodes are told now; the last one when all are over."""
        last = max((member.wave for member in self.members.values()), default=0)
        return min((m.wave for m in self.members.values() if not self._settled(m)), default=last)

    def _settled(self, member: Member) -> bool:
        """Whether its wave need not wait for it."""
        if member.state == WAITING and member.wave:
            return not self.seen[member.id].online
        return member.state in ENDS

    def tick(self, now: float, is_open: bool = True) -> list[Member]:
        """Judge what the time brings; returns the nodes that are to be told now, already noted as told.

        now: s since 1970; is_open: whether a maintenance window is.
        """
        self.is_open = is_open
        for member in self.members.values():
            self._late(member, now)
        if self.state != RUNNING:
            return []
        if now >= self.rules.expires:
            for member in self.members.values():
                if member.state == WAITING:
                    away = "" if self.seen[member.id].online else ", and is offline"
                    self._to(member, MISSED, now, member.reason or f"its turn did not come in time{away}")
        if all(member.state in ENDS for member in self.members.values()):
            self.state = ENDED
            return []
        self._next_canary()
        if not is_open:
            return []
        return self._tell(now)

    def _late(self, member: Member, now: float) -> None:
        waited = now - member.since
        seen = self.seen[member.id]
        if member.state in UNDER_WAY and waited > self.rules.step_s:
            where = "" if seen.online else ", and is offline"
            self._failed(member, now, f"took no step for {self.rules.step_s:.0f} s: {_LACKS[member.state]}{where}")
        elif member.state == WATCHED and waited > self.rules.watch_s:
            if seen.online:
                self._to(member, UPDATED, now)
            elif waited > self.rules.watch_s + self.rules.step_s:
                self._unhealthy(member, now, "is offline since it confirmed the release")

    def _next_canary(self) -> None:
        """Where the canary came to an end without the release, the next node in line becomes it."""
        canaries = [member for member in self.members.values() if member.wave == 0]
        if any(member.state not in (UNHEALTHY, PENALTY, MISSED, LEFT_OUT) for member in canaries):
            return
        waiting = [member for member in self.members.values() if member.state == WAITING and member.wave]
        if waiting:
            following = min(waiting, key=lambda m: (not self.seen[m.id].online, m.failures, m.wave, m.prefix))
            following.wave = 0
            self.changed[following.id] = following

    def _tell(self, now: float) -> list[Member]:
        wave = self.wave
        busy = {asset_of(member.prefix) for member in self.members.values() if self._holds_asset(member)}
        free = self.rules.concurrency - len(self.under_way)
        told: list[Member] = []
        waiting = [m for m in self.members.values() if m.wave <= wave and self._is_ready(m, now)]
        for member in sorted(waiting, key=lambda member: (member.failures, member.wave)):
            if len(told) >= free:
                break
            if asset_of(member.prefix) in busy:
                continue
            busy.add(asset_of(member.prefix))
            seen = self.seen[member.id]
            member.boot, member.restarts = seen.boot, 0
            member.heap, member.loud = seen.heap, bool(seen.alarms)
            member.command = self._draw()
            self._to(member, TOLD, now, member.reason)
            told.append(member)
        return told

    def _is_ready(self, member: Member, now: float) -> bool:
        seen = self.seen[member.id]
        return member.state == WAITING and seen.online and not (seen.timeless and now - member.since < _AGAIN_S)

    def _holds_asset(self, member: Member) -> bool:
        """Whether no other node of its asset may be told: it is under way, or failed and is not there."""
        gone = bool(member.failures) and not self.seen[member.id].online
        return member.state in UNDER_WAY or (member.state in (WAITING, PENALTY) and gone)
