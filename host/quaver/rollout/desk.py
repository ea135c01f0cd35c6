"""The rollouts of a file for who looks at them and is no command line: how far they are, pause, resume.

A rollout is resumed in a thread of this program. When the program ends, the rollout is left as after any kill: nodes
that are under way go on by themselves, and it can be resumed here or by `quaver rollout resume`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quaver.broker.address import BrokerUrl
from quaver.errors import QuaverError, RolloutError
from quaver.fleet.keys import KeyStore
from quaver.rollout.engine import PAUSED, RUNNING, Engine, Member
from quaver.rollout.run import Runner
from quaver.rollout.state import Rollout, Rollouts

UNATTENDED = "no program runs it"


@dataclass(frozen=True)
class Way:
    """By what nodes are told: who has the keys, and the broker with the file of its CA."""

    keys: KeyStore
    broker: BrokerUrl
    ca: Path | None = None


class Desk:
    """path: of the rollouts. way: None where this program may not tell nodes anything. Everything raises RolloutError.

    changed: called when the state of a rollout that is run here changes, and at its end.
    """

    def __init__(self, path: Path, way: Way | None, changed: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.way = way
        self.changed = changed
        self.trouble = ""  # why the last one that was run here ended early
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def rollouts(self, count: int = 20) -> list[tuple[Rollout, list[Member]]]:
        """The newest first, each with its nodes; one that should run and does not says so in `why`."""
        if not self.path.exists():
            return []
        with Rollouts(self.path) as base:
            return [(self._told(base, one), base.members(one.number)) for one in base.newest(count)]

    def _told(self, base: Rollouts, rollout: Rollout) -> Rollout:
        last = base.last()
        if rollout.state != RUNNING or last is None or rollout.number != last.number or self.runs or not base.claim():
            return rollout
        why = f"{UNATTENDED}: {self.trouble}" if self.trouble else UNATTENDED
        return Rollout(**{**vars(rollout), "why": why})

    @property
    def runs(self) -> bool:
        """Whether this program runs one."""
        return self._thread is not None and self._thread.is_alive()

    def pause(self, number: int, who: str) -> None:
        """Tell no more nodes; those under way come to their end."""
        with Rollouts(self._there()) as base:
            _is_last(base, number)
            base.pause(f"by {who} on the page")

    def resume(self, number: int) -> None:
        """Go on with it, in a thread of its own, until it ends or pauses."""
        if self.way is None:
            raise RolloutError("this page has no operator's keys and no broker; run quaver rollout resume")
        with self._turn:
            if self.runs:
                raise RolloutError(f"rollout {number} is being run by this page")
            with Rollouts(self._there()) as base:  # told at once, not in the thread
                _is_last(base, number)
                base.resumable()
            self.trouble = ""
            self._thread = threading.Thread(target=self._run, args=(self.way,), name="rollout", daemon=True)
            self._thread.start()

    def _run(self, way: Way) -> None:
        state = ""

        def show(engine: Engine) -> None:
            nonlocal state
            now = f"{engine.state} {sorted((m.prefix, m.state) for m in engine.members.values())}"
            if now != state:
                state = now
                self.changed()

        try:
            with Rollouts(self.path) as base:
                rollout = base.resumable()
                Runner(base, rollout, way.keys, show, resume=rollout.state == PAUSED).run(way.broker, way.ca)
        except QuaverError as error:
            self.trouble = str(error)
        except Exception as error:
            self.trouble = f"it failed ({type(error).__name__})"
            raise
        finally:
            self.changed()

    def _there(self) -> Path:
        if not self.path.exists():
            raise RolloutError("there is no rollout; start one with quaver rollout start")
        return self.path


def _is_last(base: Rollouts, number: int) -> None:
    if base.known().number != number:
        raise RolloutError(f"rollout {number} is not the last one; only that one can be paused and resumed")
