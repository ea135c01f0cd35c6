"""Random numbers: noise under health tests, a seed on flash, and an HMAC_DRBG over both; see docs/random.md.

All that a board makes up, secrets and nonces, comes from here, and nothing does where no source of noise is left.
"""

import time
from hashlib import sha256

from micropython import const

from node import room, store
from node.drbg import Drbg

if False:  # types alone: never compiled
    from collections.abc import Callable
    from typing import Any

_CHUNK = const(64)  # samples, a byte each, that are taken at once
_START = const(16)  # chunks of each source before it counts: 1,024 samples (NIST SP 800-90B, 4.3, item 12)

# Each source is taken to have half a bit of entropy in a sample. One that has it fails once in 2**30 (4.4).
_REPEATS = const(61)  # equal samples one after the other: 4.4.1, 1 + 30 / 0.5
_WINDOW = const(512)  # samples: 4.4.2, of more than two values
_MOST = const(422)  # equal to the first one of a window: 4.4.2
_SEED = const(32)


class Source:
    """A source of noise under the repetition count and adaptive proportion tests (SP 800-90B, 4.4), from start to end.

    fill(buffer): puts a sample into each byte, or raises OSError. tested: (which test has failed, for good, or "", the
    run of equal samples at the end, the window's first sample, how many it has, how many of those are equal to it).
    """

    def __init__(self, name: str, fill: "Callable") -> None:
        self.name = name
        self.tested = ("", b"", b"", 0, 0)
        self._fill = fill

    def take(self) -> bytes:
        """The next samples, 64, tested."""
        failed, run, first, seen, equal = self.tested
        buffer = bytearray(_CHUNK)
        try:
            self._fill(buffer)
        except OSError:
            failed = "no answer"
        samples = bytes(buffer)
        run += samples
        for at in range(0, len(run), _REPEATS):  # a run of so many takes in one of these places
            if run[at : at + 1] * _REPEATS in run:
                failed = "repetition count"
        run = run[len(run.rstrip(run[-1:])) :][:_REPEATS]
        if not seen:
            first, equal = samples[:1], 0
        equal += samples.count(first)
        if equal >= _MOST:
            failed = "adaptive proportion"
        self.tested = failed, run, first, (seen + _CHUNK) % _WINDOW, equal
        return samples


class Random:
    """noise: has sources(), [(name, fill)] as of Source, and extra(), bytes that are mixed in and count for nothing.

    own: what makes this board and this start another one: its id, its boot's number, what it holds secret.
    event: as of node.record, or None: tells of a source that has failed, once, and by which test. state: of an earlier
    one in this start, which this one goes on from; "slept" in it: of a generator that lived through a deep sleep.
    """

    def __init__(
        self,
        noise: "Any",
        own: bytes,
        event: "Callable | None" = None,
        state: "dict | None" = None,
        path: str = "/random.seed",
    ) -> None:
        self._noise = noise
        self._own = own
        self._event = event
        self._path = path
        self._sources = [Source(*source) for source in noise.sources()]
        self._drbg: Drbg | None = None
        if state:
            for source in self._sources:
                source.tested = state[source.name]
            if "" in state:
                self._drbg = Drbg(b"", state[""])
        self._slept = state and state.get("slept")

    def state(self) -> dict:
        """What another one goes on from: small, and nothing of this module."""
        found: dict = {source.name: source.tested for source in self._sources}
        if self._drbg:
            found[""] = self._drbg.state
        elif self._slept:
            found["slept"] = self._slept
        return found

    def begin(self) -> None:
        """Take noise for this start, unless that was done, and change the seed on flash. Raises OSError as `draw`.

        The next start's seed is there before anything is given out: whatever is cut, no two starts give the same, and
        if their noise was the same. A generator that has slept is reseeded (SP 800-90A, 10.1.2.4) instead, and its
        seed on flash left: that was changed at its start, and what lives through a sleep is read once.
        """
        if self._drbg:
            return
        pool = sha256(self._noise.extra())
        for _ in range(_START):
            pool.update(self._take())
        room.load("quaver_wire.hkdf")
        if self._slept:
            drbg = Drbg(b"", self._slept)
            drbg.reseed(pool.digest())
            self._drbg = drbg
            return
        try:
            with room.opened(self._path, "rb") as file:
                seed = file.read(_SEED)
        except OSError:
            seed = b""  # the first start, or one that can't be read: it is not counted on
        drbg = Drbg(pool.digest() + seed + self._own)
        store.replace(self._path, drbg.generate(_SEED))
        self._drbg = drbg

    def draw(self, count: int) -> bytes:
        """`count` random bytes, at most 65,536, with fresh noise in them.

        Raises OSError while no source of noise is left, or the seed can't be written.
        """
        self.begin()
        fresh = self._take()
        room.load("quaver_wire.hkdf")
        return self._drbg.generate(count, fresh)

    def _take(self) -> bytes:
        """Samples of every source that has not failed, and when they came; the first one that a failed one gave too."""
        fresh = b"%d" % time.ticks_cpu()
        left = 0
        for source in self._sources:
            if not source.tested[0]:
                fresh += source.take()
                failed = source.tested[0]
                left += not failed
                if failed:
                    print("random numbers: {}: {}".format(source.name, failed))
                    if self._event:
                        self._event("random_failed", source.name, text=failed)
        if not left:
            raise OSError("random numbers: no source of noise is left")
        return fresh
