"""A node with a device key: what it sends is sealed, and an independent ingest opens, stores and accounts for it."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quaver.board.interface import Board
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.fleet.keys import KeyStore, parse_node_id
from quaver.pytest_plugin import Target
from quaver.recordings.sources import Playlist
from quaver.store.ledger import ledger
from quaver.store.spectra import last_spectrum
from quaver.store.store import Store
from quaver_wire.spectrum import amplitude_g
from tests.waiting import wait_until

from .conftest import signal

pytestmark = pytest.mark.any_board

KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.mark.needs_radio
def test_a_sealed_alarm_is_opened_and_stored_and_nothing_is_missing(
    start_board: Callable[..., Board], board_target: Target, mosquitto: Any, tmp_path: Path
) -> None:
    config = {
        **dict(zip(("site", "area", "line", "asset", "node"), ("plant", "hall", "line1", "motor1", "n1"), strict=True)),
        "interval_s": 1,
        "wifi": {"ssid": "quaver", "password": "emulated"},
        "broker": {"host": "127.0.0.1" if board_target.where == "unix:" else "10.0.0.1", "port": 1883},
        "temperature": None,
        "energy": None,
        "vibration": {"samples": 4096},
        "limits": {"rms": [0.15, 0.25]},
    }
    files = firmware_files(board_target.board, config)
    files["device.key"] = json.dumps({"generation": 1, "key": KEY}).encode()
    main = files.pop("main.py")
    source = Playlist([(signal("normal"), 2), (signal("or007_6"), None)])
    rig = (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(source)),)
    board = start_board(files=files, rig=rig, broker_port=mosquitto.port)
    chip = board.exec("import machine, binascii; print(binascii.hexlify(machine.unique_id()).decode())")
    node = parse_node_id(chip.strip())  # an ESP32's has six bytes
    keys = KeyStore(tmp_path / "keys")
    keys.create(node, "n1", bytes.fromhex(KEY))
    store = tmp_path / "plant.sqlite"
    command = [sys.executable, "-m", "quaver.cli", "ingest", "--broker", f"mqtt://127.0.0.1:{mosquitto.port}"]
    command += ["--store", str(store), "--keys", str(keys.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as ingest:
        try:
            assert ingest.stderr is not None
            assert b"storing the messages from" in ingest.stderr.readline()
            board.put("main.py", main)
            board.reset()
            wait_until(lambda: alarms(store) and any("spectrum" in record for record in telemetry(store)), board)
        finally:
            ingest.terminate()
    assert KEY.encode() not in board.console()
    event = alarms(store)[-1]  # whose waveform took the place of an earlier one's
    assert event["subject"] == "rms" and event["value"] > 0.25
    assert event["waveform"] == 1
    board.reset(run=False)  # a node's heap has no 7 kB in one piece on an ESP32-C3
    kept = board.get("alarm.wave")
    samples = np.frombuffer(kept[44:], "<i2")
    assert len(samples) == 4096
    assert samples.std() * struct.unpack_from("<f", kept, 16)[0] == pytest.approx(event["value"], rel=1e-3)
    with Store(store, write=False) as opened:
        (account,), strangers = ledger(opened)
        spectrum = last_spectrum(opened, account.id)
    records = telemetry(store)
    assert not strangers and not account.unexplained and not account.refused
    assert account.received >= 4
    spec = load_board(board_target.board)
    assert min(record["heap_free"] for record in records if "heap_free" in record) >= spec.heap_budget
    # it is that of the measurement before it, whose peaks are the highest lines of the first samples
    assert spectrum is not None and spectrum.spectrum_hz == pytest.approx(26667 / 2, rel=0.03)
    (measured,) = [record for record, after in pairwise(records) if after.get("spectrum") == spectrum.spectrum.hex()]
    highest = amplitude_g(max(spectrum.spectrum))
    assert 0.8 * measured["peaks"][1] < highest < 1.1 * measured["peaks"][1]
    assert spectrum.level == measured["level"] and any(spectrum.envelope)


def telemetry(store: Path) -> list[dict[str, Any]]:
    """What ingest has stored of the class, in the order of its coming."""
    with Store(store, write=False) as opened:
        rows = opened.query("SELECT body FROM record WHERE class = 'telemetry' ORDER BY arrival")
    return [json.loads(text) for (text,) in rows]


def alarms(store: Path) -> list[dict[str, Any]]:
    """The alarm events that ingest has stored so far."""
    with Store(store, write=False) as opened:
        found = [
            json.loads(text)
            for (text,) in opened.query("SELECT body FROM record WHERE class = 'event' ORDER BY arrival")
        ]
    return [event for event in found if event.get("code") in (1, "level") and event.get("event_level") in (2, "alarm")]
