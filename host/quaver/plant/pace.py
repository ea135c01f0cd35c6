"""How fast a plant's time goes beside the wall clock's, and who stops it: a person at a terminal.

The plant's time moves from border to border of its exchange interval; at a border it can be held for as long as one
likes, for nothing in a plant waits for the wall clock. So the pace has no part in what comes of a run.
"""

from __future__ import annotations

import math
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable
from types import TracebackType
from typing import Self

KEYS = "space: pause, go on   s: one step   +: faster   -: slower   m: at full speed"
_LOOK_S = 0.25
_FASTEST = 1e6  # from there on no wait is worth its while
_SLOWEST = 1 / 64


class Keyboard:
    """The keys that are typed at a terminal, each as it is pressed; a context manager. Without one there are none."""

    def __init__(self) -> None:
        self._file: int | None = None

    def __enter__(self) -> Self:
        if sys.stdin is not None and sys.stdin.isatty():
            self._file = sys.stdin.fileno()
            self._modes = termios.tcgetattr(self._file)
            tty.setcbreak(self._file, termios.TCSADRAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._modes)

    @property
    def there(self) -> bool:
        return self._file is not None

    def key(self, wait_s: float) -> str:
        """The next key, or "" after so long without one."""
        if self._file is None:
            time.sleep(wait_s)
            return ""
        if not select.select([self._file], [], [], wait_s)[0]:
            return ""
        return os.read(self._file, 1).decode(errors="replace")


class Pace:
    """speed: seconds of the plant's time in a second; None for as many as there can be. key(seconds): as of Keyboard.

    `keep` holds the plant at a border; `words` says how it goes.
    """

    def __init__(self, speed: float | None, key: Callable[[float], str]) -> None:
        self.speed = speed
        self.paused = False
        self._key = key
        self._from: tuple[float, float] | None = None  # wall clock, and the plant's time then
        self._step = False

    def keep(self, time_s: float, held: Callable[[], None] = lambda: None) -> None:
        """Return when the plant may go on from its `time_s`; held: called now and then until it may."""
        self._step = False
        if self._from is None:
            self._from = time.monotonic(), time_s
        pressed = self._key(0.0)
        while True:
            if pressed:
                self._press(pressed, time_s)
            left = self._left(time_s)
            if left <= 0:
                return
            held()
            pressed = self._key(min(left, _LOOK_S))

    def _left(self, time_s: float) -> float:
        """Seconds until it may go on."""
        if self.paused:
            return 0.0 if self._step else math.inf
        if self.speed is None or self._from is None:
            return 0.0
        began, at = self._from
        return began + (time_s - at) / self.speed - time.monotonic()

    def _press(self, key: str, time_s: float) -> None:
        if key == " ":
            self.paused = not self.paused
        elif key == "s":
            self.paused = self._step = True
        elif key == "m":
            self.speed = None
        elif key in "+-":
            speed = (self.speed or 1.0) * (2.0 if key == "+" else 0.5)
            self.speed = min(max(speed, _SLOWEST), _FASTEST)
        self._from = time.monotonic(), time_s

    def words(self, time_s: float) -> str:
        """ "paused", or how many seconds of the plant's time pass in a second since the speed was set."""
        if self.paused:
            return "paused"
        began, at = self._from or (time.monotonic(), time_s)
        passed = time.monotonic() - began
        rate = (time_s - at) / passed if passed > 0 else 0.0
        measured = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        return f"{measured} s a second" if self.speed is None else f"{measured} of {self.speed:g} s a second"
