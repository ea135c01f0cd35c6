"""Opens the board that a string names, emulated or real: what `--target` and `--port` accept."""

from __future__ import annotations

from quaver.board.interface import Board
from quaver.emulator.setup import Setup
from quaver.errors import BoardError

# Which emulated board stands for which board file.
EMULATED = {"pico_w": "rp2040:", "esp32_c3": "esp32_c3:", "unix": "unix:"}


def open_board(where: str, setup: Setup | None = None) -> Board:
    """Start or reach the board that `where` names.

    unix:                     the MicroPython unix port with boards/unix.toml
    esp32_c3:                 the official ESP32-C3 image in the emulator, boards/esp32_c3.toml
    rp2040:                   the official Pico W image in the emulator, boards/pico_w.toml
    serial:/dev/ttyACM0       a board on a serial port (or a pty); setup must be None
    socket://127.0.0.1:4321   a console behind TCP; setup must be None

    Raises BoardError.
    """
    kind = where.partition(":")[0]
    if where == "esp32_c3:":
        from quaver.emulator.esp32c3 import Esp32C3Board

        return Esp32C3Board(setup or Setup())
    if where == "unix:":
        from quaver.emulator.unix import UnixBoard

        return UnixBoard(setup or Setup())
    if where == "rp2040:":
        from quaver.emulator.rp2040 import Rp2040Board

        return Rp2040Board(setup or Setup())
    if kind in ("serial", "socket") and where != f"{kind}:":
        from quaver.board.serial import SerialBoard

        if setup is not None:
            raise BoardError(f"{where} is a running board: it accepts no setup, copy files to it instead")
        return SerialBoard(where)
    raise BoardError(
        f"{where!r} does not name a board: expected unix:, rp2040:, esp32_c3:, serial:/dev/ttyACM0 or socket://host:port"
    )
