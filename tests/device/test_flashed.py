"""From an empty board to the alarm: what `quaver build` and `quaver flash` put into a flash is what runs there."""

import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.board.ports import Port
from quaver.board.spec import load_board
from quaver.build import firmware_files, read_config, read_littlefs
from quaver.build.libraries import device_libraries
from quaver.build.partitions import read_partitions, vfs_partition
from quaver.build.tree import with_packs, without_packs
from quaver.cli import main
from quaver.emulator.bus import Attached
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.flash import fleet, rp2
from quaver.pytest_plugin import Target

from .conftest import Client, signal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))
import esp_rig

_CONFIG = """{
  "site": "plant", "area": "hall", "line": "line1", "asset": "motor1", "node": "n1", "interval_s": 1,
  "wifi": {"ssid": "quaver", "password": "emulated"}, "broker": {"host": "HOST", "port": 1883},
  "temperature": null, "energy": null,
  "alarm": {"count": 1, "of": 1, "hysteresis": 0.1}, "limits": {"rms": [0.15, 0.25]},
  "vibration": {"samples": 1024}
}"""


def _config(folder: Path, host: str) -> Path:
    path = folder / "config.json"
    path.write_text(_CONFIG.replace("HOST", host))
    return path


def _rig() -> tuple[Attached, ...]:
    return (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(signal("or021_6"))),)


class Drive:
    """An RP2040 in its boot loader: a drive that takes a UF2, and then the emulated board that starts from it."""

    def __init__(self, folder: Path, size: int, broker_port: int) -> None:
        self.folder = folder / "RPI-RP2"
        self.folder.mkdir()
        (self.folder / "INFO_UF2.TXT").write_bytes(
            b"UF2 Bootloader v2.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
        )
        self.port = Port(str(self.folder), "rp2-bootsel", (0x2E8A, 3), None, "", ("rp2040",), "1-1")
        self.taken = folder / "taken.uf2"
        self.board: Board | None = None
        self._size = size
        self._broker_port = broker_port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        """As the boot loader does: with the last block there, the drive goes and the board starts."""
        while not self._ended.wait(0.02):
            found = next(self.folder.glob("*.UF2"), None)
            if found is not None and found.stat().st_size == self._size:
                found.rename(self.taken)
                shutil.rmtree(self.folder)
                self.board = open_board("rp2040:", Setup(image=self.taken, rig=_rig(), broker_port=self._broker_port))
                return

    def ports(self) -> list[Port]:
        if self.board is None:
            return []
        return [Port(self.board.address, "micropython", (0x2E8A, 5), None, "", ("rp2040",), "1-1")]

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        if self.board is not None:
            self.board.stop()


@pytest.fixture
def pico(
    board_target: Target, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Drive]:
    if board_target.where != "rp2040:":
        pytest.skip("needs the emulated Pico W")
    # Not before the skip: a Mosquitto that is ended as soon as it runs may miss the signal.
    mosquitto = request.getfixturevalue("mosquitto")
    built = tmp_path / "built.uf2"
    assert main(["build", "pico_w", "--config", str(_config(tmp_path, "10.0.0.1")), "-o", str(built)]) == 0
    drive = Drive(tmp_path, built.stat().st_size, mosquitto.port)
    for module in (fleet, rp2):
        monkeypatch.setattr(module, "find_ports", drive.ports)
    # `quaver flash` gives a board no configuration; this one shall speak to the test's broker.
    build, config = fleet.build, read_config(tmp_path / "config.json")
    monkeypatch.setattr(fleet, "build", lambda name, flash_size, slots, image, drivers: build(name, config, flash_size))
    yield drive
    drive.stop()


@pytest.mark.needs_radio
@pytest.mark.slowest
def test_the_uf2_that_was_built_goes_to_the_drive_boots_and_raises_the_alarm(
    pico: Drive, client: Client, tmp_path: Path
) -> None:
    said: list[str] = []
    outcomes = fleet.Fleet("pico_w", lambda _port, word, _part: said.append(word), report_s=60).flash([pico.port])
    assert [(one.outcome, one.reason) for one in outcomes] == [("flashed", None)]
    assert outcomes[0].board == "pico_w" and re.fullmatch("[0-9a-f]{16}", outcomes[0].unique_id or "")
    assert pico.taken.read_bytes() == (tmp_path / "built.uf2").read_bytes()
    assert list(dict.fromkeys(said)) == [
        "writing",
        "starting",
        "verifying",
        "waiting for its report",
        "flashed",
    ]
    assert client.wait(Client.alarms, "the alarm")[0]["subject"] in ("rms", "kurtosis")


@pytest.mark.needs_radio
@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.nightly) for name in ("esp32", "esp32_s3")), "esp32_c3"]
)
def test_what_esptool_wrote_is_our_firmware_and_raises_the_alarm(
    board_target: Target,
    name: str,
    tmp_path: Path,
    mosquitto: Any,
    client: Client,
    start_board: Callable[..., Board],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if board_target.where != "unix:":
        pytest.skip("boots what was taken out of an ESP32's flash on the unix board")
    # The mock has a boot loader, and no Python to take a code: tests/host/test_labels.py gives one to a board.
    monkeypatch.setattr("quaver.provision.identity.give_code_at", lambda *_: None)
    spec = load_board(name)
    with esp_rig.board(tmp_path, spec.chip, size=spec.flash.size) as esp:
        assert main(["flash", name, "--port", esp.url]) == 0
        assert "flashed" in capsys.readouterr().out
        flash = esp.content(0)
    start = spec.silicon.image_offset
    place = vfs_partition(read_partitions(flash[start:], start), len(flash))
    assert (place.offset, place.size) == (spec.flash.filesystem_offset, spec.flash.filesystem_size)
    files = read_littlefs(flash[place.offset : place.offset + place.size])
    ours = firmware_files(name)
    assert {path: files.get(path) for path in ours} == ours
    libraries = device_libraries(spec)
    assert {path: data for path, data in files.items() if path not in ours} == libraries
    assert "lib/aioble/core.mpy" in libraries
    # Bytecode runs on any chip. What holds machine code (the signal path and the seal) and what names the chip (the
    # rendered board and its hal) can't run here: of those the unix board gets its own build, from the same sources, but
    # for code in place, which it has no use for.
    own = without_packs(firmware_files("unix", read_config(_config(tmp_path, "127.0.0.1"))))
    files = without_packs(files)
    foreign = {path for path, data in files.items() if path.endswith(".mpy") and data[2] >> 2 & 0x0F}
    assert {"dsp/fft.mpy", "dsp/kernels.mpy"} < foreign
    assert {"build/node.mpy", "node/measure.mpy"}.isdisjoint(foreign)
    taken = {path: data for path, data in files.items() if path not in foreign | {"board.mpy", "hal/chip/esp32.mpy"}}
    assert len(taken) > 2 * len(foreign)
    wired = {"build/uart.mpy", "links/uart.mpy", "quaver_wire/wired.mpy"}  # of no board with a radio
    assert own.keys() - taken.keys() == foreign & own.keys() | {"board.mpy", "hal/chip/unix.mpy", "config.json"} | wired
    start_board(files=with_packs(own | taken, load_board("unix")), rig=_rig(), broker_port=mosquitto.port)
    assert client.wait(Client.alarms, "the alarm")[0]["subject"] in ("rms", "kurtosis")
