"""Bringing nodes into service over the API: labels, the list as a plan that the command carries out, its runs."""
# ruff: noqa: F811  a fixture that is imported has the name of its argument

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fleet import Node as Sender
from starlette.testclient import TestClient
from test_alarm_routes import Trail
from test_ingest import Bench
from test_provision import Plant, broker, home, node  # noqa: F401  fixtures

from quaver.broker.embedded import EmbeddedBroker
from quaver.cli import main
from quaver.fleet.inventory import Entry, Inventory
from quaver.provision.identity import Codes, label_text, new_code, shown
from quaver.provision.plan import read_plan
from quaver.provision.runs import Runs, runs_path
from quaver.serve.bringing import Bringing
from quaver.serve.services import Services
from tests.session_rig import CODE, ID, Node
from tests.waiting import wait_until

API = "/api/v1/bringing"
LABEL = {"text": label_text(ID, CODE)}


@pytest.fixture
def engine() -> str:
    return "sqlite"


@pytest.fixture
def page(services: Services, client: Callable[..., TestClient], home: Path) -> TestClient:
    services.access = Trail()
    services.bringing = Bringing(home / "page", home / "inventory.sqlite")
    return client()


def put(page: TestClient, **settings: str) -> Any:
    return page.post(f"{API}/nodes", json=LABEL | settings)


def line(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def test_a_label_says_which_node_it_is_and_nothing_is_kept(
    page: TestClient, bench: Bench, pump: Sender, home: Path
) -> None:
    bench.take(pump.says("status", board="pico_w", firmware="1.4.0"))
    with Inventory(home / "inventory.sqlite") as inventory:
        inventory.put(Entry(pump.id, "pump-7", state="in service"))
    found = page.post(f"{API}/label", json={"text": label_text(pump.id, CODE)}).json()
    known = found["node"]
    assert found["code"] is True and known["node"] == pump.id.hex() and known["heard_ms"] > 0
    assert (known["inventory"], known["board"], known["firmware"]) == ("in service", "pico_w", "1.4.0")
    # as it is typed, in groups, without and with its code
    typed = {"node": " ".join(ID.hex()[at : at + 4] for at in range(0, 16, 4))}
    assert page.post(f"{API}/label", json=typed).json()["code"] is False
    blank = page.post(f"{API}/label", json=typed | {"text": shown(CODE).lower()}).json()
    assert blank["code"] is True and blank["node"]["node"] == ID.hex() and blank["node"]["inventory"] == ""
    assert not (home / "page").exists() or not list((home / "page").iterdir())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": "https://example.org/"}, "not a label of a Quaver node"),
        ({"text": f"QUAVER1:{ID.hex().upper()}:{CODE[:3]}{CODE[4]}{CODE[3]}{CODE[5:]}"}, "a symbol is mistyped"),
        ({"node": "e66", "text": CODE}, "expected 16 hexadecimal digits"),
        ({"node": CODE, "text": CODE}, "expected 16 hexadecimal digits"),
        ({"node": ID.hex(), "text": CODE[:-1]}, "not a code"),
        ({}, "expected 16 hexadecimal digits"),
    ],
)
def test_what_is_no_label_is_refused_without_its_code(page: TestClient, body: dict[str, str], said: str) -> None:
    answer = page.post(f"{API}/label", json=body)
    assert said in line(answer) and CODE[:-1] not in answer.text.upper()


def test_a_label_with_another_code_than_the_nodes_is_refused(services: Services, page: TestClient, home: Path) -> None:
    codes = Codes(home / "keys")
    codes.put(ID, new_code())
    services.bringing = Bringing(home / "page", home / "inventory.sqlite", codes)
    assert "another node's, or a false one" in line(page.post(f"{API}/label", json=LABEL), 409)
    codes.put(ID, CODE)
    assert page.post(f"{API}/label", json={"node": ID.hex()}).json()["code"] is True, "known here"


