"""The date that a host's gateway sends to nodes: only from a clock that can be trusted.

A node obeys commands and dates its records by what its gateway says. So a machine whose clock was not set yet, or is
kept by nobody, says nothing, and the node waits. The reason is a time server that keeps the machine's clock, by the
kernel's word, or the person's who starts the gateway; and it ends with a step of the clock that no time server made.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from quaver.system import clock
from quaver.system.clock import STEP_MS, Reading

_ASK_S = 10.0


class TrustedDate:
    """trust: the person's word that the clock is right. say: hears whether nodes get the date, each time it changes.

    read, vouched: the machine's, as in quaver.system.clock; seconds: a clock for the pauses between two questions.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        trust: bool = False,
        *,
        read: Callable[[], Reading] = clock.read,
        vouched: Callable[[int], bool] = clock.vouched,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._trust = trust
        self._read = read
        self._vouched = vouched
        self._seconds = seconds
        self._offset_ms: int | None = None  # date - uptime, as it was when there was a reason
        self._told: bool | None = None
        self._asked = 0.0
        self.unix_ms()

    def unix_ms(self) -> int:
        """The date, ms since 1970, or 0: not to be trusted."""
        now = self._read()
        stepped = self._offset_ms is not None and abs(now.offset_ms - self._offset_ms) > STEP_MS
        if stepped or (self._offset_ms is None and (self._told is None or self._seconds() - self._asked > _ASK_S)):
            self._asked = self._seconds()
            # A person's word is of the clock as it was; what it is set to later is another.
            trusted = now.plausible and ((self._trust and not stepped) or self._vouched(now.date_ms))
            self._offset_ms = now.offset_ms if trusted else None
            self._trust = self._trust and not (stepped and not trusted)
            self._tell(stepped)
        return now.date_ms if self._offset_ms is not None else 0

    def _tell(self, stepped: bool) -> None:
        known = self._offset_ms is not None
        if known == self._told:
            return
        self._told = known
        if known:
            why = "--trust-clock says that it is right" if self._trust else "a time server sets it"
            self._say(f"nodes get the date from this machine's clock: {why}")
        else:
            why = "was set by an unknown program" if stepped else "is not set by a time server"
            self._say(
                f"nodes get no date, so they obey no commands: this machine's clock {why}; start a time "
                "service (NTP) on "
                "it, or pass --trust-clock if it is right"
            )
