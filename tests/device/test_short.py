"""A start that finds no memory ends in a restart with less, and in an event: never at the prompt."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.build.libraries import device_libraries
from quaver.plant.node import healthy_machine, standard_rig
from quaver.pytest_plugin import Target
from quaver_wire.fields import EVENTS

from .conftest import Client
from .plant import BRANCH, HOSTS

PROGRAM = Path(__file__).with_name("programs") / "short.py"
pytestmark = pytest.mark.needs_radio


@pytest.fixture
def air() -> Iterator[Any]:
    from quaver.emulator.radio import Air

    with Air() as air:
        yield air


# Of what restarts and is told, a chip shows its own part with either.
@pytest.mark.nightly_on("rp2040:")
@pytest.mark.parametrize(
    ("role", "starts"), [pytest.param("node", 1, marks=pytest.mark.any_board), ("gateway", 1), ("node", 2)]
)
def test_a_link_without_memory_is_told_after_a_restart(
    request: pytest.FixtureRequest,
    board_target: Target,
    start_board: Callable[..., Board],
    mosquitto: Any,
    client: Client,
    role: str,
    starts: int,
) -> None:
    config = {
        **BRANCH,
        "role": role,
        "node": "n1",
        "interval_s": 2,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": HOSTS[board_target.where], "port": 1883},
        "energy": None,
        "vibration": {"samples": 4096},
    }
    files = dict(firmware_files(board_target.board, config))
    files["main.py"] = PROGRAM.read_bytes() + files["main.py"]
    files["short"] = b"-" * starts
    if role == "gateway":
        files |= device_libraries(load_board(board_target.board))
    air = request.getfixturevalue("air") if role == "gateway" else None
    board = start_board(files=files, rig=standard_rig(healthy_machine()), broker_port=mosquitto.port, air=air)

    def told(event: str) -> list[str]:
        """Texts of such events of the start that found memory."""
        return [e["text"] for e in client.of("event") if EVENTS[e["code"]] == event and e["boot"] == 1 + starts]

    client.wait(lambda c: told("low_memory") == ["a start found no memory for all that is configured"], "the event")
    if role == "gateway":
        client.wait(lambda c: c.of("telemetry"), "a record")
        return
    less = ("vibration", "temperature")[:starts]
    lines = [f"{sensor}: not measured until the next start, for memory is short with it" for sensor in less]
    client.wait(lambda c: told("config_invalid") == lines, "what is left out")
    if "temperature" not in less:
        client.wait(lambda c: c.of("telemetry"), "a record")
        assert "rms_g" not in client.of("telemetry")[0] and "temperature_c" in client.of("telemetry")[0]
    board.reset()  # the next one has all again
    client.wait(lambda c: [r for r in c.of("telemetry") if {"rms_g", "temperature_c"} <= r.keys()], "vibration")
