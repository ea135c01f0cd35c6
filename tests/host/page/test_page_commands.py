"""Commands through the page: sent, answered, refused, noted; and what another limit would have alarmed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import Node
from starlette.testclient import TestClient
from test_ingest import Bench
from test_rollout import Answering

from quaver.access.access import Access
from quaver.bench.mosquitto import Mosquitto
from quaver.broker.address import parse_broker_url
from quaver.fleet.keys import KeyStore
from quaver.serve.operate import Commands
from quaver.serve.services import Services
from tests.waiting import wait_until

CONFIG = {"interval_s": 60, "wifi": {"ssid": "plant", "password": "*"}}


class Obeying(Answering):
    """Nodes that do what a node does with these commands."""

    def _message(self, _client: Any, _data: Any, message: Any) -> None:
        opened = self._opener.open("command", message.payload)
        node, said = self.nodes[opened.node_id], opened.record
        self.told.append(said["name"])
        text = json.dumps(CONFIG)
        results: dict[str, dict[str, Any]] = {
            "identify": {}, "measure": {"rms_g": 0.5, "level": 0}, "config_get": {"text": text, "size": len(text)},
        }  # fmt: skip
        if said["name"] in results:
            self.says(node, "answer", id=said["id"], result=results[said["name"]])
        else:
            self.says(node, "answer", id=said["id"], error="busy")


@pytest.fixture
def obeying(mosquitto: Mosquitto, keys: KeyStore) -> Iterator[Obeying]:
    found = Obeying(mosquitto.port, keys, 1)
    yield found
    found.stop()


@pytest.fixture
def page(
    services: Services, client: Callable[..., TestClient], bench: Bench, mosquitto: Mosquitto, keys: KeyStore,
    obeying: Obeying, tmp_path: Path,
) -> Iterator[Services]:  # fmt: skip
    bench.restart()
    (node,) = obeying.nodes.values()
    bench.take(node.says(), now=1_795_608_000_000)
    services.access = None
    url = parse_broker_url(f"mqtt://127.0.0.1:{mosquitto.port}")
    services.commands = Commands(keys, url, None, services.door.clock_ms)
    yield services
    services.commands.close()


def test_a_page_without_an_operator_says_what_is_missing(
    client: Callable[..., TestClient], bench: Bench, pump: Node
) -> None:
    bench.take(pump.says())
    answer = client().get("/api/v1/nodes/pump-7/commands")
    assert answer.status_code == 409 and "--operator" in answer.json()["error"]


def test_commands_are_answered_refused_and_noted(
    page: Services, client: Callable[..., TestClient], obeying: Obeying, tmp_path: Path
) -> None:
    asked = client()
    with Access(tmp_path / "access") as access:
        page.access = access  # for its trail alone: who asks is given
        unknown = asked.get("/api/v1/nodes/n1").json()
        assert unknown["config"] is None and "config_get" in unknown["config_unknown"]
        for name in ("identify", "measure", "config_get", "relearn"):
            assert asked.post("/api/v1/nodes/n1/commands", json={"name": name}).status_code == 200
        wait_until(lambda: all(one["state"] != "waiting" for one in listed(asked)))
        found = {one["name"]: one for one in listed(asked)}
        assert [row.what for row in access.audit.rows()].count("command") == 4
        page.access = None
    assert found["identify"]["answer"] == "blinks" and found["measure"]["answer"]["rms_g"] == 0.5
    assert found["config_get"]["answer"] == CONFIG and found["config_get"]["who"] == "ada"
    assert found["relearn"]["state"] == "failed" and "does not relearn" in found["relearn"]["error"]
    assert page.commands is not None and page.commands.config("0000000000000001") == CONFIG
    known = asked.get("/api/v1/nodes/n1").json()
    assert (known["config"]["values"], known["config"]["read_by"], known["config_unknown"]) == (CONFIG, "ada", None)
    assert sorted(obeying.told) == ["config_get", "identify", "measure", "relearn"]


def listed(asked: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked.get("/api/v1/nodes/n1/commands").json()["commands"]
    return found


@pytest.mark.parametrize(
    ("scopes", "body", "status"),
    [
        (("read",), {"name": "identify"}, 403),
        (("read", "commands"), {"name": "relearn"}, 403),
        (("read", "commands"), {"name": "config_get"}, 403),
        (("read", "commands"), {"name": "reboot"}, 400),
        (("read", "commands", "configure"), {"name": "config_set"}, 400),
        (("read", "commands", "configure"), {"name": "config_set", "args": {"changes": {}}}, 400),
        (("read", "commands", "configure"), {"name": "config_set", "args": {"changes": {"__x": 1}}}, 400),
        (("read", "commands"), {"name": "identify", "args": {"changes": {"interval_s": 1}}}, 400),
    ],
)
def test_nobody_sends_what_they_may_not_or_what_is_none(
    page: Services, client: Callable[..., TestClient], obeying: Obeying, tmp_path: Path,
    scopes: tuple[str, ...], body: dict[str, Any], status: int,
) -> None:  # fmt: skip
    asked = client(scopes)
    with Access(tmp_path / "access") as access:
        page.access = access
        answer = asked.post("/api/v1/nodes/n1/commands", json=body)
        page.access = None
    assert answer.status_code == status, answer.text
    assert not obeying.told


def test_without_a_trail_nothing_is_sent(page: Services, client: Callable[..., TestClient], obeying: Obeying) -> None:
    answer = client().post("/api/v1/nodes/n1/commands", json={"name": "identify"})
    assert answer.status_code == 503 and "trail" in answer.json()["error"] and not obeying.told


def test_what_a_configuration_is_set_to_is_shown_to_nobody(
    page: Services, client: Callable[..., TestClient], obeying: Obeying, tmp_path: Path
) -> None:
    asked = client()
    with Access(tmp_path / "access") as access:
        page.access = access
        body = {"name": "config_set", "args": {"changes": {"wifi.password": "hunter2hunter2"}}}
        assert asked.post("/api/v1/nodes/n1/commands", json=body).status_code == 200
        wait_until(lambda: listed(asked)[0]["state"] == "failed")
        rows = access.audit.rows()
        page.access = None
    assert "hunter2" not in str(listed(asked)) + str(rows)
    assert any("wifi.password" in str(row) for row in rows)


def test_what_if_tells_what_another_limit_would_have_alarmed(
    client: Callable[..., TestClient], bench: Bench, pump: Node, services: Services
) -> None:
    now_ms = services.door.clock_ms()
    begin_ms = now_ms - 3_600_000
    bench.take(pump.says("status"), now=begin_ms)
    bench.take(
        *(pump.says(uptime_ms=60_000 * n, time_ms=begin_ms + 60_000 * n, rms_g=0.2 + 0.01 * n, peak_g=1.0, crest=3.0,
                    skew=0.0, velocity_mm_s=1.0, envelope_g=0.05, temperature_c=40.0, rate_hz=26667.0, samples=4096,
                    machine=2, learned=10) for n in range(30)),
        now=now_ms,
    )  # fmt: skip
    answer = client().post("/api/v1/nodes/pump-7/what-if", json={"change": {"limits.rms": [0.3, 0.4]}})
    assert answer.status_code == 200, answer.text
    assert "with the change" in answer.json()["lines"][1] and answer.json()["answer"]["measurements"] == 30
    refused = client().post("/api/v1/nodes/pump-7/what-if", json={"change": {"sensors.nothing": 1}})
    assert refused.status_code == 400 and list(refused.json()) == ["error"]
