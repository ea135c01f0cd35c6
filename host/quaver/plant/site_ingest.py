"""A plant's ingest: the product's own, at the plant's clock, with what befalls its process, its disk and its date.

What it has not committed it has not acknowledged, so that stays at the broker. When its disk is full it ends, as
`quaver ingest` does, and whoever looks after it (systemd) starts it again every so often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from quaver.broker import reader
from quaver.emulator.site_broker import Message
from quaver.errors import StoreError
from quaver.ingest.intake import RECORD_CLASSES, Intake, Reader
from quaver.ingest.timeline import Timeline
from quaver.store.store import Store
from quaver.system.clock import Reading

_AGAIN_S = 30.0  # after which an ingest that ended is started again
_BOOTED_MS = 86_400_000  # before the plant's start


class SiteIngest:
    """path: of the store, made here. begin_ms: the plant's date at its start. Raises StoreError.

    store: the store, which is another object after each start. said: what the ingest says, line by line.
    """

    def __init__(
        self,
        path: Path,
        begin_ms: int,
        opener: Reader,
        name_of: Callable[[bytes], str | None],
        said: Callable[[str], None],
    ) -> None:
        self._path = path
        self._begin_ms = begin_ms
        self._opener = opener
        self._name_of = name_of
        self._said = said
        self._now_ms = 0
        self._off_ms = 0
        self._received = 0
        self._refused: Counter[str] = Counter()
        self._untaken: list[Message] = []  # what waits at the broker while it is away
        self._unacknowledged: list[Message] = []
        self._back: float | None = None  # when it is started again; None: it runs
        self._full = False
        self._start()

    @property
    def received(self) -> int:
        return self._received + (self._intake.tally.received if self._back is None else 0)

    @property
    def refused(self) -> Mapping[str, int]:
        return self._refused + (self._intake.tally.refused if self._back is None else Counter())

    def take(self, time_s: float, message: Message) -> None:
        """A message that came to the broker at that moment."""
        if message.topic.rpartition("/")[2] not in RECORD_CLASSES:
            return
        self.look(time_s)
        if self._back is not None:
            self._untaken.append(message)
            return
        try:
            self._take(message)
        except StoreError as error:  # the date was set: it commits
            self._unacknowledged.append(message)
            self._end(time_s, error)

    def commit(self, time_s: float) -> None:
        self.look(time_s)
        if self._back is None:
            try:
                self._intake.commit(self._timeline.now_ms())
                self._unacknowledged.clear()
            except StoreError as error:
                self._end(time_s, error)

    def look(self, time_s: float) -> None:
        """Time has come to this moment: start what is to be started."""
        self._now_ms = round(1000 * time_s)
        if self._back is not None and time_s >= self._back:
            try:
                self._start()
            except StoreError as error:
                self._said(str(error))
                self._back = time_s + _AGAIN_S
                return
            self._back = None
            waited, self._untaken = self._untaken, []
            for message in waited:
                self.take(time_s, message)

    # What befalls it.

    def stop(self, time_s: float, until_s: float) -> None:
        """Its machine is away for a while; it ends in order."""
        self.commit(time_s)
        self._leave()
        self._back = until_s

    def fill_disk(self, time_s: float, full: bool) -> None:
        """The disk has no block left for it, or has again."""
        self.commit(time_s)
        self._full = full
        if self._back is None:
            self._limit()

    def set_clock(self, time_s: float, off_s: float) -> None:
        """Somebody sets its machine's clock, so far off the right time."""
        self.look(time_s)
        self._off_ms = round(1000 * off_s)
        if self._back is None:
            try:
                self._timeline.now_ms()
            except StoreError as error:
                self._end(time_s, error)

    def settle(self, time_s: float) -> None:
        """Whatever keeps it from its work ends now, and it takes in what waits."""
        self._full = False
        if self._back is None:
            self._limit()
        else:
            self._back = time_s
        self.commit(time_s)

    def close(self) -> None:
        self.store.close()

    def _start(self) -> None:
        self.store = Store(self._path)
        try:
            self._limit()
            self._intake = Intake(self.store, self._opener, self._name_of, self._said)
            self._timeline = Timeline(
                self.store,
                self._intake,
                self._said,
                read=self._read,
                boot_id="plant",
                vouched=lambda date_ms: not self._off_ms,
            )
        except StoreError:
            self.store.close()
            raise

    def _limit(self) -> None:
        """What a full disk is to SQLite: it can't add a page (SQLITE_FULL)."""
        pages = int(self.store.query("PRAGMA page_count")[0][0]) if self._full else 0xFFFFFFFE
        self.store.query(f"PRAGMA max_page_count = {pages}")

    def _read(self) -> Reading:
        return Reading(self._begin_ms + self._now_ms + self._off_ms, _BOOTED_MS + self._now_ms)

    def _take(self, message: Message) -> None:
        now_ms = self._timeline.now_ms()
        self._intake.take([reader.Message(message.topic.encode(), message.payload, 0, again=False)], now_ms)
        self._unacknowledged.append(message)

    def _end(self, time_s: float, error: StoreError) -> None:
        """It ends with the error that it prints; nothing that it took is acknowledged."""
        self._said(str(error))
        self._leave()
        self._back = time_s + _AGAIN_S

    def _leave(self) -> None:
        tally = self._intake.tally
        self._received += tally.received
        self._refused += tally.refused
        self._untaken, self._unacknowledged = self._unacknowledged + self._untaken, []
        self.store.close()
