"""The sampling side of an emulated vibration sensor: when samples exist, and which of them a FIFO still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

Fault = Literal["absent", "stuck", "range"] | None

_IDLE_NS = 100_000_000  # between two looks at a part that watches for nothing
_CHUNK = 1024  # samples asked of a source at once: its per-call cost vanishes, a stopped stream wastes little


class Stream:
    """One run after another of a converter with a FIFO behind it.

    Sample i of a run exists at start + (i + 1) / rate. Samples are fetched and rendered to FIFO words only when
    a word is read, a chunk ahead; until then a FIFO is two counters: `written` samples since the start, of
    which `taken` have been read or lost.
    """

    def __init__(self, word_size: int) -> None:
        self._word_size = word_size
        self.running = False
        self.captures = 0  # runs that filled the FIFO, so far
        self.capture = 0  # the number of the run that the source is asked for
        self.rate_hz = 0.0
        self.written = 0
        self.taken = 0
        self._start = 0
        self._busy_ns = 0  # of the runs before this one
        self._micro_hz = 0
        self._ceiling: int | None = None  # a FIFO that has filled and stopped takes no further sample
        self._chunk = b""
        self._first = 0
        self._count = 0

    def start(self, now: int, rate_hz: float, *, buffered: bool) -> None:
        """Begin a run at `now` (ns). `buffered`: through the FIFO, which is what counts as a capture."""
        self._busy_ns = self.busy_ns(now)
        self.running = True
        self.capture = self.captures
        self.captures += buffered
        self.rate_hz = rate_hz
        self._micro_hz = round(rate_hz * 1e6)
        self._start = now
        self.written = self.taken = 0
        self._ceiling = None
        self.forget()

    def stop(self, now: int) -> None:
        """End the run at `now` and empty the FIFO."""
        self._busy_ns = self.busy_ns(now)
        self.running = False
        self.written = self.taken = 0
        self.forget()

    def busy_ns(self, now: int) -> int:
        """How long the converter has run so far."""
        return self._busy_ns + (now - self._start if self.running else 0)

    def forget(self) -> None:
        """Drop rendered words, because how they are rendered has changed."""
        self._chunk = b""
        self._count = 0

    def due(self, now: int) -> int:
        """How many samples of this run exist by `now`."""
        return (now - self._start) * self._micro_hz // 10**15

    def advance(self, now: int, depth: int, *, keep_newest: bool) -> bool:
        """Fill the FIFO up to `now`; True when a sample was lost, oldest or newest first by `keep_newest`."""
        if not self.running:
            return False
        existing = self.due(now)
        if self._ceiling is not None:
            return existing > self._ceiling
        self.written = existing
        if existing - self.taken <= depth:
            return False
        if keep_newest:
            self.taken = existing - depth
        else:
            self.written = self._ceiling = self.taken + depth
        return True

    @property
    def started_ns(self) -> int:
        """When this run began, ns of the board's clock."""
        return self._start

    @property
    def started_s(self) -> float:
        """When this run began, in seconds of the board's clock."""
        return self._start / 1e9

    @property
    def level(self) -> int:
        """Words in the FIFO."""
        return self.written - self.taken

    def word(self, index: int, render: Callable[[int, int], bytes]) -> bytes:
        """Word `index` of this run; `render(first, count)` makes words that are not at hand."""
        at = index - self._first
        if not 0 <= at < self._count:
            self._chunk = render(index, _CHUNK)
            self._first, self._count, at = index, _CHUNK, 0
        at *= self._word_size
        return self._chunk[at : at + self._word_size]

    def words(self, index: int, count: int, render: Callable[[int, int], bytes]) -> Iterator[bytes]:
        """`count` words of this run from `index` on, in pieces."""
        while count:
            self.word(index, render)
            at = index - self._first
            part = min(count, self._count - at)
            yield self._chunk[at * self._word_size : (at + part) * self._word_size]
            index, count = index + part, count - part


class Watcher(Protocol):
    """A part with an interrupt."""

    def watches(self) -> bool:
        """Whether it would raise its interrupt."""
        ...

    def raised(self, now: int) -> bool: ...

    def sample_ns(self) -> int:
        """From one sample to the next."""
        ...


class Int1:
    """The interrupt pin of a part, as what drives a GPIO of the board."""

    def __init__(self, part: Watcher) -> None:
        self._part = part

    def gpio_level(self, now: int) -> bool:
        return self._part.raised(now)

    def gpio_next(self, now: int) -> int:
        return now + (self._part.sample_ns() if self._part.watches() else _IDLE_NS)


class Rest:
    """The source of a sensor that lies still: its own noise about 0 g, `noise_g` RMS on each axis."""

    def __init__(self, noise_g: float) -> None:
        self._noise_g = noise_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        blocks = range(first // _CHUNK, (first + count - 1) // _CHUNK + 1)
        noise = [np.random.default_rng((capture, b)).standard_normal((_CHUNK, 3), np.float32) for b in blocks]
        begin = first - blocks.start * _CHUNK
        return np.concatenate(noise)[begin : begin + count] * np.float32(self._noise_g)


def acceleration(source: Source, stream: Stream, first: int, count: int) -> NDArray[np.float32]:
    """Samples of the source in this run, g: (count, 3).

    A source stands for all that the part's converter sees: no noise is added, and what it holds up to half the
    output rate comes through (the parts' low-pass is not modelled).
    """
    lives = getattr(source, "at", None)
    if lives is not None:  # a machine that changes with time
        source = lives(stream.started_s)
    return source.samples(stream.capture, stream.rate_hz, first, count)


def quantise(
    source: Source, stream: Stream, first: int, count: int, lsb_per_g: float, low: int, high: int
) -> NDArray[np.int16]:
    """Those samples as the converter puts them out: int16 LSB (count, 3), clipped to low..high."""
    lsb = np.rint(acceleration(source, stream, first, count) * np.float32(lsb_per_g))
    clipped: NDArray[np.int16] = np.clip(lsb, low, high).astype(np.int16)
    return clipped
