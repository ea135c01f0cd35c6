"""The user's terminal, connected to a board's console byte by byte."""

from __future__ import annotations

import os
import select
import socket
import termios
import tty

from quaver.board.serial import SerialBoard
from quaver.errors import BoardError

LEAVE = b"\x1d"
"""Ctrl-], as in telnet and mpremote."""

_LOOK_S = 0.25  # how often the board is asked whether it is still there: its port gives no event for its end


def talk(board: SerialBoard, keyboard: int, screen: int, greeting: str) -> None:
    """Until `LEAVE` is typed: what is typed goes to the board, what it prints to the screen, below the greeting.

    keyboard, screen: file descriptors; the keyboard is a terminal, and gets its modes back. Raises BoardError when the
    board is gone for good; a restart is waited for.
    """
    host, _, port = board.address.removeprefix("socket://").rpartition(":")
    modes = termios.tcgetattr(keyboard)
    with socket.create_connection((host, int(port)), timeout=5) as line:
        try:
            tty.setraw(keyboard, termios.TCSADRAIN)
            _write(screen, f"{greeting}\r\n".encode())
            while True:
                ready = select.select([keyboard, line.fileno()], [], [], _LOOK_S)[0]
                if line.fileno() in ready:
                    said = line.recv(65536)
                    if not said:
                        raise BoardError(board.alive() or "the board's console was closed: open it again")
                    _write(screen, said)
                if keyboard in ready:
                    typed, left, _ = os.read(keyboard, 1024).partition(LEAVE)
                    line.sendall(typed)
                    if left or not typed:
                        break
                ended = board.alive()
                if ended is not None:
                    raise BoardError(ended)
        finally:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, modes)
            _write(screen, b"\n")


def _write(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]
