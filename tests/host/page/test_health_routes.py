"""The ledger, refusals, clocks and security events over the API, as the store and `quaver ledger` tell them."""

import json
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
from quaver.cli import main
from quaver.query.source import Source
from quaver.serve.routes import health
from quaver.serve.services import Services
from quaver_wire.fields import EVENTS

NOON = 1_790_000_000_000
MINUTE = 60_000


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def alarms(services: Services) -> Iterator[Engine]:
    health._kept.clear()
    services.alarms = Engine(services.folder / "alarms.sqlite")
    services.door.clock_ms = lambda: NOON + 5 * MINUTE
    yield services.alarms
    services.alarms.close()


def test_the_ledger_is_that_of_the_command(
    bench: Bench, pump: Node, alarms: Engine, client: Callable[..., TestClient], capsys: pytest.CaptureFixture[str]
) -> None:
    bench.take(pump.says("status", state=1), pump.says(), pump.says(at=(1, 5)), now=NOON)
    bench.take(Message(pump.topic("event").encode(), b"junk", 1, False), now=NOON)
    found = client().get("/api/v1/ledger").json()
    assert main(["ledger", "--json", "--store", str(bench.path)]) == 1
    (printed, stranger) = map(json.loads, capsys.readouterr().out.splitlines())
    (line,) = found["nodes"]
    for name in (
        "topic",
        "received",
        "duplicates",
        "dropped",
        "lost_in_ram",
        "waiting",
        "unexplained",
        "since",
        "boots",
    ):
        assert line[name] == printed[name], name
    assert [(gap["boot"], gap["first"], gap["last"]) for gap in line["gaps"]] == [(1, 2, 4)]
    assert found["unexplained"] == 3 and found["strangers"] == [stranger]


def test_refusals_are_filtered_and_a_stream_tells_each_growth_once(
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
    assert not page.get("/api/v1/refusals?reason=replay").json()["refusals"]
    assert not page.get(f"/api/v1/refusals?since_ms={NOON + 3 * MINUTE}").json()["refusals"]
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


def test_clocks_lag_and_room(bench: Bench, pump: Node, alarms: Engine, client: Callable[..., TestClient]) -> None:
    bench.take(pump.says("status", state=1), pump.says(time_ms=NOON - 90_000), now=NOON)
    page = client()
    (one,) = page.get("/api/v1/clocks").json()["nodes"]
    assert (one["dated_by"], one["behind_ms"], one["flagged"]) == ("node", 90_000, 0)
    found = page.get("/api/v1/health").json()
    assert found["lag"] == {"last_ms": NOON, "middle_ms": 90_000, "longest_ms": 90_000, "late": 1}
    assert found["waiting"] == 2 and found["versions"]["quaver"]
    assert found["store"]["bytes"] > 10_000 and found["state"]["free"] > 0
    assert (found["store"]["free"] is None) == (found["store"]["kind"] == "PostgreSQL")


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
