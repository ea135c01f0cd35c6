"""Whom nodes believe: grants to a gateway on a board and on a host, a change of the device key, a stolen gateway."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quaver.cli import main
from quaver.fleet.grants import GrantStore
from quaver.gateway.links import KeyFile
from quaver_wire.fields import EVENTS
from tests.waiting import wait_until

from .plant import Plant
from .test_gateway_commands import AHEAD, Technician, time_server  # noqa: F401
from .test_time import Server

DUTY = {"interval_ms": 100, "window_s": 2, "rest_s": 4, "visit_s": 30}


def refused(plant: Plant, name: str) -> set[str]:
    """What it has told that it refused, and why."""
    return {e["subject"] for e in plant.records(name, "event") if EVENTS[e["code"]] == "message_refused"}


def test_gateways_are_granted_get_a_new_key_and_are_revoked_when_they_are_stolen(
    make_plant: Callable[..., Plant],
    time_server: Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("QUAVER_INVENTORY", str(tmp_path / "inventory.sqlite"))
    plant = make_plant(seed=17)
    plant.start("n1", "gw", "gw2")
    ask = Technician(plant, capfd)
    common = (f"--broker={ask.url}", f"--keys={plant.keys.folder}", "--timeout=120")

    def quaver(*arguments: str) -> str:
        capfd.readouterr()
        ended = main(["gateway", *arguments])
        out, err = capfd.readouterr()
        assert ended == 0, err
        return out

    gateway = plant.gateway("unix:", "n1", time_port=time_server.port, interval_s=5, files={"link.keys": b""})
    node = plant.node("unix:", "n1", ble=DUTY, interval_s=60, vibration=None)
    wait_until(lambda: "no_link_key" in refused(plant, "gw"), gateway, "the gateway to miss its key")
    assert plant.records("n1", "telemetry") == [] and b" gave " not in gateway.console()
    assert "gw: has the link keys of 1 node" in quaver("grant", "gw", "n1", "--board", AHEAD, *common)
    wait_until(lambda: plant.records("n1", "telemetry"), gateway, "the records of the node")

    # A second gateway, and a new device key for which both get another link key before the node has it.
    file = tmp_path / "gw2.keys"
    quaver("grant", "gw2", "n1", f"--file={file}", *common)
    assert file.stat().st_mode & 0o777 == 0o600
    plant.host_gateway("n1", file=tmp_path / "gateway.sqlite", name="gw2", links=KeyFile(file))
    ask("rotate", AHEAD)
    assert json.loads(node.exec("print(open('device.key').read())")).keys() == {"generation", "key"}  # no key before
    node.reset()
    assert ask("identify", AHEAD) == "n1: blinks\n"

    # The first one is stolen: its keys are still on its flash.
    assert "refused by all" in quaver("revoke", "gw", AHEAD, *common)
    assert GrantStore(plant.keys).get("gw").untold() == {}
    assert json.loads(node.exec("print(open('gateways.revoked').read())")) == {"gw": 2}
    node.reset()
    wait_until(lambda: "node refuses the link key" in gateway.console().decode(), gateway, "the refusal")
    gave = gateway.console().count(b" gave ")
    before = len(plant.records("n1", "telemetry"))
    wait_until(lambda: len(plant.records("n1", "telemetry")) > before, gateway, "records by the other gateway")
    wait_until(lambda: "revoked_gateway" in refused(plant, "n1"), gateway, "the node to tell of it")
    assert gateway.console().count(b" gave ") == gave
    said = quaver("grants", f"--keys={plant.keys.folder}").splitlines()
    assert said == ["gw (a board): no node", f"gw2 ({file}): n1"]
    assert plant.accounts()["n1"].unexplained == 0

    # Back again, under its old name.
    quaver("grant", "gw", "n1", "--board", AHEAD, *common)
    wait_until(lambda: gateway.console().count(b" gave ") > gave, gateway, "the node to believe it again")
