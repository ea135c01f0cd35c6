"""What keeps the page's alarms and security events up to date: a step after each look at the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from quaver.access.access import Access
from quaver.alarms.base import Alarm
from quaver.alarms.engine import Engine
from quaver.alarms.follow import Follower
from quaver.alarms.view import row
from quaver.knowledge import LANGUAGES
from quaver.query.source import Source

_AUDIT_S = 2.0  # between looks at the audit trail
_ROWS = 500


def told(engine: Engine, alarm: Alarm) -> dict[str, Any]:
    """An alarm as browsers are told of it, by language."""
    return {language: row(engine, alarm, language) for language in LANGUAGES}


class Watch:
    """step: for live.Live. access: whose audit trail is a part of the security events, None for none."""

    def __init__(self, engine: Engine, access: Access | None, clock_ms: Callable[[], int]) -> None:
        self._follower = Follower(engine)
        self._engine, self._access, self._clock_ms = engine, access, clock_ms
        self._looked = 0.0

    def blind(self) -> None:
        """The store can't be read at the moment."""
        self._follower.blind()

    def step(self, source: Source) -> list[Mapping[str, Any]]:
        """The alarms that changed, each once, as they are now: by language. Raises AlarmError, StoreError."""
        now_ms = self._clock_ms()
        changed = self._follower.step(source, now_ms)
        if self._access is not None and time.monotonic() - self._looked > _AUDIT_S:
            self._looked = time.monotonic()
            self._audit(self._access, now_ms)
        return [told(self._engine, alarm) for alarm in changed]

    def _audit(self, access: Access, now_ms: int) -> None:
        """Take what the trail has behind what was taken."""
        taken, before, new = self._engine.audit_taken, None, []
        while rows := [one for one in access.audit.rows(before, _ROWS) if one.number > taken]:
            new += rows
            before = rows[-1].number
        self._engine.audited(new, now_ms)
