"""How quick the page is: a year of a node, a plant of a thousand, two hundred browsers on one core, an alarm's way.

The page is `quaver serve` itself, held on one core of this machine; what asks it runs on the others. Times are of the
wall clock, from the first byte sent to the last one read, so a machine that does other things too makes them longer.
With a Chromium, what a person waits for is measured on its screen too (page_browser).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from quaver.access.access import Access
from quaver.access.roles import ROLES, Who
from quaver.alarms.engine import Engine
from quaver.alarms.follow import Follower
from quaver.bench import Figure, page_browser
from quaver.bench.ingest import _topic, _values
from quaver.bench.mosquitto import Mosquitto
from quaver.broker.client import mqtt_client
from quaver.errors import PageError
from quaver.fleet.keys import KeyStore
from quaver.messages.sealing import Sealer
from quaver.query.rollups import Rollups, follow
from quaver.query.source import Source
from quaver.store.rows import Node, Row
from quaver.store.store import Store
from quaver.system.processor import processor_s
from quaver_wire import cbor
from quaver_wire.fields import EVENTS, VERSION

YEAR = 365 * 1440  # measurements, one a minute
_PLANT = 1000  # nodes
_MINUTE_MS = 60_000
_LIVE_S = 15
_LOOKS = 7
_ALARMS = 5
_IDLE_S = 0.1  # of a core in a second: a page that only looks at its store
_START_S = 60
_BATCH = 20_000
_RECEIVED = re.compile(rb'"received_ms":(\d+)')


def run_page(
    browsers: int, rate: int, step: Callable[[str], None], year: int = YEAR, chromium: bool = True
) -> list[Figure]:
    """The figures, with so many live browsers and so many records a second for them. year: measurements of the node.

    chromium: measure on its screen too.

    Raises PageError, and BrokerError where there is no Mosquitto.
    """
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as name:
        folder = Path(name)
        return [
            *_year(folder / "year", year, step, chromium),
            *_plant(folder / "plant", step, chromium),
            *_live(folder / "live", browsers, rate, step),
            *_alarm(folder / "alarm", step, chromium),
        ]


@dataclass(frozen=True)
class _Page:
    """A page that runs. port: of 127.0.0.1. token, session: of somebody who may read."""

    port: int
    token: str
    session: str
    process: int

    @property
    def viewer(self) -> page_browser.Viewer:
        return page_browser.Viewer(f"http://127.0.0.1:{self.port}", self.session)

    def ask(self, path: str) -> tuple[float, bytes]:
        """(ms, the answer as it came, packed)."""
        headers = {"authorization": f"Bearer {self.token}", "accept-encoding": "gzip"}
        request = Request(f"http://127.0.0.1:{self.port}/api/v1{path}", headers=headers)
        began = time.perf_counter()
        with urlopen(request, timeout=120) as answer:  # noqa: S310  and this
            body = answer.read()
        return 1000 * (time.perf_counter() - began), body

    def settle(self) -> None:
        """Return when it has done what it does once at its start, such as the ledger of the whole store."""
        before = -1.0
        while (spent := self.processor_s()) - before > _IDLE_S:
            before = spent
            time.sleep(1)

    def processor_s(self) -> float:
        """What it has had of its core."""
        return processor_s(self.process)


@contextmanager
def _page(store: Path, folder: Path, *more: str, broker: str = "") -> Iterator[_Page]:
    with Access(folder) as access:
        password = secrets.token_urlsafe(16)
        access.users.add("bench", "admin", password, by="bench")
        session = access.login("bench", password, "127.0.0.1")
        token, _ = access.tokens.make(Who("bench", "admin", frozenset(ROLES["admin"])), "bench", ["read"], 1)
    words = [sys.executable, "-m", "quaver.cli", "serve", "--port", "0", "--store", str(store), "--state", str(folder)]
    core = min(os.sched_getaffinity(0))
    process = subprocess.Popen(
        [*words, *more],
        stderr=subprocess.PIPE,
        env={**os.environ, "QUAVER_BROKER": broker},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        assert process.stderr is not None
        said = b""
        while not (found := re.search(rb"at http://127\.0\.0\.1:(\d+)", said)):
            line = process.stderr.readline()
            if not line:
                raise PageError(f"the page did not start: {said.decode(errors='replace').strip()}")
            said += line
        yield _Page(int(found[1]), token, session, process.pid)
    finally:
        process.terminate()
        process.communicate()


def _body(number: int, seq: int) -> str:
    fields = _values(number, seq)
    for name in ("uptime_ms", "time_ms"):
        del fields[name]
    return orjson.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in fields.items()}).decode()


def _row(number: int, seq: int, message_class: str, body: str, begin_ms: int, at_ms: int) -> Row:
    """received: when it was measured; by a clock that was set at the boot."""
    return Row(number, 1, seq, message_class, seq, bytes(8), at_ms, at_ms - begin_ms, at_ms, None, body)


_STATUS = orjson.dumps({"state": 1, "firmware": "0.1.0", "board": "unix", "interval_s": 60}).decode()


def _filled(path: Path, nodes: int, records: int) -> int:
    """A store of nodes that have measured once a minute until now; since when, ms."""
    now_ms = time.time_ns() // 1_000_000
    begin_ms = now_ms - records * _MINUTE_MS
    bodies = [_body(1, seq) for seq in range(min(records, 5000))]
    with Store(path) as store:
        with store.transaction():
            store.put_nodes(
                Node(number, number.to_bytes(8, "big"), _topic(number).rpartition("/")[0], received=records)
                for number in range(1, nodes + 1)
            )
            sql = "INSERT INTO clock_set VALUES (?, 1, 0, ?)"
            for number in range(1, nodes + 1):
                store.query(sql, (number, begin_ms))
                store.query("INSERT INTO clock VALUES (?, 1, ?, NULL)", (number, begin_ms))
        for first in range(0, records, max(1, _BATCH // nodes)):
            last = min(records, first + max(1, _BATCH // nodes))
            with store.transaction():
                store.add([
                    _row(number, seq, "telemetry", bodies[(seq * 7 + number) % len(bodies)], begin_ms,
                         begin_ms + seq * _MINUTE_MS)
                    for seq in range(first, last) for number in range(1, nodes + 1)
                ])  # fmt: skip
        with store.transaction():
            store.add([
                _row(number, 1 << 23, "status", _STATUS, begin_ms, now_ms) for number in range(1, nodes + 1)
            ])  # fmt: skip
    return begin_ms


def _year(folder: Path, records: int, step: Callable[[str], None], chromium: bool) -> list[Figure]:
    step("a store of a year")
    state = folder / "state"
    state.mkdir(parents=True, mode=0o700)
    store = folder / "store.sqlite"
    begin_ms = _filled(store, 1, records)
    step("its roll-ups")
    began = time.process_time()
    with Source(store) as source, contextlib.closing(Rollups(state / "rollups.sqlite")) as rollups:
        taken = sum(len(batch) for batch in follow(source, rollups, records + 1))
        spent = time.process_time() - began
        step("its alarms")
        with Engine(state / "alarms.sqlite") as engine:  # or it would take them while it is measured
            Follower(engine).step(source, time.time_ns() // 1_000_000)
        alarms = time.process_time() - began - spent
    with _page(store, state) as page:
        step("a year, drawn")
        path = f"/nodes/{1:016x}/series?quantity=rms_g&points=1000&since_ms="
        page.settle()
        asked = [page.ask(f"{path}{begin_ms}") for _ in range(_LOOKS)]
        day_ms = begin_ms + max(0, records - 1440) * _MINUTE_MS
        day = [page.ask(f"{path}{day_ms}") for _ in range(_LOOKS)]
        if chromium:
            step("the same in Chromium")
        seen = page_browser.year(page.viewer, f"{1:016x}", _LOOKS) if chromium else []
    answer = orjson.loads(gzip.decompress(asked[-1][1]))
    size = sum(path.stat().st_size for path in state.glob("rollups.sqlite*"))
    return [
        Figure("roll-ups, of a core", round(1e6 * spent / taken, 1), "us a record"),
        Figure("alarms, of a core", round(1e6 * alarms / taken, 1), "us a record"),
        Figure("the file of roll-ups", round(size / taken, 1), "bytes a record"),
        Figure("a year of a node, the answer", round(statistics.median(ms for ms, _ in asked)), "ms", 300),
        Figure("  the slowest", round(max(ms for ms, _ in asked)), "ms"),
        Figure("  points", len(answer["times_ms"]), ""),
        Figure("  packed", round(len(asked[-1][1]) / 1000, 1), "kB"),
        Figure("a day of it, every record", round(statistics.median(ms for ms, _ in day)), "ms"),
        *seen,
    ]


def _plant(folder: Path, step: Callable[[str], None], chromium: bool) -> list[Figure]:
    step("a plant of a thousand nodes")
    state = folder / "state"
    state.mkdir(parents=True, mode=0o700)
    _filled(folder / "store.sqlite", _PLANT, 60)
    with _page(folder / "store.sqlite", state) as page:
        first, body = page.ask("/plant")
        rest = [page.ask("/plant")[0] for _ in range(_LOOKS)]
        if chromium:
            step("the same in Chromium")
        seen = page_browser.first_paint(page.viewer, _PLANT, _LOOKS) if chromium else []
    return [
        Figure(f"/plant with {_PLANT:,} nodes, at first", round(first), "ms"),
        Figure("  from then on", round(statistics.median(rest)), "ms"),
        Figure("  packed", round(len(body) / 1000, 1), "kB"),
        *seen,
    ]


def _live(folder: Path, browsers: int, rate: int, step: Callable[[str], None]) -> list[Figure]:
    step(f"{browsers} browsers, {rate} records a second")
    state = folder / "state"
    state.mkdir(parents=True, mode=0o700)
    path = folder / "store.sqlite"
    begin_ms = _filled(path, 100, 10)
    with _page(path, state) as page:
        began = page.processor_s()
        lags, heard, seconds = asyncio.run(_watch(page, path, begin_ms, browsers, rate))
        spent = page.processor_s() - began
    lags.sort()
    return [
        Figure(f"{browsers} browsers, {rate} records/s: from store to browser", round(statistics.median(lags)), "ms"),
        Figure("  of a hundred the slowest", round(lags[len(lags) * 99 // 100]), "ms", 1000),
        Figure("  the page's part of a core", round(100 * spent / seconds), "%", 100),
        Figure("  browsers that heard of every record", heard, "", browsers, at_least=True),
    ]


async def _watch(page: _Page, path: Path, begin_ms: int, browsers: int, rate: int) -> tuple[list[float], int, float]:
    """Lags of the records that browsers heard of, in ms; how many heard of all; for how long."""
    lags: list[float] = []
    counts = [0] * browsers
    ready = [asyncio.Event() for _ in range(browsers)]

    async def look(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port, limit=1 << 20)
        writer.write(
            b"GET /api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n\r\n" % page.token.encode()
        )
        with contextlib.closing(writer):
            while data := await reader.read(1 << 18):
                now = time.time() * 1000
                ready[number].set()
                for moment in _RECEIVED.findall(data):
                    counts[number] += 1
                    lags.append(now - int(moment))

    looking = [asyncio.create_task(look(number)) for number in range(browsers)]
    await asyncio.gather(*(one.wait() for one in ready))
    await asyncio.sleep(1)
    lags.clear()
    counts[:] = [0] * browsers
    began, seq, sent = time.monotonic(), 100, 0
    with Store(path) as store:
        while (passed := time.monotonic() - began) < _LIVE_S:
            due = int(passed * rate) - sent
            if due:
                now_ms = time.time_ns() // 1_000_000
                with store.transaction():
                    store.add([
                        _row(1 + (sent + place) % 100, seq + (sent + place) // 100, "telemetry", _body(1, place),
                             begin_ms, now_ms) for place in range(due)
                    ])  # fmt: skip
                sent += due
            await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    seconds = time.monotonic() - began
    for one in looking:
        one.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    return lags or [float("inf")], sum(count == sent for count in counts), seconds


def _alarm(folder: Path, step: Callable[[str], None], chromium: bool) -> list[Figure]:
    """From a message's way into the broker to the browser: ingest, store, alarms, stream."""
    step("an alarm's way")
    state = folder / "state"
    state.mkdir(parents=True, mode=0o700)
    keys = KeyStore(folder / "keys")
    sealers = [
        Sealer(keys.create(n.to_bytes(8, "big"), f"node-{n}").keys[1], n.to_bytes(8, "big"), 1, "uplink")
        for n in range(1, 2 * _ALARMS + 2)
    ]
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder))
        page = stack.enter_context(
            _page(folder / "store.sqlite", state, "--broker", "--keys", str(folder / "keys"), broker=str(broker.url))
        )
        ways = asyncio.run(_ways(page, broker, sealers[: _ALARMS + 1]))
        if chromium:
            step("the same in Chromium")
        seen = _seen(page, broker, sealers) if chromium else []
    return [
        Figure("an alarm, from broker to browser", round(statistics.median(ways)), "ms"),
        Figure("  the slowest", round(max(ways)), "ms", 1000),
        *seen,
    ]


