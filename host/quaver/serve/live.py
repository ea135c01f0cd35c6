"""What is live: one reader of the store's tail, which feeds the roll-ups and every browser that looks.

A browser has a short queue. One that is too slow loses what is in it and is told so once, `event: behind`; it then
loads anew what it shows. Whatever came between two looks at the store is one piece for all browsers, made once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from quaver.errors import QuaverError, StoreAway, StoreError
from quaver.knowledge import LANGUAGES
from quaver.knowledge.sentences import event_sentence
from quaver.messages.quantities import numbers
from quaver.messages.record import one_line
from quaver.query.door import Door
from quaver.query.rollups import follow
from quaver.query.source import Place, Reading, Source

LOOK_S = 0.25  # between two looks at the store
HEARTBEAT_S = 15.0
HOLDS_S = 1.0  # how often a stream asks whether who asked for it may still see it
_HEALTH_S = 10.0
_QUEUE = 64  # pieces that wait for a browser
_PIECE = 500  # records of one look that browsers are told; of more they load anew
_ROLL_UP = 2000  # records of one look that the roll-ups take: of a cache that is built anew, a piece at a time
_PRUNE_S = 3600.0
_RETRY_S = 2.0
_WORDS = ("level", "fault", "zone", "machine", "state", "role", "firmware", "board", "quality", "code", "subject")


@dataclass(eq=False)
class _Browser:
    waiting: deque[bytes]
    language: str
    ready: asyncio.Event
    behind: bool = False


class Hub:
    """Hands pieces to browsers. tell, close: from any thread; the rest in the loop of the server."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._browsers: set[_Browser] = set()
        self._closed = False

    @property
    def browsers(self) -> int:
        return len(self._browsers)

    def open(self) -> None:
        """From here on, in the loop that calls this."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End every stream at once; a browser then tries again by itself."""
        self._closed = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and its streams with it
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for browser in self._browsers:
            browser.ready.set()

    def tell(self, event: str, data: Any, language: str | None = None) -> None:
        """To all browsers, or to those of a language."""
        self.tell_piece(framed(event, data), language)

    def tell_piece(self, piece: bytes, language: str | None = None) -> None:
        """piece: of `framed`, one after the other."""
        if self._loop is not None and not self._closed and piece:
            self._loop.call_soon_threadsafe(self._put, piece, language)

    def _put(self, piece: bytes, language: str | None) -> None:
        for browser in self._browsers:
            if language in (None, browser.language):
                if len(browser.waiting) == _QUEUE:
                    browser.waiting.clear()
                    browser.behind = True
                browser.waiting.append(piece)
                browser.ready.set()

    async def stream(self, language: str, holds: Callable[[], bool] = lambda: True) -> AsyncIterator[bytes]:
        """What one browser is sent, until it goes. holds: asked each second; the stream ends where it is not so."""
        browser = _Browser(deque(), language, asyncio.Event())
        self._browsers.add(browser)
        try:
            yield b"retry: 2000\n: welcome\n\n"
            sent = asked = time.monotonic()
            while not self._closed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HOLDS_S):
                        await browser.ready.wait()
                now = time.monotonic()
                if now - asked >= HOLDS_S:
                    asked = now
                    if not holds():
                        return
                piece = self._take(browser) or (b": still here\n\n" if now - sent >= HEARTBEAT_S else b"")
                if piece:
                    sent = now
                    yield piece
        finally:
            self._browsers.discard(browser)

    @staticmethod
    def _take(browser: _Browser) -> bytes:
        """What waits for a browser; that it is behind, where it lost something."""
        browser.ready.clear()
        piece = framed("behind", {}) if browser.behind else b"".join(browser.waiting)
        browser.behind = False
        browser.waiting.clear()
        return piece


