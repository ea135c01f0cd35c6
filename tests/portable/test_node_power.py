"""A deep sleep's memory is small: what has no room there is on flash, and a wake has all of it, in order, once."""

from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node import power
from node.outbox import Outbox
from node.power import Power

PAYLOAD = bytes(150)


class Sleep:
    """Of hal.sleep, with so much memory that lives."""

    deep = True

    def __init__(self, room: int) -> None:
        self._room = room
        self.kept = b""

    def retained(self) -> bytes:
        kept, self.kept = self.kept, b""
        return kept

    def room(self) -> int:
        return self._room

    def clock_ms(self) -> int:
        return 0


@pytest.fixture(autouse=True)
def _ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = SimpleNamespace(ticks_ms=count().__next__, ticks_diff=int.__sub__, ticks_add=int.__add__)
    monkeypatch.setattr(power, "time", ticks)


def wake(sleep: Sleep, path: Path) -> tuple[Power, Outbox]:
    """A start of a node without sensors, after power-on or the sleep before."""
    found = Power(sleep, 8, (25.0, 0.005))
    outbox = Outbox(1, str(path))
    uptime = SimpleNamespace(ms=lambda: 0, _ms=0, _offset=None, _news=None)
    recorder = SimpleNamespace(_boot=1, _seq=9, _aside=0)
    if found.awoken:
        found.resume(outbox, uptime, recorder)
    measuring: Any = SimpleNamespace(part=lambda name: None, _sensors=(), _spectrum_age=0, _machine=0, _ordinary=0)
    measuring.hold = lambda ms: None
    judge = SimpleNamespace(_thresholds={})
    found.attach(outbox, uptime, recorder, measuring, judge, SimpleNamespace(progress=None), None)
    return found, outbox


def written(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize(("room", "on_flash"), [(2048, False), (1024, True)])
def test_what_has_no_room_in_memory_goes_to_flash_and_nothing_is_lost(
    tmp_path: Path, room: int, on_flash: bool
) -> None:
    sleep = Sleep(room)
    node, outbox = wake(sleep, tmp_path / "journal")
    for seq in range(8):
        outbox.put("event" if seq == 5 else "telemetry", seq, PAYLOAD)
    before = written(tmp_path)
    sleep.kept = bytes(node._keep())
    assert 0 < len(sleep.kept) <= room
    assert (written(tmp_path) > before) == on_flash
    node, outbox = wake(sleep, tmp_path / "journal")
    assert node.awoken and len(outbox) == 8
    found = []
    while entry := outbox.first():
        assert entry.payload == PAYLOAD
        found.append(entry.seq)
        outbox.done(entry)
    assert found == [5, 0, 1, 2, 3, 4, 6, 7]