def _seen(page: _Page, broker: Mosquitto, sealers: list[Sealer]) -> list[Figure]:
    client = mqtt_client(broker.url, None)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    def publish(look: int) -> str:
        number = _ALARMS + 2 + look  # those that nobody has heard of yet
        client.publish(_alarm_topic(number), _alarming(sealers[number - 1], 0), qos=1)
        return f"node-{number}"

    try:
        return page_browser.alarm(page.viewer, publish, _ALARMS)
    finally:
        client.disconnect()
        client.loop_stop()


def _alarm_topic(number: int) -> str:
    """Each node is on a machine of its own: the page shows the alarms of one machine in one row."""
    return f"plant/hall/line-2/pump-{number}/node-{number}/event"


async def _ways(page: _Page, broker: Mosquitto, sealers: list[Sealer]) -> list[float]:
    client = mqtt_client(broker.url, None)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    reader, writer = await asyncio.open_connection("127.0.0.1", page.port, limit=1 << 20)
    writer.write(
        b"GET /api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n\r\n" % page.token.encode()
    )
    ways: list[float] = []
    try:
        for number, sealer in enumerate(sealers, 1):
            began, heard = time.perf_counter(), b""
            for again in range(_START_S):
                client.publish(_alarm_topic(number), _alarming(sealer, again), qos=1)
                # The first is said again and again, until the ingest has begun to listen.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1 if number == 1 else _START_S):
                        while b"event: alarm" not in heard:
                            heard += await reader.read(1 << 18)
                if b"event: alarm" in heard:
                    break
            ways.append(1000 * (time.perf_counter() - began))
    finally:
        writer.close()
        client.disconnect()
        client.loop_stop()
    return ways[1:]


def _alarming(sealer: Sealer, seq: int) -> bytes:
    buffer = bytearray(400)
    fields: dict[str, Any] = {"version": VERSION, "uptime_ms": 1000, "time_ms": time.time_ns() // 1_000_000}
    fields |= {"code": EVENTS.index("level"), "event_level": 2, "subject": "rms", "value": 0.5, "limit": 0.4}
    return sealer.seal("event", 1, seq, bytes(buffer[: cbor.encode(buffer, fields, "event")]))