def framed(event: str, data: Any) -> bytes:
    """One event of the stream. JSON has no line's end in it, so nothing of a record can begin another event."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), orjson.dumps(data))


def told(reading: Reading, language: str = "en") -> dict[str, Any]:
    """A record as a browser gets it: its numbers by quantity, and its words in its language."""
    values = {name: value for name, _, value in numbers(reading.values)} if reading.kind != "spectrum" else {}
    words: dict[str, Any] = {name: reading.values[name] for name in _WORDS if name in reading.values}
    if reading.kind == "event":
        words |= {
            "event_level": reading.values.get("event_level"),
            "text": one_line(event_sentence(reading.values, language)),
        }
    return {
        "node": reading.node,
        "kind": reading.kind,
        "boot": reading.place.boot,
        "seq": reading.place.seq,
        "time_ms": reading.time_ms,
        "received_ms": reading.received_ms,
        "historical": reading.historical,
        "values": values | words,
    }


class Live:
    """The threads that follow the store. step: takes what came for the alarms, and hands on those that changed.
    blind: called in place of it while the store can't be read.
    say: hears a line when the store can't be read, and when it can again.
    """

    def __init__(
        self,
        door: Door,
        hub: Hub,
        step: Callable[[Source], Iterable[Mapping[str, Any]]] | None = None,
        say: Callable[[str], None] = lambda line: None,
        blind: Callable[[], None] = lambda: None,
    ) -> None:
        self._door, self._hub, self._step, self._say, self._blind = door, hub, step, say, blind
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._pruned = 0.0
        self._health = 0.0

    def start(self) -> None:
        jobs: list[tuple[str, Callable[[], Callable[[], bool]]]] = [("records", self._records)]
        if self._step is not None:
            jobs.append(("alarms", self._alarms))
        for name, job in jobs:
            thread = threading.Thread(target=self._run, args=(name, job), name=f"live {name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, job: Callable[[], Callable[[], bool]]) -> None:
        trouble = ""
        while not self._stop.is_set():
            try:
                look = job()
                while not self._stop.is_set():
                    more = look()
                    if trouble:
                        self._say(f"{name}: the store can be read again")
                        trouble = ""
                    if not more:
                        self._stop.wait(LOOK_S)
            except QuaverError as error:
                # A database that goes and comes says something else at each try.
                if not trouble or (str(error) != trouble and not isinstance(error, StoreAway)):
                    trouble = str(error)
                    self._say(f"{name}: {trouble}; tried again every {_RETRY_S:.0f} s")
                self._stop.wait(_RETRY_S)
        self._door.close()

    def _records(self) -> Callable[[], bool]:
        """A look at the records: to the browsers what is new, to the roll-ups what they have not."""
        with self._door.source() as source:
            place = source.end()

        def look() -> bool:
            nonlocal place
            with self._door.source() as source:
                end = source.end()
                if end.row < place.row:  # another store has taken its place
                    place = Place()
                readings = source.after(place, _PIECE) if end.row > place.row else []
                if len(readings) == _PIECE and end.row - readings[-1].place.row > _PIECE:
                    self._hub.tell("behind", {})
                    place = end
                elif readings:
                    spoken = any(one.kind == "event" for one in readings)
                    for language in LANGUAGES if spoken else (None,):
                        piece = b"".join(framed("record", told(one, language or "en")) for one in readings)
                        self._hub.tell_piece(piece, language)
                    place = readings[-1].place
                self._tell_health(source, end, readings)
                return self._roll_up(source)

        return look

    def _roll_up(self, source: Source) -> bool:
        """Whether there is more to take at once."""
        rollups = self._door.rollups
        if rollups is None:
            return False
        taken = sum(len(batch) for batch in follow(source, rollups, _ROLL_UP))
        if not taken and time.monotonic() - self._pruned > _PRUNE_S:
            self._pruned = time.monotonic()
            rollups.prune(source)
        return taken == _ROLL_UP

    def _tell_health(self, source: Source, end: Place, readings: Sequence[Reading]) -> None:
        if time.monotonic() - self._health < _HEALTH_S:
            return
        self._health = time.monotonic()
        rollups = self._door.rollups
        waiting = max(0, end.row - rollups.row()) if rollups else 0
        about = {"now_ms": self._door.clock_ms(), "records": end.row, "waiting": waiting}
        self._hub.tell("health", about | {"browsers": self._hub.browsers})

    def _alarms(self) -> Callable[[], bool]:
        def look() -> bool:
            assert self._step is not None
            try:
                with self._door.source() as source:
                    for alarm in self._step(source):
                        for language, row in alarm.items():
                            self._hub.tell("alarm", row, language)
            except StoreError:
                self._blind()
                raise
            return False

        return look
