"""The plant behind `quaver serve --demo`: emulated nodes with the real firmware, as a program beside the page.

Its first hour and a half run as fast as they can, so that there is something to see and a history soon; then its time
is the wall clock's. Until then the page's clock is the plant's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.errors import PageError, PlantError, StoreError
from quaver.plant.spec import load_plant
from quaver.query.source import Source
from quaver.serve import child

HISTORY = timedelta(minutes=90)
FIRST_S = 60.0  # in which the first record has come, on a slow machine too
_COMMIT_S = 5.0  # of the plant's time
_LATE_MS = 35_000  # by which the newest record of a plant that keeps up is late at most
PLANT = Path(__file__).with_name("demo.toml")
RECORDS = "records.sqlite"


class Demo:
    """A plant that runs in `folder`; a context manager. Entering waits for its first records; raises PageError."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / RECORDS
        self._folder = folder
        self._looked = (0.0, 0)

    def __enter__(self) -> Self:
        program = [sys.executable, "-m", "quaver.serve.demo", str(self._folder)]
        self._program = child.start(program)
        try:
            deadline = time.monotonic() + FIRST_S
            while not self._newest_ms():
                if self._program.poll() is not None or time.monotonic() > deadline:
                    raise PageError("the plant of the demo did not start; its own words stand above, if it had any")
                time.sleep(0.1)
        except BaseException:
            child.end(self._program)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        child.end(self._program)

    def _newest_ms(self) -> int:
        try:
            with Source(self.store) as source:
                found = source.store.query("SELECT received_ms FROM record ORDER BY rowid DESC LIMIT 1")
        except StoreError:
            return 0  # it is being made
        return int(found[0][0]) if found else 0

    def clock_ms(self) -> int:
        """The plant's date: behind the wall clock until it has caught up."""
        at, newest = self._looked
        if time.monotonic() - at > 1:
            newest = self._newest_ms() or newest
            self._looked = time.monotonic(), newest
        return min(time.time_ns() // 1_000_000, newest + _LATE_MS)


def run(folder: Path, told: Callable[[float], None] = lambda behind_s: None) -> None:
    """The plant itself, for as long as it lasts or until this program is ended. Raises PlantError."""
    from quaver.plant.world import World

    start = datetime.now(UTC) - HISTORY
    plant = load_plant(PLANT).model_copy(update={"start": start.replace(microsecond=0)})

    def keep(time_s: float) -> None:
        ahead = time_s - (datetime.now(UTC) - plant.start).total_seconds()
        told(-ahead)
        if ahead > 0:
            time.sleep(ahead)

    with World(plant, folder, commit_s=_COMMIT_S) as world:
        world.run(lambda progress: keep(progress.time_s))


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        run(Path(sys.argv[1]))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except PlantError as error:
        sys.exit(f"quaver: {error}")
