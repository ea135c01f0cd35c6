"""The near side: what a store gets, as bundles, each once; its place is on the disk when a bundle has been sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quaver.bridge.state import State
from quaver.diode.bundle import RECORDS, Bundle, Record, pack
from quaver.errors import DiodeDown, DiodeError
from quaver.files.private import replace_private
from quaver.query.source import Place, Source
from quaver.store.location import Location

_LOOK_S = 0.5  # between looks at a store that had nothing new
_AGAIN_S = 5.0  # after a medium or a network took nothing

_AFTER = """
SELECT r.rowid, r.node, r.boot, r.seq, n.id, n.topic, r.class, r.tag, r.received_ms, r.body
FROM record r JOIN node n ON n.number = r.node WHERE r.rowid > ? ORDER BY r.rowid LIMIT ?
"""


class Way(Protocol):
    """What carries bundles."""

    def put(self, data: bytes) -> None: ...


class Folder:
    """Bundles as files of a medium: QUAVER-STREAM-NUMBER.bundle, each whole or not there."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DiodeError(f"{path}: is no folder; mount the medium, or name a folder that exists")
        self._path = path
        self.name = ""

    def tidy(self, stream: str) -> None:
        """Take away what a sender of this stream had begun when it was killed: it fills the medium."""
        for left in self._path.glob(f".quaver-{stream}-*.part"):
            left.unlink(missing_ok=True)

    def put(self, data: bytes) -> None:
        try:
            replace_private(self._path / self.name, data)
            (self._path / self.name).chmod(0o644)  # signed, and for others to read
        except OSError as error:
            raise DiodeDown(
                f"{self._path}: can't be written ({error.strerror}); free space on the medium; what is not there waits"
            ) from error


class Sending:
    """state: a private file with the place and the stream's name. begin_first: with the store's first record.

    wait: as in Store.
    """

    def __init__(
        self,
        store: Location,
        state: Path,
        way: Way,
        key: Ed25519PrivateKey,
        begin_first: bool,
        wait: Callable[[str], None] | None = None,
    ) -> None:
        self._way = way
        self._key = key
        self._source = Source(store, wait)
        self._state = State(state)
        self.stream = self._state.identity
        if isinstance(way, Folder):
            way.tidy(self.stream)
        known = self._state.get("diode")
        if known is None:
            known = (Place() if begin_first else self._source.end(), 0)
            self._state.put("diode", *known)
        self._place, self._number = self._source.find(known[0]), known[1]

    def again(self) -> None:
        """Begin with the store's first record once more; the bundles go on counting."""
        self._place = Place()
        self._state.put("diode", self._place, self._number)

    def send(self, told: Callable[[int], None]) -> int:
        """Send what waits; `told` hears after each bundle how many records it had. How many there were."""
        count = 0
        while rows := self._source.store.query(_AFTER, (self._place.row, RECORDS)):
            records = [Record(bytes(row[4]), row[5], row[6], row[2], row[3], bytes(row[7]), *row[8:]) for row in rows]
            data = pack(Bundle(self.stream, self._number, records), self._key)
            if isinstance(self._way, Folder):
                self._way.name = f"quaver-{self.stream}-{self._number:08d}.bundle"
            self._way.put(data)
            self._number += 1
            self._place = Place(*rows[-1][:4])
            self._state.put("diode", self._place, self._number)
            count += len(records)
            told(len(records))
        return count

    def follow(
        self, told: Callable[[int], None], say: Callable[[str], None], wait: Callable[[float], None] = time.sleep
    ) -> NoReturn:
        """Send what waits and what comes, without end. say: hears once when the way takes nothing, and when it does."""
        trouble = ""
        while True:
            try:
                self.send(told)
            except DiodeDown as error:
                if str(error) != trouble:
                    say(f"{error}; it is tried again")
                trouble = str(error)
                wait(_AGAIN_S)
                continue
            if trouble:
                say("it takes bundles again; nothing was lost")
            trouble = ""
            wait(_LOOK_S)

    def close(self) -> None:
        self._source.store.close()
        self._state.close()
