"""Runs a rollout at a broker: what nodes say goes to the engine, what that decides to the state, then to the nodes.

A decision is on the disk before a node hears of it, and a message is acknowledged once what it changed is on the disk;
the broker keeps for the rollout's session what nodes say while nobody runs it. So a run that was killed goes on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from quaver.broker.address import BrokerUrl, node_topics
from quaver.broker.session import Heard, Session
from quaver.errors import OperationError
from quaver.fleet.keys import KeyStore
from quaver.fleet.sealed_command import Commands, draw_id
from quaver.messages.sealing import Opener, SealError
from quaver.rollout.engine import ABORTED, ENDED, PAUSED, RUNNING, TOLD, Engine, Member
from quaver.rollout.plan import spread, waves
from quaver.rollout.state import Rollout, Rollouts
from quaver.rollout.windows import is_open, parse_window
from quaver_wire.names import STATES

_KEPT = ("status", "answer", "event")  # what the broker keeps for a rollout that is away
_TICK_S = 0.25
_BATCH = 1000  # messages between two writes
_QUIET_S = 1.0  # retained messages come at once, one behind the other
_FIRST_S = 5.0  # and others between them
_MAY = "read status, answer, event and telemetry"


def _topics(prefixes: Iterable[str]) -> list[tuple[str, int]]:
    sites = sorted({prefix.partition("/")[0] for prefix in prefixes})
    kept = [(topic, 1) for site in sites for topic in node_topics(_KEPT, f"{site}/+/+/+/+")]
    return kept + [(topic, 0) for site in sites for topic in node_topics(("telemetry",), f"{site}/+/+/+/+")]


def online(url: BrokerUrl, ca: Path | None, keys: KeyStore, prefixes: Iterable[str]) -> set[bytes]:
    """The ids of the nodes at the sites of `prefixes` that are online now. Raises BrokerError."""
    opener = Opener(keys)
    found = set()
    statuses = [topic for topic in _topics(prefixes) if topic[0].endswith("/status")]
    until = time.monotonic() + _FIRST_S
    with Session(url, statuses, ca, may=_MAY) as session:
        while time.monotonic() < until and (heard := session.get(_QUIET_S)) is not None:
            try:
                opened = opener.open("status", heard.payload)
            except SealError:
                continue
            if opened.record.get("state", 0) != STATES.index("offline"):
                found.add(opened.node_id)
    return found


def planned(nodes: Mapping[bytes, str], up: set[bytes], left_out: Mapping[bytes, str], seed: bytes) -> list[Member]:
    """The members of a new rollout, each in its wave.

    nodes: id -> topic prefix; up: those that are online; left_out: id -> why a node does not get the release; seed: of
    the release.
    """
    ordered = spread([(node, prefix, node in up) for node, prefix in nodes.items() if node not in left_out], seed)
    members = [Member(node, nodes[node], number) for number, wave in enumerate(waves(ordered)) for node in wave]
    last = max((member.wave for member in members), default=0)
    return members + [
        Member(node, nodes[node], last, state="left out", reason=reason) for node, reason in left_out.items()
    ]


class Runner:
    """One rollout that goes on until it ends or pauses. show: called often, with the engine.

    resume: it was paused, and goes on.
    """

    def __init__(
        self, rollouts: Rollouts, rollout: Rollout, keys: KeyStore, show: Callable[[Engine], None], resume: bool = False
    ) -> None:
        self._rollouts = rollouts
        self._rollout = rollout
        self._keys = keys
        self._show = show
        self._opener = Opener(keys)
        self._commands = Commands(keys)
        self._windows = [parse_window(text) for text in rollout.windows]
        self._began = time.time() - time.monotonic()
        self.engine = Engine(
            rollouts.members(rollout.number),
            rollout.rules,
            rollout.sequence,
            draw_id,
            signatures=len(rollout.envelopes),
            state=rollout.state,
            why=rollout.why,
        )
        self._resumes = resume

    def run(self, url: BrokerUrl, ca: Path | None = None) -> None:
        """Until the rollout has ended, was aborted, or is paused and no node is under way.

        Raises BrokerError, RolloutError, KeyStoreError; all that was decided is kept.
        """
        engine = self.engine
        topics = _topics(member.prefix for member in engine.members.values())
        with Session(url, topics, ca, may=_MAY, name=self._rollout.session) as session:
            if self._resumes:
                self._rollouts.set_state(self._rollout.number, RUNNING, "")
                engine.resume()
            heard = self._first(session)
            engine.deaf_until(self._now())
            for member in engine.under_way:
                if member.state == TOLD and engine.state == RUNNING:
                    self._tell(session, member)  # killed before it was sent, perhaps; a node takes it twice as once
            deaf = False
            while True:
                self._adopt()
                told: list[Member] = []
                if not session.up:
                    deaf = True
                elif deaf:
                    engine.deaf_until(self._now())
                    deaf = False
                else:
                    told = engine.tick(self._now(), is_open(self._windows, datetime.now()))
                self._save()
                for member in told:
                    self._tell(session, member)
                for message in heard:
                    session.ack(message)
                self._show(engine)
                if engine.state in (ABORTED, ENDED):
                    session.forget()
                    return
                if engine.state == PAUSED and not engine.under_way:
                    return
                heard = self._take(session, _TICK_S)

    def _now(self) -> float:
        """s since 1970; it does not leap when somebody sets this machine's clock."""
        return self._began + time.monotonic()

    def _adopt(self) -> None:
        """Do what another program has set."""
        state, why = self._rollouts.state(self._rollout.number)
        if (state != RUNNING and self.engine.state == RUNNING) or state == ABORTED:
            self.engine.state, self.engine.why = state, why

    def _save(self) -> None:
        engine = self.engine
        if engine.changed or engine.state != RUNNING:
            self._rollouts.save(self._rollout, engine.state, engine.why, engine.changed.values())
            engine.changed.clear()

    def _take(self, session: Session, wait_s: float) -> list[Heard]:
        """Hand to the engine what has come, waiting for the first of it."""
        taken: list[Heard] = []
        heard = session.get(wait_s)
        while heard is not None:
            taken.append(heard)
            self._hear(heard)
            heard = session.get(0) if len(taken) < _BATCH else None
        return taken

    def _first(self, session: Session) -> list[Heard]:
        """As `_take`, all that the broker has kept: a node whose status is not known yet would seem to be offline."""
        until = time.monotonic() + _FIRST_S
        taken = self._take(session, _QUIET_S)
        while time.monotonic() < until and (more := self._take(session, _QUIET_S)):
            taken += more
        return taken

    def _hear(self, heard: Heard) -> None:
        prefix, _, message_class = heard.topic.rpartition("/")
        try:
            opened = self._opener.open(message_class, heard.payload)
        except SealError:
            return
        self.engine.hear(
            opened.node_id,
            message_class,
            opened.record,
            self._now(),
            prefix=prefix,
            boot=opened.boot,
            seq=opened.seq,
            generation=opened.generation,
        )

    def _tell(self, session: Session, member: Member) -> None:
        seen = self.engine.seen[member.id]
        if not seen.prefix:
            return  # it has no status here: its time runs out
        node = self._keys.get(member.id)
        envelope = self._rollout.envelopes[member.signature]
        args = {"digest": hashlib.sha256(envelope).digest(), "size": len(envelope)}
        try:
            if node is None:
                raise OperationError(f"has no key in {self._keys.path}")
            message = self._commands.seal(
                *(node, seen.generation, "update", args),
                identity=member.command,
                expires_s=self._rollout.rules.step_s,
            )
        except OperationError as error:
            self.engine.leave_out(member.id, self._now(), str(error))
            return
        session.send(f"{seen.prefix}/command", message)
