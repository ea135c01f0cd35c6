"""Alarms over the API: from sealed records of a store to a person's acts, each in the audit trail."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import Node
from starlette.testclient import TestClient
from test_ingest import Bench
from test_page_live import Browser, events

from quaver.access.access import Access
from quaver.access.passwords import Cost
from quaver.alarms.engine import Engine
from quaver.alarms.follow import Follower
from quaver.query.source import Source
from quaver.serve.live import Hub, Live
from quaver.serve.services import Services
from quaver.serve.watch import Watch
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

NOON = 1_790_000_000_000
MINUTE, DAY = 60_000, 86_400_000
OK, WARNING, ALARM = range(3)


class Trail:
    """In place of the page's users: what is written of them. down: the trail can't be written."""

    def __init__(self) -> None:
        self.audit = self
        self.rows: list[tuple[str, str, str, dict[str, Any]]] = []

    def write(self, who: str, what: str, about: str = "", details: dict[str, Any] | None = None) -> int:
        self.rows.append((who, what, about, details or {}))
        return len(self.rows)

    def close(self) -> None:
        pass


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def alarms(services: Services) -> Iterator[Engine]:
    services.alarms = Engine(services.folder / "alarms.sqlite")
    services.access = Trail()
    services.door.clock_ms = lambda: NOON + 5 * MINUTE
    yield services.alarms
    services.alarms.close()


@pytest.fixture
def follow(bench: Bench, alarms: Engine) -> Callable[[int], list[str]]:
    follower = Follower(alarms)

    def step(now_ms: int = NOON) -> list[str]:
        with Source(bench.path) as source:
            return [f"{alarm.subject}: {alarm.state}" for alarm in follower.step(source, now_ms)]

    return step


def change(node: Node, level: int, subject: str = "velocity", at: int = NOON) -> Any:
    values = {
        "subject": subject,
        "value": 8.1,
        "limit": 7.1,
        "event_level": level,
        "time_ms": at,
        "uptime_ms": 9000 + at - NOON,
    }
    return node.says("event", code=EVENTS.index("level"), **values)


def test_an_alarm_of_a_store_is_listed_and_dealt_with(
    bench: Bench, pump: Node, services: Services, client: Callable[..., TestClient], follow: Callable[..., list[str]]
) -> None:
    bench.take(pump.says("status", state=1), change(pump, ALARM), now=NOON)
    assert follow() == ["level velocity: unack-active"] and follow() == []
    page = client()
    answer = page.get("/api/v1/alarms").json()
    (one,) = answer["alarms"]
    assert (one["state"], one["name"], one["path"]) == ("unack-active", "pump-7", ["plant", "hall", "line-2", "pump"])
    assert one["text"].endswith(": 8.1 mm/s (limit 7.1 mm/s)") and one["records"] == [[1, 1]] and one["act"]
    assert answer["counts"] == {"unack-active": 1} and {"code": "bearing", "title": "bearing"} in answer["causes"]
    said = {"text": "looking", "work_order": "WO-7", "cause": "bearing"}
    known = page.post(f"/api/v1/alarms/{one['id']}/acknowledge", json=said).json()
    assert known["acknowledged"] == {"who": "ada", "when": NOON + 5 * MINUTE} and known["state"] == "ack-active"
    assert known["comments"][0]["text"] == "looking" and known["cause"] == "bearing"
    again = page.post(f"/api/v1/alarms/{one['id']}/acknowledge", json={})
    assert (again.status_code, again.json()["error"]) == (
        409, "alarm 1: acknowledge is not possible: the alarm is ack-active")  # fmt: skip
    assert services.access.rows == [
        ("ada", "alarm acknowledged", "alarm 1", {"node": pump.id.hex(), "subject": "level velocity", **said})
    ]
    bench.take(change(pump, OK, at=NOON + MINUTE), now=NOON + MINUTE)
    assert follow(NOON + MINUTE) == ["level velocity: normal"]
    assert page.get("/api/v1/alarms").json()["alarms"] == []
    whole = page.get("/api/v1/alarms/1").json()
    assert [(t["act"], t["who"]) for t in whole["history"]] == [("clear", ""), ("acknowledge", "ada"), ("raise", "")]
    assert whole["means"] and whole["check"]


def test_a_group_is_acknowledged_in_one_act_and_each_of_it_is_in_the_trail(
    bench: Bench, pump: Node, services: Services, client: Callable[..., TestClient], follow: Callable[..., list[str]]
) -> None:
    bench.take(change(pump, ALARM), change(pump, WARNING, "rms"), now=NOON)
    follow()
    page = client()
    answer = page.get("/api/v1/alarms").json()
    (group,) = answer["groups"]
    assert (group["name"], group["path"], group["trouble"]) == ("pump", ["plant", "hall", "line-2"], "machine")
    assert sorted(group["alarms"]) == [1, 2] and group["text"] == answer["alarms"][0]["text"]
    assert answer["lists_from_ms"] == NOON - DAY
    done = page.post("/api/v1/alarms/acknowledge", json={"alarms": group["alarms"], "text": "on its way"})
    assert {one["state"] for one in done.json()["alarms"]} == {"ack-active"}
    assert [one["comments"][0]["text"] for one in done.json()["alarms"]] == ["on its way"] * 2
    rows = services.access.rows
    assert sorted((who, what, about) for who, what, about, _ in rows) == [
        ("ada", "alarm acknowledged", "alarm 1"), ("ada", "alarm acknowledged", "alarm 2")]  # fmt: skip
    assert {(details["text"], details["together_with"]) for *_, details in rows} == {("on its way", 1)}
    assert page.post("/api/v1/alarms/acknowledge", json={"alarms": [1, 2]}).status_code == 409
    assert page.post("/api/v1/alarms/acknowledge", json={"alarms": []}).status_code == 400
    assert client(("read",)).post("/api/v1/alarms/acknowledge", json={"alarms": [1]}).status_code == 403


def test_shelves_and_service_over_the_api(
    bench: Bench, pump: Node, client: Callable[..., TestClient], follow: Callable[..., list[str]]
) -> None:
    bench.take(change(pump, ALARM), now=NOON)
    follow()
    page, now = client(), NOON + 5 * MINUTE

    def post(act: str, **body: Any) -> tuple[int, dict[str, Any]]:
        answer = page.post(f"/api/v1/alarms/1/{act}", json=body)
        return answer.status_code, answer.json()

    assert post("shelve", until_ms=now + DAY, reason="")[0] == 400
    assert post("shelve", until_ms=now - 1, reason="repair") == (400, {
        "error": "a shelf ends, at most 7 days from now: give such a time"})  # fmt: skip
    code, one = post("shelve", until_ms=now + DAY, reason="repair")
    assert (code, one["state"], one["shelved_until_ms"], one["held_by"]) == (200, "shelved", now + DAY, "ada")
    assert page.get("/api/v1/alarms?state=standing").json()["alarms"] == []
    assert post("unshelve")[1]["state"] == "unack-active"
    code, one = post("out-of-service", review_ms=now + 30 * DAY, reason="rebuilt")
    assert (one["state"], one["review_ms"], one["held_why"]) == ("out-of-service", now + 30 * DAY, "rebuilt")
    assert post("in-service")[1]["state"] == "unack-active"
    assert post("comment", cause="sabotage")[0] == 400
    assert page.post("/api/v1/alarms/99/acknowledge", json={}).status_code == 404
    assert page.post("/api/v1/alarms/x/acknowledge", json={}).status_code == 404
    assert page.post("/api/v1/alarms/1/comment", json={"text": "a", "who": "eve"}).status_code == 400


def test_who_may_not_or_where_nothing_is_written_down_nothing_is_done(
    bench: Bench, pump: Node, services: Services, client: Callable[..., TestClient], follow: Callable[..., list[str]]
) -> None:
    bench.take(change(pump, ALARM), now=NOON)
    follow()
    acts = ("acknowledge", "comment", "shelve", "unshelve", "out-of-service", "in-service")
    for scopes, code in ((None, 401), (("read", "commands", "configure", "admin"), 403)):
        page = client(scopes)
        assert {page.post(f"/api/v1/alarms/1/{act}", json={}).status_code for act in acts} == {code}
    services.access = None
    assert client().post("/api/v1/alarms/1/acknowledge", json={}).status_code == 503
    assert services.alarms.get(1).state == "unack-active"


def test_figures_over_the_api(
    bench: Bench, pump: Node, client: Callable[..., TestClient], follow: Callable[..., list[str]]
) -> None:
    bench.take(change(pump, ALARM), change(pump, OK, at=NOON + MINUTE), now=NOON + MINUTE)
    follow(NOON + MINUTE)
    page = client()
    page.post("/api/v1/alarms/1/acknowledge", json={"cause": "bearing"})
    (bar,) = page.get("/api/v1/alarms/pareto").json()["bars"]
    assert (bar["key"], bar["title"], bar["count"], bar["duration_ms"]) == ("bearing", "bearing", 1, MINUTE)
    (bar,) = page.get("/api/v1/alarms/pareto?by=node").json()["bars"]
    assert (bar["key"], bar["title"], bar["alarms"]) == (pump.id.hex(), "pump-7", [1])
    found = page.get("/api/v1/alarms/figures").json()
    assert found["rates"]["count"] == 1 and found["rates"]["verdict"] == "acceptable"
    assert found["acceptable"]["day"] == [150, 300]
    assert page.get("/api/v1/alarms/pareto?since_ms=5&until_ms=4").status_code == 400
    (bar,) = page.get("/api/v1/alarms/pareto?language=de").json()["bars"]
    assert bar["title"] == "Lager"
    text = page.get("/api/v1/alarms/1?language=de").json()["text"]
    assert text == "Die Schwinggeschwindigkeit ist gestiegen: 8,1 mm/s (Grenzwert 7,1 mm/s)"


def test_a_silent_node_and_a_gap_come_from_the_store_alone(
    bench: Bench, pump: Node, client: Callable[..., TestClient], follow: Callable[..., list[str]]
) -> None:
    pump.seq = 5
    bench.take(pump.says("status", state=1), pump.says(time_ms=NOON), now=NOON)
    bench.take(pump.says(at=(1, 9), time_ms=NOON), now=NOON)
    assert follow(NOON + MINUTE) == ["gap: unack-active"]
    assert follow(NOON + 3 * MINUTE) == ["gone: unack-active"]
    texts = {one["subject"]: one["text"] for one in client().get("/api/v1/alarms").json()["alarms"]}
    assert "boot 1: seq 7 to 8" in texts["gap"]


def test_browsers_are_told_of_what_changes_in_their_language(
    bench: Bench, pump: Node, services: Services, alarms: Engine, client: Callable[..., TestClient], tmp_path: Path
) -> None:
    with Access(tmp_path / "access", Cost(1, 8, 1)) as access:
        access.audit.write("ada", "login")
        services.hub = Hub()
        watch = Watch(alarms, access, services.door.clock_ms)
        services.live = Live(services.door, services.hub, watch.step)
        page = client()
        browser = Browser(services.hub, "de")
        bench.take(change(pump, ALARM), now=NOON)
        wait_until(lambda: b"event: alarm" in browser.got)
        page.post("/api/v1/alarms/1/acknowledge", json={}).raise_for_status()
        wait_until(lambda: browser.got.count(b"event: alarm") == 2)
        told = [data for name, data in events(browser.got) if name == "alarm"]
        assert [(one["state"], one["text"][:3]) for one in told] == [("unack-active", "Die"), ("ack-active", "Die")]
        wait_until(alarms.kinds)
        assert [(e.source, e.what, e.who) for e in alarms.security()] == [("page", "login", "ada")]
        services.live.stop()
        assert services.hub._loop is not None
        services.hub._loop.call_soon_threadsafe(services.hub.close)  # of its own loop alone
        browser.end()
