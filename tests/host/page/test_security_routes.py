"""Security events as a stream: what was refused and by whom, each once, bounded, filtered."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fleet import Node
from starlette.testclient import TestClient
from test_ingest import Bench

from quaver.alarms import security
from quaver.alarms.engine import Engine
from quaver.alarms.follow import Follower
from quaver.broker.reader import Message
from quaver.query.source import Source
from quaver.serve.services import Services
from quaver_wire.fields import EVENTS

NOON = 1_790_000_000_000
MINUTE = 60_000


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def alarms(services: Services) -> Iterator[Engine]:
    services.alarms = Engine(services.folder / "alarms.sqlite")
    services.door.clock_ms = lambda: NOON + 5 * MINUTE
    yield services.alarms
    services.alarms.close()


def test_a_stream_tells_each_growth_once(
    bench: Bench, pump: Node, alarms: Engine, client: Callable[..., TestClient]
) -> None:
    follower = Follower(alarms)
    junk = Message(pump.topic("event").encode(), b"junk", 1, False)

    def step(minutes: int) -> None:
        with Source(bench.path) as source:
            follower.step(source, NOON + minutes * MINUTE)

    bench.take(junk, junk, now=NOON)
    step(0)
    step(1)
    bench.take(junk, now=NOON + 2 * MINUTE)
    told = {"code": EVENTS.index("message_refused"), "subject": "wrong_code", "count": 4}
    bench.take(pump.says("event", time_ms=NOON + 2 * MINUTE, **told), now=NOON + 2 * MINUTE)
    step(2)
    page = client()
    (one,) = page.get("/api/v1/refusals").json()["refusals"]
    assert (one["reason"], one["count"], one["last_ms"]) == ("malformed", 3, NOON + 2 * MINUTE)
    stream = page.get("/api/v1/security").json()
    assert [(e["source"], e["what"], e["count"], e["detail"][:10]) for e in stream["events"]] == [
        ("ingest", "malformed", 1, one["detail"][:10]), ("node", "message_refused", 4, "wrong_code"),
        ("ingest", "malformed", 2, one["detail"][:10]),
    ]  # fmt: skip
    assert stream["kinds"][0] == {"source": "ingest", "what": "malformed", "count": 3}
    assert len(page.get(f"/api/v1/security?node={pump.id.hex()}").json()["events"]) == 1
    assert len(page.get("/api/v1/security?source=ingest&before=2").json()["events"]) == 1
    assert page.get("/api/v1/security?source=nowhere").status_code == 400
    assert client(()).get("/api/v1/security").status_code == 403


def test_the_stream_is_bounded_and_says_what_was_never_forwarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "KEPT", 10)
    with Engine(tmp_path / "alarms.sqlite") as engine:

        def add(begin: int, end: int) -> None:
            rows = [SimpleNamespace(number=n, time_ms=NOON + n, who="ann", what="login", about="", details="{}")
                    for n in range(begin, end)]  # fmt: skip
            engine.audited(rows, NOON)

        add(1, 6)
        assert engine.audit_taken == 5 and engine.waiting("a") == (5, 0)
        engine.forward("a", 3)
        assert [event.number for event in engine.security_after(3, 99)] == [4, 5]
        add(3, 21)  # some of them again
        assert engine.waiting("a") == (10, 7)
        assert [event.at_ms - NOON for event in engine.security_after(3, 99)] == list(range(11, 21))
