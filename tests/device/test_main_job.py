"""The main job: a machine's vibration goes in at the sensor's registers, an alarm comes out at the broker."""

import itertools
from collections.abc import Callable

import pytest

from quaver.emulator.board import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.recordings.sources import Playlist

from .conftest import Client, signal

FAULTS = ("ir007", "or007_6", "ir021", "or021_6")
LIMITS = {"rms": [0.15, 0.25], "crest": None}


@pytest.mark.needs_radio
def test_faults_raise_an_alarm_and_the_healthy_machine_does_not(
    start_node: Callable[..., Board], client: Client
) -> None:
    # One capture judges, so the history is plain: healthy, fault, healthy, fault …, in one run of the node. Each
    # is on for two captures: a block with a gap in it is taken again.
    names = ["normal"]
    for fault in FAULTS:
        names += [fault, "normal"]
    source = Playlist([(signal(name), 2) for name in names[:-1]] + [(signal("normal"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", 17, IIS3DWB(source)),),
        {"interval_s": 1, "alarm": {"count": 1, "of": 1, "hysteresis": 0.1}, "limits": LIMITS},
    )
    records = client.wait(lambda c: len(c.of("telemetry")) >= 2 * len(names) and c.of("telemetry"), "records")
    levels = [level for level, _ in itertools.groupby(record["level"] for record in records)]
    assert levels == [0 if name == "normal" else 2 for name in names]
    assert {(record["quality"], record["dropped"]) for record in records} == {(0, 0)}
    by_seq = [(e["seq"], e["event_level"]) for e in client.of("event") if e["subject"] == "rms"]
    assert [level for _, level in sorted(by_seq)] == [2, 0] * len(FAULTS)


@pytest.mark.needs_radio
def test_an_alarm_needs_to_persist(start_node: Callable[..., Board], client: Client) -> None:
    source = Playlist([(signal("normal"), 2), (signal("or021_6"), 1), (signal("normal"), 2), (signal("or021_6"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", 17, IIS3DWB(source)),), {"interval_s": 1, "limits": LIMITS | {"kurtosis": None}}
    )
    client.wait(Client.alarms, "the alarm")
    records = client.wait(lambda c: any(r["level"] for r in c.of("telemetry")) and c.of("telemetry"), "records")
    assert [level for level, _ in itertools.groupby(r["level"] for r in records)] == [0, 2]
    assert len([r for r in records if r["level"] == 0]) >= 5  # the one odd block was among them
    assert len(client.alarms()) == 1
