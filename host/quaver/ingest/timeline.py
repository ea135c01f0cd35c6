"""This machine's own clock: records received while it was wrong are dated again when it is set.

The time since boot runs on when somebody sets the date, so a step shows as an offset between the two that moved. A
stretch without a step is a span; each record names its span, and a span that was wrong is shifted as a whole. The boot
of the machine is in the store, so a step while ingest was not running shows too. Which of two is believed:

    before          after           the span before is
    before 2026     since 2026      shifted: the clock had not been set
    since 2026      before 2026     kept, and the new one dated by it
    ahead           behind          shifted: the time since boot never runs fast; not when a time server kept the clock
                                    before, and none does now: then the new span is dated by it
    behind          ahead           shifted, and uncertain by the step: the machine may have been suspended. Not when
                                    a time server kept the clock before

Of a boot of the machine that ended before its clock was set, nothing is known but the order: its records came before
the next span began.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from quaver.ingest.dating import length
from quaver.ingest.intake import Intake
from quaver.store.rows import Span
from quaver.store.store import Store
from quaver.system import clock
from quaver.system.clock import BUILT_MS, STEP_MS, Reading

_DAY_MS = 86_400_000
_VOUCH_S = 10.0  # between two questions whether a time server keeps the clock


class Timeline:
    """Keeps the spans of `store`, and tells `intake` the one it receives in. say: hears of each step, a line.

    read, boot_id, vouched: the machine's, as in quaver.system.clock.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        say: Callable[[str], None],
        *,
        read: Callable[[], Reading] = clock.read,
        boot_id: str | None = None,
        vouched: Callable[[int], bool] = clock.vouched,
    ) -> None:
        self._store = store
        self._intake = intake
        self._say = say
        self._read = read
        self._vouched = vouched
        self._boot = boot_id or clock.boot_id()
        self._asked = 0.0
        self.spans = store.spans()
        reading = read()
        last = self.spans[-1]
        if last.host_boot == self._boot and abs(last.offset_ms - reading.offset_ms) <= STEP_MS:
            self.span = last
            intake.follow(last)
        else:
            self._turn(reading)

    def now_ms(self) -> int:
        """The date, after whatever a step since the last call asks for. Raises StoreError."""
        reading = self._read()
        if abs(reading.offset_ms - self.span.offset_ms) > STEP_MS:
            self._intake.commit(reading.date_ms)
            self._turn(reading)
        elif not self.span.vouched and time.monotonic() - self._asked > _VOUCH_S:
            self._asked = time.monotonic()
            if self._vouched(reading.date_ms):
                self.span.vouched = True
                with self._store.transaction():
                    self._store.put_spans([self.span])
        return reading.date_ms

    def _turn(self, reading: Reading) -> None:
        """Begin a span, and shift those that it shows to be wrong."""
        vouched = self._vouched(reading.date_ms)
        span = Span(
            self.spans[-1].number + 1,
            self._boot,
            offset_ms=reading.offset_ms,
            last_ms=reading.date_ms,
            shift_ms=0,
            uncertain_ms=0,
            vouched=vouched,
        )
        before = next((s for s in reversed(self.spans) if s.host_boot == self._boot), None)
        shifted: list[Span] = []
        if before is None:
            if not reading.plausible:
                span.uncertain_ms = None
                self._say(
                    f"this machine's clock shows {_date(reading.date_ms)}, which can't be right; records that arrive "
                    "now are dated again when it is set"
                )
        else:
            self._say(f"this machine's clock was set by {_apart(reading.offset_ms - before.offset_ms)}, to "
                      f"{_date(reading.date_ms)}")  # fmt: skip
            self._correct(span, before, reading, shifted)
        self._place_older(reading, vouched, shifted)
        self.spans.append(span)
        self.span = span
        with self._store.transaction():
            self._store.put_spans([*shifted, span])
            boots = self._store.claiming([s.number for s in shifted]) if shifted else []
            for node, boot in boots:
                self._intake.judge_again(node, boot)
        self._intake.follow(span)
        for old in shifted:
            count = self._store.query("SELECT count(*) FROM record WHERE span = ?", (old.number,))[0][0]
            if count:
                self._say(f"{count} records arrived while this machine's clock was {_apart(-old.shift_ms)} off: "
                          f"their receipt is dated again, uncertain by {length(old.uncertain_ms)}")  # fmt: skip

    def _correct(self, span: Span, before: Span, reading: Reading, shifted: list[Span]) -> None:
        """Of one boot of the machine: spans whose best date is not that of the new one."""
        now = reading.uptime_ms

        def plausible(best_ms: int) -> bool:
            return best_ms + now >= BUILT_MS

        def shift(one: Span, best_ms: int, uncertain_ms: int | None) -> None:
            one.shift_ms, one.uncertain_ms = best_ms - one.offset_ms, uncertain_ms

        if not reading.plausible or (before.best_ms - span.offset_ms > STEP_MS and before.vouched and not span.vouched):
            if plausible(before.best_ms):
                shift(span, before.best_ms, before.uncertain_ms)
            else:
                span.uncertain_ms = None
            return
        for one in self.spans:
            if one.host_boot != self._boot:
                continue
            step = span.offset_ms - one.best_ms
            if abs(step) <= STEP_MS:
                continue
            if step < 0 or not plausible(one.best_ms) or one.uncertain_ms is None:
                shift(one, span.offset_ms, 0)
            elif not one.vouched:
                shift(one, span.offset_ms, 0 if span.vouched and step > _DAY_MS else step)
            else:
                continue
            shifted.append(one)

    def _place_older(self, reading: Reading, vouched: bool, shifted: list[Span]) -> None:
        """Spans of boots of the machine before this one that nobody will set any more: they lie before now."""
        if not reading.plausible:
            return
        sound = 0
        for one in self.spans:
            if one.host_boot == self._boot or not one.number:
                continue
            ahead = one.last_ms + one.shift_ms > reading.date_ms + STEP_MS and (vouched or not one.vouched)
            if ahead or (one.uncertain_ms is None and not one.shift_ms):
                one.shift_ms = reading.date_ms - one.last_ms
                one.uncertain_ms = reading.date_ms - sound if sound else None
                shifted.append(one)
            elif one.uncertain_ms is not None:
                sound = max(sound, one.last_ms + one.shift_ms)


def _date(date_ms: int) -> str:
    if not 0 <= date_ms < 253_402_300_800_000:  # years of four digits
        return f"{date_ms} ms since 1970"
    return datetime.fromtimestamp(date_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _apart(ms: int) -> str:
    return ("+" if ms > 0 else "-") + length(abs(ms))
