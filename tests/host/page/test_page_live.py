"""What is live: what a browser is told while a store grows, and what becomes of one that is too slow."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import HOUR_MS, Node
from test_bridge import SPECTRUM
from test_ingest import NOW, Bench

from quaver.alarms.engine import Engine
from quaver.bench.postgresql import QUICK, Postgresql
from quaver.errors import StoreError
from quaver.fleet.keys import KeyStore
from quaver.query.door import Door
from quaver.query.rollups import Rollups
from quaver.serve.live import Hub, Live, framed
from quaver.serve.watch import Watch
from quaver.store.location import PostgresqlUrl
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def door(bench: Bench, tmp_path: Path) -> Iterator[Door]:
    found = Door(bench.path, Rollups(tmp_path / "rollups.sqlite"), lambda: NOW)
    yield found
    found.close()


def events(pieces: bytes) -> list[tuple[str, Any]]:
    """What a browser makes of a stream."""
    found = []
    for block in pieces.decode().split("\n\n"):
        fields = dict(
            line.split(": ", 1)
            for line in re.split("\r\n|\n|\r", block)
            if line and not line.startswith((":", "retry"))
        )
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


class Browser:
    """One that reads its stream in a loop of its own."""

    def __init__(self, hub: Hub, language: str = "en") -> None:
        self.got = b""
        self.ready = threading.Event()
        self._hub, self._language = hub, language
        self._thread = threading.Thread(target=lambda: asyncio.run(self._read()))
        self._thread.start()
        assert self.ready.wait(20)

    async def _read(self) -> None:
        self._hub.open()
        async for piece in self._hub.stream(self._language):
            self.got += piece
            self.ready.set()

    def events(self) -> list[tuple[str, Any]]:
        return events(self.got)

    def end(self) -> None:
        self._hub.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_a_browser_hears_of_each_record_and_alarm_that_comes(bench: Bench, pump: Node, door: Door) -> None:
    bench.take(pump.says(rms_g=0.1))
    hub = Hub()
    alarms = iter([[{"en": {"text": "too much"}, "de": {"text": "zu viel"}}]])
    live = Live(door, hub, lambda source: next(alarms, []))
    browser = Browser(hub, "de")
    live.start()
    wait_until(lambda: ("health", 1) in [(name, data.get("records")) for name, data in browser.events()])
    code = EVENTS.index("level")
    bench.take(
        pump.says(rms_g=0.5, energy=[230.0, 1.5, 300.0, 345.0, 0.87, 50.0, 12.5]),
        pump.says(**SPECTRUM),
        pump.says("event", code=code, event_level=2, subject="\n\nevent: alarm", value=0.5),
    )
    wait_until(lambda: len([one for one in browser.events() if one[0] == "record"]) == 3)
    live.stop()
    browser.end()
    records = [data for name, data in browser.events() if name == "record"]
    assert [one["kind"] for one in records] == ["telemetry", "spectrum", "event"]
    assert records[0]["values"]["rms_g"] == 0.5 and records[0]["values"]["energy.power_w"] == 300.0
    assert "spectrum" not in records[1]["values"], "512 bytes that no list shows"
    assert records[2]["values"]["text"].startswith("ALARM") and records[2]["node"] == pump.id.hex()
    assert [data["text"] for name, data in browser.events() if name == "alarm"] == ["zu viel"]
    assert door.rollups is not None and door.rollups.row() == 4


def test_many_records_at_once_make_a_browser_load_anew(
    bench: Bench, pump: Node, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.serve.live._PIECE", 10)
    hub = Hub()
    live = Live(door, hub)
    browser = Browser(hub)
    live.start()
    wait_until(lambda: any(name == "health" for name, _ in browser.events()))
    bench.take(*(pump.says() for _ in range(100)))
    wait_until(lambda: any(name == "behind" for name, _ in browser.events()))
    assert door.rollups is not None
    wait_until(lambda: door.rollups is not None and door.rollups.row() == 100)
    live.stop()
    browser.end()


def test_a_slow_browser_loses_its_queue_and_is_told_once() -> None:
    async def scene() -> bytes:
        hub = Hub()
        hub.open()
        stream = hub.stream("en")
        await anext(stream)
        for number in range(200):
            hub.tell("record", {"number": number})
        await asyncio.sleep(0)  # the loop hands them on
        got = await anext(stream)
        hub.tell("record", {"number": 200})
        got += await anext(stream)
        await stream.aclose()
        assert hub.browsers == 0
        return got

    assert [(name, data.get("number")) for name, data in events(asyncio.run(scene()))] == [
        ("behind", None), ("record", 200),
    ]  # fmt: skip


def test_streams_end_at_once_whoever_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.serve.live.HOLDS_S", 3600.0)
    hub = Hub()
    browser = Browser(hub)
    browser.end()  # from this thread, while its own loop waits for the next event
    assert hub.browsers == 0
    hub.close()  # the loop is over


def test_a_stream_ends_when_who_asked_for_it_may_not_see_it_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.serve.live.HOLDS_S", 0.01)
    answers = iter([True, True, False])

    async def scene() -> list[bytes]:
        hub = Hub()
        hub.open()
        return [piece async for piece in hub.stream("en", lambda: next(answers))]

    assert asyncio.run(scene()) == [b"retry: 2000\n: welcome\n\n"]
    assert next(answers, None) is None


def test_nothing_of_a_record_begins_another_event() -> None:
    hostile = "a\n\nevent: alarm\r\ndata: {}\u2028\u0085\n"
    (event,) = events(framed("record", {"text": hostile}))
    assert event == ("record", {"text": hostile})


def test_a_store_that_is_away_is_told_once_and_read_again(
    bench: Bench, pump: Node, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.serve.live._RETRY_S", 0.01)
    bench.take(pump.says())
    away = threading.Event()
    lines: list[str] = []

    def step(source: Any) -> list[Any]:
        if not away.is_set():
            raise StoreError("the database is away")
        return []

    live = Live(door, Hub(), step, lines.append)
    live.start()
    wait_until(lambda: bool(lines))
    away.set()
    wait_until(lambda: len(lines) == 2)
    live.stop()
    assert "the database is away" in lines[0] and "read again" in lines[1]


def test_a_database_that_is_cut_takes_nothing_from_the_page_and_makes_nobody_silent(
    keys: KeyStore, pump: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaver.store.postgresql.BUSY_S", 0.1)
    monkeypatch.setattr("quaver.serve.live._RETRY_S", 0.1)
    lines: list[str] = []
    hub = Hub()
    with Postgresql(QUICK) as server, Engine(tmp_path / "alarms.sqlite") as engine:
        bench = Bench(PostgresqlUrl(server.create()), keys)
        now = NOW
        door = Door(bench.path, Rollups(tmp_path / "rollups.sqlite"), lambda: now)
        watch = Watch(engine, None, lambda: now)
        live = Live(door, hub, watch.step, lines.append, watch.blind)
        browser = Browser(hub)
        bench.take(pump.says("status"))
        live.start()
        wait_until(lambda: any(name == "health" for name, _ in browser.events()))
        server.stop("immediate")
        wait_until(lambda: len(lines) == 2, what="that both miss it")
        with pytest.raises(StoreError, match="does not answer"):
            door.nodes()
        now += HOUR_MS  # of which ingest has stored nothing
        server.start()
        wait_until(lambda: len(lines) == 4, what="that both read it again")
        bench.take(pump.says(rms_g=0.5), now=now)
        wait_until(lambda: any(name == "record" for name, _ in browser.events()))
        (row,) = door.nodes()
        live.stop()
        browser.end()
        assert row.last_ms == now and engine.listed() == []
        bench.store.close()
        door.close()
    assert sorted(line.partition(":")[0] for line in lines[:2]) == ["alarms", "records"]
    assert all("the database does not answer" in line for line in lines[:2])
    assert all(line.endswith("the store can be read again") for line in lines[2:])
