"""A terminal with a person at it, for tests of dialogues."""

import os
import pty
import re
import select
import sys
import termios
import time
from collections.abc import Sequence


class Person:
    """Somebody at a terminal of their own: reads until a question stands there, types, presses Enter."""

    def __init__(self, *arguments: str, program: Sequence[str] = ("-m", "quaver.cli")) -> None:
        self.seen = ""
        self._unread = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm", "COLUMNS": "120"}
            os.execv(sys.executable, [sys.executable, *program, *arguments])

    def _read(self, timeout: float) -> bool:
        if not select.select([self._fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self._fd, 4096).decode(errors="replace")
        except OSError:
            return False
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data)
        self.seen += text
        self._unread += text
        return bool(data)

    def until(self, words: str, timeout: float = 30) -> None:
        end = time.monotonic() + timeout
        while words not in self._unread:
            assert time.monotonic() < end and self._read(0.5), f"{words!r} never came:\n{self.seen}"
        self._unread = self._unread.partition(words)[2]

    def types(self, question: str, answer: str) -> None:
        self.until(question)
        self.until(": ")
        if question.startswith(("Code", "Password")):
            # A hidden prompt throws away what was typed before it turned the echo off.
            while termios.tcgetattr(self._fd)[3] & termios.ECHO:
                assert self._read(0.02), self.seen
        os.write(self._fd, answer.encode() + b"\r")

    def presses(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def ends(self, timeout: float = 30) -> int:
        end = time.monotonic() + timeout
        while self._read(0.5):
            assert time.monotonic() < end, self.seen
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def breaks_off(self) -> None:
        end = time.monotonic() + 30
        while self._read(0.5):  # pressed before the prompt reads, it waits for the next key: so press again
            assert time.monotonic() < end, self.seen
            os.write(self._fd, b"\x03")
        os.waitpid(self.pid, 0)
