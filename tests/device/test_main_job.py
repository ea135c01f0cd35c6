"""The main job: a machine's vibration goes in at the sensor's registers, an alarm comes out at the broker."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.recordings.sources import Playlist
from quaver_wire.fields import EVENTS, FAULTS

from .conftest import Client, signal

SEEDED = ("ir007", "or007_6", "ir021", "or021_6")
LIMITS = {"rms": [0.15, 0.25]}
BRIEF = {"samples": 4096}  # an eighth of a whole measurement: enough for a limit, and many of them


@pytest.mark.any_board
@pytest.mark.needs_radio
def test_faults_raise_an_alarm_and_the_healthy_machine_does_not(
    start_node: Callable[..., Board], client: Client
) -> None:
    # One capture judges, so the history is plain. Each signal is on for two captures: one with a gap is taken again.
    names = ["normal", *SEEDED, "normal"]
    source = Playlist([(signal(name), 2) for name in names[:-1]] + [(signal("normal"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(source)),),
        {
            "interval_s": 1,
            "alarm": {"count": 1, "of": 1, "hysteresis": 0.1},
            "limits": LIMITS,
            "vibration": BRIEF,
            "machine": {"learn": 100},
        },
    )

    def measured(client: Client) -> list[Any]:
        """One record a measurement; when the machine turns, its spectra come in a record of their own."""
        found = [record for record in client.of("telemetry") if "spectrum" not in record]
        return found if len(found) >= 2 * len(names) else []

    records = client.wait(measured, "records")
    levels = [level for level, _ in itertools.groupby(record["level"] for record in records)]
    assert levels == [0, 2, 0]
    assert len([record for record in records if record["level"] == 2]) >= 2 * len(SEEDED) - 1  # each fault, alone
    assert {(record["quality"], record["dropped"]) for record in records} == {(0, 0)}
    by_seq = [(e["seq"], e["event_level"]) for e in client.of("event") if e["subject"] == "rms"]
    assert [level for _, level in sorted(by_seq)] == [2, 0]


@pytest.mark.needs_radio
@pytest.mark.any_board
def test_an_alarm_needs_to_persist(start_node: Callable[..., Board], client: Client) -> None:
    source = Playlist([(signal("normal"), 2), (signal("or021_6"), 1), (signal("normal"), 2), (signal("or021_6"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(source)),),
        {"interval_s": 1, "limits": LIMITS, "vibration": BRIEF, "machine": {"learn": 100}},
    )
    client.wait(Client.alarms, "the alarm")
    records = client.wait(lambda c: any(r["level"] for r in c.of("telemetry")) and c.of("telemetry"), "records")
    assert [level for level, _ in itertools.groupby(r["level"] for r in records)] == [0, 2]
    assert len([r for r in records if r["level"] == 0]) >= 5  # the one odd block was among them
    assert len(client.alarms()) == 1


@pytest.mark.needs_radio
@pytest.mark.nightly_on("rp2040:")  # whose alarm test_flashed.py shows
def test_a_node_learns_what_is_healthy_then_alarms_and_names_the_race(
    start_node: Callable[..., Board], client: Client
) -> None:
    samples = 32768  # a whole measurement: 1.23 s of signal, 0.8 Hz between lines
    source = Playlist([(signal("normal"), 3), (signal("ir021"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(source)),),
        {
            "interval_s": 1,
            "vibration": {"samples": samples},
            "machine": {"rpm": 1797, "bearing": "6205", "learn": 3, "group": 2},
        },
    )
    fault = client.wait(lambda c: [e for e in c.of("event") if EVENTS[e["code"]] == "fault"], "the name of the fault")
    assert fault[0]["subject"] == "inner race"
    records = client.wait(lambda c: [r for r in c.of("telemetry") if "fault" in r] and c.of("telemetry"), "a record")
    healthy = [record for record in records if record.get("machine") == 1]
    assert [record["learned"] for record in healthy] == [1, 2, 3]
    assert {(record["level"], record["machine"], record["quality"]) for record in healthy} == {(0, 1, 0)}
    named = next(record for record in records if "fault" in record)
    assert (FAULTS[named["fault"]], named["level"], named["machine"]) == ("inner race", 2, 2)
    assert named["margin_db"] > 6
    assert abs(named["shaft_hz"] - 1797 / 60) < 0.5
    assert named["samples"] == samples and named["dropped"] == 0
    assert named["rate_hz"] == pytest.approx(26667, rel=0.001)
    assert 0 < named["jitter_us"] < 37.5  # a sample's time: the model's clock is even, and is read in whole samples
    assert named["lines"][5] == pytest.approx(5.4152 * named["shaft_hz"], rel=0.015)  # BPFI
    assert named["zone"] in (0, 1, 2, 3) and len(named["bands"]) == 8
