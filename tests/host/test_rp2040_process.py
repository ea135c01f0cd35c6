"""The emulated Pico W's process: how it ends, and what it says when it can't go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import psutil
import pytest

from quaver.board.spec import load_board
from quaver.emulator.bus import Attached
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.errors import ArtifactError, BoardError
from tests.programs import program

PARENT = """
import sys, time
from quaver.emulator.rp2040 import Rp2040Board
board = Rp2040Board()
print(board._process.pid, flush=True)
try:
    board.exec("while True: pass", timeout=600)
finally:
    board.stop()
"""


class Broken:
    """An I2C device whose model has a mistake."""

    def i2c_start(self, read: bool, now: int) -> bool:
        raise ValueError("a mistake in the model")

    def i2c_write(self, value: int, now: int) -> bool:
        return True

    def i2c_read(self, now: int) -> int:
        return 0

    def i2c_stop(self, now: int) -> None: ...


def test_a_killed_emulator_is_said_in_one_line() -> None:
    with Rp2040Board() as board:
        os.kill(board._process.pid, signal.SIGKILL)
        with pytest.raises(BoardError, match=r"ended by SIGKILL: open the board again"):
            board.exec("while True: pass")
        ended = board.alive()
        assert ended is not None and "\n" not in ended


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_parent_that_ends(how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(how)
        parent.wait(20)
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def test_stop_ends_the_process_and_can_be_said_twice() -> None:
    board = Rp2040Board()
    child = psutil.Process(board._process.pid)
    board.stop()
    board.stop()
    assert not child.is_running()
    with pytest.raises(BoardError, match="the board was stopped"):
        board.exec("print(1)")


def test_a_mistake_in_a_model_is_one_line_with_a_trace() -> None:
    with Rp2040Board(Setup(rig=(Attached("broken", "i2c0", 0x50, Broken()),))) as board:
        with pytest.raises(BoardError, match=r"emulator failed \(ValueError: a mistake in the model\)"):
            board.exec("from machine import I2C; I2C(0, scl=5, sda=4).readfrom(0x50, 1)")
        assert "i2c_start" in board.trace()


@pytest.mark.parametrize(
    ("bus", "message"),
    [
        ("spi7", "the Pico W has no bus spi7"),
        ("spi0", "a Broken does not speak SPI"),
        ("gpio", "a Broken does not drive a pin"),
    ],
)
def test_a_wrong_place_for_a_sensor_is_one_line(bus: str, message: str) -> None:
    with pytest.raises(BoardError, match=message) as caught:
        Rp2040Board(Setup(rig=(Attached("broken", bus, 17, Broken()),)))
    assert "\n" not in str(caught.value)


def test_a_missing_image_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there: offline
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(ArtifactError, match="cannot be fetched") as caught:
        Rp2040Board()
    assert "\n" not in str(caught.value)


def test_the_image_in_flash_is_the_official_one() -> None:
    """Read back through the guest's own eyes after it has run, and compared with the file."""
    from quaver.board.image import fetch_image

    uf2 = fetch_image(load_board("pico_w")).read_bytes()
    blocks = [uf2[at : at + 512] for at in range(0, len(uf2), 512)]
    image = b"".join(block[32:288] for block in blocks)
    start = int.from_bytes(blocks[0][12:16], "little")
    with Rp2040Board() as board:
        code = program(__file__, "checksum", start=start, end=start + len(image))
        assert int(board.exec(code, timeout=120)) == zlib.crc32(image)


def test_real_time_is_kept() -> None:
    with Rp2040Board(Setup(real_time=True)) as board:
        before = board.virtual_time_ns()
        began = time.monotonic()
        board.exec("import time; time.sleep_ms(600)")
        real = time.monotonic() - began
        virtual = (board.virtual_time_ns() - before) / 1e9
    assert virtual >= 0.6
    assert virtual <= real + 0.1
