"""The pty of a unix board's MicroPython, whose mode tells whether it waits for a line."""

from __future__ import annotations

import os
import termios
import tty


def open_pty() -> tuple[int, int]:
    """(master, slave) of a raw one, whose mode says from the first moment on that something runs there.

    The mode of a prompt, for however short, is taken for one: others would not wait for a board that is being started.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    modes = termios.tcgetattr(slave)
    modes[3] |= termios.ISIG  # see at_prompt; it makes no signal
    for key in (termios.VINTR, termios.VQUIT, termios.VSUSP):
        modes[6][key] = b"\0"
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    os.set_blocking(master, False)
    return master, slave


def at_prompt(master: int) -> bool:
    """Whether MicroPython waits for a line: only while it runs something is Ctrl-C a signal on its pty."""
    try:
        return not termios.tcgetattr(master)[3] & termios.ISIG
    except (termios.error, ValueError):
        return False
