"""Rollouts over the API, against nodes that answer at a real broker: what is told of one, pause and resume."""
# ruff: noqa: F811  a fixture that is imported has the name of its argument

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_alarm_routes import Trail
from test_rollout import Answering, Rig, nodes, rig  # noqa: F401  fixtures

from quaver.broker.address import parse_broker_url
from quaver.rollout.desk import Desk, Way
from quaver.rollout.state import Rollouts
from quaver.serve.services import Services
from tests.waiting import wait_until


@pytest.fixture
def desk(tmp_path: Path, rig: Rig, services: Services) -> Desk:
    services.access = Trail()
    services.rollouts = Desk(
        tmp_path / "rollouts.sqlite", Way(rig.keys, parse_broker_url(f"mqtt://127.0.0.1:{rig.port}"))
    )
    return services.rollouts


def test_a_paused_rollout_is_shown_and_resumed_to_its_end(
    rig: Rig,
    nodes: Answering,
    desk: Desk,
    services: Services,
    client: Callable[..., TestClient],
) -> None:
    page = client()
    assert page.get("/api/v1/rollouts").json() == {"resumable": True, "rollouts": []}
    assert page.post("/api/v1/rollouts/1/pause", json={}).json()["error"].startswith("there is no rollout")
    nodes.rejecting = {node.name for node in nodes.nodes.values()}
    rig.start(code=22)
    (one,) = page.get("/api/v1/rollouts").json()["rollouts"]
    assert (one["state"], one["release"], one["to"], one["last"]) == ("paused", 7, ["plant"], True)
    assert one["why"].startswith("the canary failed") and one["gate"]["failed"] == one["gate"]["borne"] == 1
    assert [(wave["name"], wave["nodes"]) for wave in one["waves"]] == [("canary", 1), ("33 %", 1), ("100 %", 4)]
    assert page.post("/api/v1/rollouts/1/pause", json={}).json() == {
        "error": "rollout 1 is paused: there is nothing to pause"
    }
    assert page.post("/api/v1/rollouts/2/resume", json={}).status_code == 400
    assert client(("read", "commands")).post("/api/v1/rollouts/1/resume", json={}).status_code == 403
    nodes.rejecting = {nodes.told[0]}
    told: list[str] = []
    desk.changed = lambda: told.append("changed")
    page.post("/api/v1/rollouts/1/resume", json={}).raise_for_status()
    wait_until(lambda: not desk.runs)
    assert "paused" in rig("status")  # the canary failed again: that is why it ended
    page.post("/api/v1/rollouts/1/resume", json={}).raise_for_status()
    wait_until(lambda: not desk.runs)
    (one,) = page.get("/api/v1/rollouts").json()["rollouts"]
    assert one["state"] == "ended" and told and not desk.trouble
    assert sorted(node["state"] for node in one["nodes"]) == ["penalty box", *5 * ["updated"]]
    assert [row[:3] for row in services.access.rows] == 2 * [("ada", "rollout resumed", "rollout 1")]


def test_one_that_runs_here_is_paused_from_the_page(
    rig: Rig,
    nodes: Answering,
    desk: Desk,
    client: Callable[..., TestClient],
) -> None:
    nodes.rejecting = {node.name for node in nodes.nodes.values()}
    rig.start("--step=2", code=22)
    nodes.silent = True
    page = client()
    page.post("/api/v1/rollouts/1/resume", json={}).raise_for_status()
    wait_until(lambda: len(nodes.told) > 1)
    assert "is being run by this page" in page.post("/api/v1/rollouts/1/resume", json={}).json()["error"]
    assert "another program runs a rollout" in rig("resume", code=21)
    assert page.post("/api/v1/rollouts/1/pause", json={}).json()["rollouts"][0]["state"] == "paused"
    wait_until(lambda: not desk.runs)
    assert "by ada on the page" in rig("status")


def test_what_nobody_runs_says_so_and_without_keys_nothing_is_resumed(
    rig: Rig,
    nodes: Answering,
    desk: Desk,
    services: Services,
    client: Callable[..., TestClient],
) -> None:
    nodes.rejecting = {node.name for node in nodes.nodes.values()}
    rig.start(code=22)
    with Rollouts(desk.path) as base:
        base.set_state(1, "running", "")
    page = client()
    assert page.get("/api/v1/rollouts").json()["rollouts"][0]["why"] == "no program runs it"
    way, desk.way = desk.way, None
    answer = page.post("/api/v1/rollouts/1/resume", json={})
    assert answer.status_code == 400 and "run quaver rollout resume" in answer.json()["error"]
    assert not page.get("/api/v1/rollouts").json()["resumable"]
    assert way is not None
    desk.way = Way(way.keys, parse_broker_url("mqtt://127.0.0.1:1"))
    page.post("/api/v1/rollouts/1/resume", json={}).raise_for_status()
    wait_until(lambda: not desk.runs)
    assert "refused" in page.get("/api/v1/rollouts").json()["rollouts"][0]["why"]
    services.rollouts = None
    assert page.post("/api/v1/rollouts/1/resume", json={}).status_code == 409
