"""Meters as they are sold, at a board that runs: line settings, a transceiver to turn, adapters that echo, refusals."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.sdm120 import SDM120
from quaver.messages.record import Record, decode
from quaver_wire.fields import EVENTS
from tests.programs import program

from .conftest import Client

pytestmark = pytest.mark.each_chip

DE = 10
READ = program(__file__, "read")


def meter(**settings: Any) -> tuple[Attached, ...]:
    return (Attached("sdm120", "uart1", settings.pop("select", 0), SDM120(current=4.0, **settings)),)


def test_a_transceiver_is_turned_for_as_long_as_the_request_takes(
    start_board: Callable[..., Board], board_files: Mapping[str, bytes]
) -> None:
    """At 9,600 baud with even parity, which the meter must have too."""
    board = start_board(files=board_files, rig=meter(select=DE, baudrate=9600, parity="even", noise=b"\x00"))
    board.exec(READ + f"de = port.output({DE}, 0)")

    def ask(*arguments: str) -> object:
        return ast.literal_eval(board.exec(f"print(read({', '.join(arguments)}))", timeout=60.0).strip())

    assert ask("9600", "'even'", "de") == [230_000, 4_000]
    assert ask("9600", "'even'", "None") == (200,)  # nobody lets it send
    # What lets go of the line as soon as the bytes are in the buffer tears the request.
    assert ask("9600", "'even'", "lambda level: de(0) if level else None") == (200,)
    # What holds on to it hears nothing.
    assert ask("9600", "'even'", "lambda level: de(1)") == (200,)
    board.exec("de(0)")
    assert ask("2400", "'even'", "de") == (200,)
    assert ask("9600", "'none'", "de") == (200,)
    assert ask("9600", "'odd'", "de") == (200,)
    assert ask("9600", "'even'", "de") == [230_000, 4_000]


def records(client: Client, message_class: str) -> list[Record]:
    """What a person is shown of the messages of that class."""
    from quaver_wire.cbor import encode

    def whole(topic: str, values: Mapping[str, Any]) -> Record:
        data = bytearray(600)
        return decode(topic, bytes(data[: encode(data, dict(values), message_class)]))

    return [whole(topic, values) for topic, values in list(client.messages) if topic.endswith(message_class)]


@pytest.mark.needs_radio
@pytest.mark.any_board
def test_a_node_reads_a_meter_whatever_adapter_it_is_behind(start_node: Callable[..., Board], client: Client) -> None:
    energy = {"driver": "sdm120", "bus": "uart1", "address": 1, "baudrate": 1200, "parity": "odd"}
    rig = meter(baudrate=1200, parity="odd", echo=True, noise=b"\xff\x00", power_factor=-0.8)
    board = start_node(rig, {"interval_s": 1, "vibration": None, "energy": energy})

    def reading(wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        def found(_: Client) -> list[dict[str, Any]]:
            shown = [record.values.get("energy", {}) for record in records(client, "telemetry")[-1:]]
            return [values for values in shown if wanted(values)]

        values: dict[str, Any] = client.wait(found, what)[0]
        return values

    first = reading(bool, "a reading")
    assert first["power_w"] == pytest.approx(-0.8 * 230 * 4, abs=0.1)  # it flows back
    assert first["apparent_va"] == pytest.approx(230 * 4, abs=0.1)
    assert first["power_factor"] == -0.8
    assert not client.of("event")[1:]  # after that of the boot

    board.set_sensor("sdm120", refused={0x0156: 2}, noise=b"")
    partial = reading(lambda values: "voltage_v" in values and "energy_kwh" not in values, "a reading without energy")
    assert partial.keys() == first.keys() - {"energy_kwh"}

    board.set_sensor("sdm120", fault="absent")
    reading(lambda values: not values, "no reading")
    assert client.of("telemetry")[-1]["quality"] == 16
    board.set_sensor("sdm120", fault=None, refused={})
    reading(lambda values: values.keys() == first.keys(), "a whole reading")

    told = [(record.values["code"], record.values.get("text")) for record in records(client, "event")[1:]]
    assert told == [
        ("value_absent", "refuses register 0x0156 (2, no such register)"),
        ("sensor_failed", "an echo of the adapter, and no answer"),
        ("sensor_recovered", None),
    ]
    console = board.console().decode()
    for line in ("refuses register 0x0156 (2, no such register)", "an echo of the adapter, and no answer"):
        assert console.count(f"node: energy: {line}") == 1
    assert EVENTS[client.of("event")[-1]["code"]] == "sensor_recovered"
