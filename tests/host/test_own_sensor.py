"""A driver of one's own: begun by `quaver new sensor`, tried in the emulator, taken by a node, and no danger to it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from quaver.build import firmware_files, own_drivers, read_config, read_littlefs
from quaver.build.flashable import build
from quaver.cli import main
from quaver.desk.scan import scan
from quaver.desk.sync import ask, put_files
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.ads131m02 import ADS131M02
from quaver.emulator.sensors.tmp117 import TMP117
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.errors import BuildError
from tests.waiting import wait_for_words

CONFIG = {"node": "n1", "vibration": None, "energy": None, "temperature": {"driver": "silo_top", "address": 65}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert main(["new", "sensor", "silo_top", "--folder", str(tmp_path)]) == 0
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def driver(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / "drivers" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path.parent


def test_the_test_that_it_writes_passes(folder: Path) -> None:
    told = subprocess.run([sys.executable, "-m", "pytest", "-q", folder], cwd=folder, capture_output=True, text=True)
    assert "3 passed" in told.stdout, told.stdout + told.stderr


def test_what_is_there_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "sensor", "silo_top", "--folder", str(folder)]) == 8
    assert "is there already" in capsys.readouterr().err
    for name in ("tmp117", "Silo", "../x"):
        assert main(["new", "sensor", name, "--folder", str(folder)]) == 8


def test_a_built_file_has_it_and_its_configuration_is_judged_with_it(folder: Path) -> None:
    assert read_config(folder / "config.json") == CONFIG
    built = build("pico_w", CONFIG, drivers=folder / "drivers")
    files = read_littlefs(built.filesystem, 4096)
    assert files["own/silo_top.mpy"] == own_drivers(folder / "drivers", "pico_w")["own/silo_top.mpy"]
    assert files["firmware.txt"] == firmware_files("pico_w")["firmware.txt"]  # so that no update takes it away
    (folder / "config.json").write_text(json.dumps({**CONFIG, "temperature": {"driver": "silo_top", "address": 72}}))
    with pytest.raises(BuildError, match=r"temperature\.address: expected one of 64, 65"):
        read_config(folder / "config.json")


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("MEASURES = 'temperature'", "tmp117", "the firmware has one of this name"),
        ("x = 1", "mine", "no attribute 'MEASURES'"),
        (
            "MEASURES = 'noise'; SETTINGS = 'bus i2c0'; make = print",
            "mine",
            "expected one of current, energy, pulses, temperature",
        ),
        ("MEASURES = 'temperature'; SETTINGS = 'bus'; make = print", "mine", "SETTINGS: expected lines"),
        ("MEASURES = 'temperature'; SETTINGS = 'bus i2c0'; make = 1", "mine", "make: expected a function"),
        ("def make(:", "mine", "SyntaxError"),
        ("import machine_room", "mine", "no module named 'machine_room'"),
        ("MEASURES = 'temperature'; SETTINGS = 'bus i2c0'; make = print; x = '%s'" % ("y" * 9000), "mine", "shorten"),
    ],
)
def test_what_is_no_driver_is_refused(tmp_path: Path, text: str, name: str, says: str) -> None:
    with pytest.raises(BuildError, match=says):
        own_drivers(driver(tmp_path, text, name), "unix")


def test_a_node_takes_it_a_sync_leaves_it_and_a_broken_one_is_told(folder: Path) -> None:
    own = own_drivers(folder / "drivers", "unix")
    raises = "MEASURES = 'temperature'\nSETTINGS = 'bus i2c0'\ndef make(port, given):\n    return None + 1\n"
    broken = own_drivers(driver(folder, raises), "unix")
    files = firmware_files("unix", {**CONFIG, "temperature": {"driver": "mine"}})
    sys.path.insert(0, str(folder))
    try:
        from model_silo_top import SiloTopModel  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    rig = (Attached("silo", "i2c0", 65, SiloTopModel()), Attached("tmp117", "i2c0", 72, TMP117()))
    with UnixBoard(Setup(files=files | own | broken, rig=rig)) as board:
        with board.execs() as run:
            put_files(run, firmware_files("unix"), ask(run))
            assert set(scan(run).places[0].drivers) == {"silo_top"}
            assert sorted(json.loads(run("import os, json\nprint(json.dumps(os.listdir('/own')))"))) == sorted(
                path.removeprefix("own/") for path in own | broken
            )
        board.reset()
        wait_for_words(board, b"node: config: temperature: unsupported type")
        assert b"Traceback" not in board.console()


def test_a_driver_that_the_firmware_has_no_place_for_is_there_to_be_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "sensor", "ads131m02", "--folder", str(tmp_path)]) == 0
    assert "vibration.driver ads131m02" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["ads131m02.py"]
    config = {"vibration": {"driver": "ads131m02", "drdy_pin": 3}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(BuildError, match=r"vibration\.sensitivity_mv_g: ads131m02 needs it"):
        read_config(path)
    config["vibration"]["sensitivity_mv_g"] = 100
    path.write_text(json.dumps(config))
    assert read_config(path) == config == read_config(path, "pico_w")
    with pytest.raises(BuildError, match=r"vibration\.driver: an ESP32's interrupts wait for the capture's end"):
        read_config(path, "esp32_c3")
    files = {**firmware_files("unix", config), **own_drivers(tmp_path / "drivers", "unix")}
    rig = (Attached("ads131m02", "spi0", "spi0_cs", ADS131M02()),)
    with UnixBoard(Setup(files=files, rig=rig)) as board:
        board.reset()
        with board.execs() as run:
            (place,) = (place for place in scan(run).places if place.bus == "spi0")
    assert place.settings["vibration"]["driver"] == "ads131m02"