def test_the_list_is_a_plan_with_codes_in_private_files_alone(page: TestClient, services: Services, home: Path) -> None:
    settings = {
        "name": "=cmd|calc",
        "asset": "'pump'",
        "site": '"north"',
        "mounting": "rigid",
        "group": "2",
        "rpm": "1480",
    }
    view = put(page, **settings)
    assert view.status_code == 200 and CODE not in view.text
    (row,) = view.json()["nodes"]
    assert row["planned"]["settings"] == settings and row["planned"]["code"] is True and row["run"] is None
    plan, state = home / "page" / "plan.csv", home / "page" / "bringing.json"
    assert view.json()["plan"] == str(plan)
    assert [path.stat().st_mode & 0o777 for path in (plan, state)] == [0o600, 0o600]
    profiles = {"hall": {"ssid": "plant", "password": "correct horse"}}
    with Inventory(home / "inventory.sqlite") as inventory:
        ((_, answers),), mistakes = read_plan(plan, profiles, Codes(home / "none"), inventory, "mqtt://x")
    assert not mistakes
    assert {key: str(answers[key]) for key in ("name", "asset", "site", "mounting", "group")} == {
        key: settings[key] for key in ("name", "asset", "site", "mounting", "group")
    }
    assert (answers["code"], answers["rpm"], answers["id"]) == (CODE, 1480.0, ID.hex())
    download = page.get(f"{API}/plan.csv")
    assert download.headers["content-type"].startswith("text/csv") and CODE not in download.text
    assert "'=cmd|calc" in download.text, "a spreadsheet runs nothing"
    # changed without its label: the code stays
    changed = page.post(f"{API}/nodes", json={"node": ID.hex(), "name": "n-1", "asset": "pump-1"}).json()
    assert changed["nodes"][0]["planned"] | {"since_ms": 0} == {
        "settings": {"name": "n-1", "asset": "pump-1"}, "code": True, "who": "ada", "since_ms": 0,
    }  # fmt: skip
    assert CODE in plan.read_text()
    assert page.delete(f"{API}/nodes/{ID.hex()}").json()["count"] == 0
    assert line(page.delete(f"{API}/nodes/{ID.hex()}"), 404) == "this node is not on the list"
    assert CODE not in plan.read_text() + state.read_text()
    assert [row[:3] for row in services.access.rows] == [  # type: ignore[union-attr]
        ("ada", "node planned", ID.hex()), ("ada", "node planned", ID.hex()), ("ada", "node unplanned", ID.hex()),
    ]  # fmt: skip
    assert CODE not in str(services.access.rows)  # type: ignore[union-attr]


def test_what_the_command_would_not_take_is_not_put_on_the_list(page: TestClient, home: Path) -> None:
    for settings, said in (
        ({"name": "a/b", "asset": "p"}, "name: expected 1 to 24 characters without / + #"),
        ({"name": "n", "asset": " "}, "asset: is missing"),
        ({"name": "n", "asset": "p", "rpm": "1.480"}, "rpm: "),
        ({"name": "n", "asset": "p", "bearing": "none such"}, "bearing: "),
        ({"name": "n", "asset": "p", "group": "7"}, "group: "),
        ({"name": "n", "asset": "p\u202eq"}, "asset: expected at most"),
        ({"name": CODE, "asset": "p"}, "name: this is a label's code"),
    ):
        assert said in (answer := line(put(page, **settings))) and CODE not in answer, settings
    other = bytes(7) + b"\1"
    with Inventory(home / "inventory.sqlite") as inventory:
        inventory.put(Entry(other, "n", asset="p", state="in service"))
    assert f"belongs to node {other.hex()}" in line(put(page, name="n", asset="p"), 409)
    assert put(page, name="n-2", asset="p").status_code == 200
    twin = {"node": other.hex(), "name": "n-2", "asset": "p"}
    assert f"is on the list for node {ID.hex()}" in line(page.post(f"{API}/nodes", json=twin), 409)
    assert page.get(API).json()["count"] == 1


