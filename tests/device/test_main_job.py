"""The main job: a machine's vibration goes in at the sensor's registers, an alarm comes out at the broker."""

from collections.abc import Callable

import pytest

from quaver.emulator.board import Board
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.recordings.sources import Playlist

from .conftest import Client, signal

FAULTS = ("ir007_", "or007_6", "ir021_", "or021_6")
LIMITS = {"rms": [0.15, 0.25], "crest": None}


@pytest.mark.needs_radio
def test_faults_raise_an_alarm_and_the_healthy_machine_does_not(
    start_node: Callable[..., Board], client: Client
) -> None:
    # One capture judges, so the history is plain: healthy, fault, healthy, fault …, in one run of the node.
    names = ["normal", "normal"]
    for fault in FAULTS:
        names += [fault.rstrip("_"), "normal"]
    source = Playlist([(signal(name), 1) for name in names[:-1]] + [(signal("normal"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", 17, IIS3DWB(source)),),
        {"interval_s": 1, "alarm": {"count": 1, "of": 1, "hysteresis": 0.1}, "limits": LIMITS},
    )
    records = client.wait(lambda c: c.of("telemetry")[: len(names)][len(names) - 1 :] and c.of("telemetry"), "records")
    levels = [(name, record["level"]) for name, record in zip(names, records, strict=False)]
    assert levels == [(name, 0 if name == "normal" else 2) for name in names]
    assert [(record["quality"], record["dropped"]) for record in records] == [(0, 0)] * len(records)
    by_seq = [(e["seq"], e["event_level"]) for e in client.of("event") if e["subject"] == "rms"]
    assert [level for _, level in sorted(by_seq)] == [2, 0] * len(FAULTS)


@pytest.mark.needs_radio
def test_an_alarm_needs_to_persist(start_node: Callable[..., Board], client: Client) -> None:
    source = Playlist([(signal("normal"), 2), (signal("or021_6"), 1), (signal("normal"), 2), (signal("or021_6"), None)])
    start_node(
        (Attached("iis3dwb", "spi0", 17, IIS3DWB(source)),), {"interval_s": 1, "limits": LIMITS | {"kurtosis": None}}
    )
    client.wait(Client.alarms, "the alarm")
    records = client.wait(lambda c: len(c.of("telemetry")) >= 7 and c.of("telemetry"), "records")
    assert [r["level"] for r in records[:7]] == [0, 0, 0, 0, 0, 0, 2]
    assert len(client.alarms()) == 1
