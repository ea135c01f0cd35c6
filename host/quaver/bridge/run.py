"""Hands what a store gets to every sink, each at its own pace: one that is down holds up no other.

A sink's place is on the disk when it has taken what is before it. What waits for a sink waits in the store, so an hour
without it costs no memory.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quaver.bridge.sink import Sink, SinkDown
from quaver.bridge.state import State
from quaver.query.source import Place, Source
from quaver.store.location import Location

_LOOK_S = 0.25  # between looks at a store that had nothing new
_OBJECTS = 20_000  # of a batch of records: none is part of a cycle, and looking for one costs a tenth of their time
_RETRY_S = (1.0, 30.0)  # after a sink was down: the first time, and the most


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
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(sink, progress), name=f"bridge {sink.name}", daemon=True)
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

    def _serve(self, sink: Sink, progress: Progress) -> None:
        pause = _RETRY_S[0]
        try:
            with Source(self._store) as source, State(self._state) as state:
                while not self._stopping.is_set():
                    try:
                        self._hand(sink, progress, source, state)
                    except SinkDown as error:
                        if error.again_s is None:
                            news = progress.up or not progress.failures
                            pause = _RETRY_S[0] if progress.up else min(2 * pause, _RETRY_S[1])
                        else:
                            news, pause = str(error) != progress.why, error.again_s
                        if news:
                            self._say(f"{sink.name}: {error}; what is new waits in the store")
                        progress.up, progress.why = False, str(error)
                        progress.failures += news or error.again_s is None
                        self._stopping.wait(pause)
                sink.close()
        except Exception as error:  # told where the bridge is stopped; without this sink it is not what was asked for
            self.failed = error
            self._stopping.set()

    def _hand(self, sink: Sink, progress: Progress, source: Source, state: State) -> None:
        """Serve the sink until it is down, or the bridge ends."""
        known = state.get(sink.name)
        assert known is not None
        place, done = source.find(known[0]), known[1]
        sink.connect(done)
        waited = source.waiting(place) if progress.failures and not progress.up else None
        while not self._stopping.is_set():
            readings = source.after(place, sink.batch)
            if readings:
                after = readings[-1].place

                def note(count: int, after: Place = after) -> None:
                    nonlocal place, done
                    state.put(sink.name, after, count)
                    place, done = after, count

                sink.put(readings, done, note)
                progress.place = place
                progress.handed += len(readings)
            else:
                sink.rest()
            if waited is not None:  # and not before: a broker may take a connection, and no message
                self._say(f"{sink.name}: connected again; {waited} records waited")
                waited = None
            # A sink that keeps what it has taken has nothing to be handed again, and says so where it can't pass it on.
            progress.why = getattr(sink, "trouble", "")
            progress.up = not progress.why
            if not readings:
                self._stopping.wait(_LOOK_S)