def test_who_may_not_command_nodes_may_not_bring_them_in(page: TestClient, client: Callable[..., TestClient]) -> None:
    viewer = client(("read", "alarms"))
    asked = (viewer.get(API), viewer.post(f"{API}/label", json=LABEL), viewer.get(f"{API}/plan.csv"))
    assert all("needs the scope commands" in line(answer, 403) for answer in asked)
    assert "needs the scope commands" in line(viewer.delete(f"{API}/nodes/{ID.hex()}"), 403)
    # and the camera is for this page alone, not for what it might show
    assert "camera=(self)," in viewer.get("/").headers["permissions-policy"]


def test_the_command_carries_the_list_out_and_what_failed_is_resumed(
    page: TestClient, node: Node, broker: EmbeddedBroker, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing answers at first; then the node is there. What is done leaves the list, so that no run enrols it anew."""
    (home / "keys").mkdir(mode=0o700, exist_ok=True)
    profile = home / "keys" / "wifi.toml"
    put(page, name="n-1", asset="pump-7")
    command = ["provision", "--from", page.get(API).json()["plan"], "--broker", str(broker.url), "--json", "--port"]
    assert main([*command, "socket://127.0.0.1:9"]) == 15
    (row,) = page.get(API).json()["nodes"]
    assert (row["run"]["state"], row["run"]["step"], row["run"]["why"]) == ("failed", "plan", "wifi: is missing")
    profile.write_text('[hall]\nssid = "plant"\npassword = "correct horse"\ntime_server = "10.0.0.1"\n')
    profile.chmod(0o600)
    assert main([*command, "socket://127.0.0.1:9"]) == 15
    (row,) = page.get(API).json()["nodes"]
    assert (row["run"]["state"], row["run"]["step"], row["run"]["number"]) == ("failed", "find", 1)
    assert row["run"]["why"] == f"node {ID.hex()} was not found; connect and power it"
    assert row["run"]["place"] == "site/area/line/pump-7/n-1" and row["planned"]
    assert main([*command, Plant(broker).add(node), "--limit", "60"]) == 0, capfd.readouterr().out
    view = page.get(API).json()
    (row,) = view["nodes"]
    assert (row["run"]["state"], row["run"]["why"], row["inventory"]) == ("done", "", "in service")
    assert view["count"] == 0 and row["planned"] is None
    assert Path(view["plan"]).read_text().splitlines() == [
        "id,name,asset,site,area,line,group,mounting,bearing,rpm,wifi,code"
    ]
    told = runs_path(home / "inventory.sqlite")
    assert told.stat().st_mode & 0o777 == 0o600
    assert not [secret for secret in (CODE, "correct horse") if secret.encode() in told.read_bytes()]
    assert page.delete(f"{API}/nodes/{ID.hex()}").json()["nodes"] == []


def test_a_run_whose_program_is_gone_is_broken_off_and_changes_are_told(home: Path) -> None:
    told: list[bool] = []
    bringing = Bringing(home / "page", home / "inventory.sqlite", changed=lambda: told.append(True))
    bringing.start()
    try:
        with Runs(runs_path(home / "inventory.sqlite")) as runs:
            runs.tell(ID, "join", "working", place="a/b/c/d/e", fresh=True)
            assert [run.state for run in runs.all()] == ["working"]
            runs._base.execute("UPDATE run SET program = '1 1'")  # another program's number, long ago
            assert [(run.state, run.step) for run in runs.all()] == [("interrupted", "join")]
            wait_until(lambda: runs.tell(ID, "join", "working") or bool(told))
    finally:
        bringing.stop()


def test_a_list_that_can_not_be_read_is_not_written_over(page: TestClient, home: Path) -> None:
    put(page, name="n-1", asset="pump-7")
    path = home / "page" / "bringing.json"
    path.write_text("{")
    assert "remove it to begin a new list" in line(page.get(API), 503)
    assert "remove it to begin a new list" in line(put(page, name="n-2", asset="pump-7"), 503)
    assert path.read_text() == "{"
    path.write_text(json.dumps([]))
    path.chmod(0o644)
    assert "other users can read it" in line(page.get(API))
