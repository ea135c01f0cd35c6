"""Hands what a store gets to every sink, each at its own pace: one that is down holds up no other.

A sink's place is on the disk when it has taken what is before it. What waits for a sink waits in the store, so an hour
without it costs no memory. A store that is away is waited for: each sink keeps its place and its connection meanwhile.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from quaver.bridge.sink import Sink, SinkDown
from quaver.bridge.state import State
from quaver.errors import StoreAway
from quaver.query.source import Place, Source, at_once
from quaver.store.location import Location

_LOOK_S = 0.25  # between looks at a store that had nothing new
_OBJECTS = 20_000  # of a batch of records: none is part of a cycle, and looking for one costs a tenth of their time
_RETRY_S = (1.0, 30.0)  # after a sink was down: the first time, and the most
_AWAY_S = (0.25, 8.0)  # between looks at a store that is away, the same


def expect_many_objects() -> None:
    """Have Python look for cycles less often, in the whole program."""
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])


@dataclass
class Progress:
    """What has become of a sink since the start, for who shows it. Times in seconds since 1970 are nobody's here."""

    name: str
    up: bool = False
    handed: int = 0
    failures: int = 0
    why: str = ""
    place: Place = field(default_factory=Place)


class _StoreWatch:
    """Whether the store can be read, told once for all sinks."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._lock = threading.Lock()
        self._away = False

    def lost(self, why: str) -> None:
        with self._lock:
            if not self._away:
                self._say(f"{why}; each sink keeps its place")
            self._away = True

    def back(self) -> None:
        with self._lock:
            if self._away:
                self._say(f"{self._name}: the store can be read again")
            self._away = False


class Bridge:
    """say: hears a line when a sink is lost or comes back. begin_now: a new sink begins behind what is there."""

    def __init__(
        self, store: Location, state: Path, sinks: Sequence[Sink], say: Callable[[str], None], begin_now: bool = True
    ) -> None:
        self.progress = [Progress(sink.name) for sink in sinks]
        self.failed: Exception | None = None
        self._store = store
        self._state = state
        self._begin_now = begin_now
        self._say = say
        self._watch = _StoreWatch(str(store), say)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(sink, progress), name=f"bridge {sink.name}", daemon=True)
            for sink, progress in zip(sinks, self.progress, strict=True)
        ]

    def start(self) -> None:
        """Check that store and state can be used, and begin. Raises StoreError, BridgeError."""
        with Source(self._store) as source, State(self._state) as state:
            for progress in self.progress:
                progress.place = self._begin(source, state, progress.name)
        expect_many_objects()
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether it still runs after so long."""
        return not self._stopping.wait(seconds)

    def done(self) -> bool:
        """Whether every sink has all that the store has; of a store that is away nobody knows."""
        try:
            with Source(self._store, at_once) as source:
                return all(one.up and not source.waiting(one.place) for one in self.progress)
        except StoreAway:
            return False

    def stop(self) -> None:
        """End, at once or when what is under way has ended. Raises what a sink can't go on with."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self.failed is not None:
            raise self.failed

    def _begin(self, source: Source, state: State, name: str) -> Place:
        known = state.get(name)
        if known is not None:
            return source.find(known[0])
        place = source.end() if self._begin_now else Place()
        state.put(name, place, 0)
        return place

    def _run(self, sink: Sink, progress: Progress) -> None:
        try:
            with ExitStack() as stack:
                state = stack.enter_context(State(self._state))
                serving = _Serving(sink, progress, state, self._watch, self._say, self._stopping)
                source: Source | None = None
                while not self._stopping.is_set():
                    try:
                        serving.wait()
                        source = source or stack.enter_context(Source(self._store, at_once))
                        serving.turn(source)
                    except StoreAway as error:
                        serving.store_away(error)
                    except SinkDown as error:
                        serving.sink_down(error)
                sink.close()
        except Exception as error:  # told where the bridge is stopped; without this sink it is not what was asked for
            self.failed = error
            self._stopping.set()


class _Serving:
    """One sink, in a thread of its own: where it is, and what it waits for."""

    def __init__(
        self,
        sink: Sink,
        progress: Progress,
        state: State,
        watch: _StoreWatch,
        say: Callable[[str], None],
        stopping: threading.Event,
    ) -> None:
        self._sink, self._progress, self._state = sink, progress, state
        self._watch, self._say, self._stopping = watch, say, stopping
        self._place: Place | None = None  # None: to be found again in the store
        self._done = 0
        self._connected = False
        self._waited: int | None = None  # records, when it had come back; None: that is said
        self._away_s = 0.0  # the pause after the store was away; 0 where it is there
        self._retry_s = _RETRY_S[0]

    def turn(self, source: Source) -> None:
        """Hand over what is there, as much as the sink takes at once. Raises SinkDown, StoreAway."""
        if self._place is None:
            known = self._state.get(self._sink.name)
            assert known is not None
            self._place, self._done = source.find(known[0]), known[1]
            self._progress.place = self._place
        if not self._connected:
            self._sink.connect(self._done)
            self._connected = True
            if self._progress.failures and not self._progress.up:
                self._waited = source.waiting(self._place)
        readings = source.after(self._place, self._sink.batch)
        if self._away_s:
            self._away_s = 0.0
            self._watch.back()
            self._sink.rest(blind=True)  # it has not heard yet what came meanwhile
        if readings:
            after = readings[-1].place

            def note(count: int) -> None:
                self._state.put(self._sink.name, after, count)
                self._place, self._done = after, count

            self._sink.put(readings, self._done, note)
            self._progress.place = after
            self._progress.handed += len(readings)
        else:
            self._sink.rest()
        if self._waited is not None:  # and not before: a broker may take a connection, and no message
            self._say(f"{self._sink.name}: connected again; {self._waited} records waited")
            self._waited = None
        # A sink that keeps what it has taken has nothing to be handed again, and says so where it can't pass it on.
        self._progress.why = getattr(self._sink, "trouble", "")
        self._progress.up = not self._progress.why
        if not readings:
            self._stopping.wait(_LOOK_S)

    def wait(self) -> None:
        """As long as a store that is away is left alone; the sink keeps its connection. Raises SinkDown."""
        until = time.monotonic() + self._away_s
        while (left := until - time.monotonic()) > 0 and not self._stopping.wait(min(left, _LOOK_S)):
            if self._connected:
                self._sink.rest(blind=True)

    def store_away(self, error: StoreAway) -> None:
        self._watch.lost(str(error))
        self._place = None
        self._away_s = min(2 * self._away_s or _AWAY_S[0], _AWAY_S[1])

    def sink_down(self, error: SinkDown) -> None:
        progress = self._progress
        if error.again_s is None:
            news = progress.up or not progress.failures
            self._retry_s = _RETRY_S[0] if progress.up else min(2 * self._retry_s, _RETRY_S[1])
            pause = self._retry_s
        else:
            news, pause = str(error) != progress.why, error.again_s
        if news:
            self._say(f"{self._sink.name}: {error}; what is new waits in the store")
        progress.up, progress.why = False, str(error)
        progress.failures += news or error.again_s is None
        self._connected, self._place, self._waited = False, None, None
        self._stopping.wait(pause)
