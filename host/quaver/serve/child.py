"""Programs of the page's own: they end with it, whatever ends it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1  # prctl(2)
_END_S = 20.0
_AGAIN_S = (1.0, 30.0)  # after which one that ended is started again: the first time, and the most
_LASTED_S = 60.0  # one that ran so long had started well

_libc = ctypes.CDLL(None)


def start(program: Sequence[str], more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own, which Ctrl-C at the terminal does not reach. more: of its environment."""

    def with_us() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    environment = {**os.environ, **(more or {})}
    return subprocess.Popen(
        program, stdin=subprocess.DEVNULL, start_new_session=True, env=environment, preexec_fn=with_us
    )


def end(program: subprocess.Popen[bytes]) -> None:
    """Have it end in order, and at last by force."""
    with contextlib.suppress(ProcessLookupError):
        program.terminate()
    try:
        program.wait(_END_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


class Kept:
    """A program that is started again when it ends; a context manager. say: hears that it ended."""

    def __init__(self, name: str, program: Sequence[str], more: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._name, self._line, self._more, self._say = name, program, more, say
        self._over = threading.Event()

    def __enter__(self) -> None:
        self._program = start(self._line, self._more)
        self._thread = threading.Thread(target=self._keep, name=self._name, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        end(self._program)
        self._thread.join()

    def _keep(self) -> None:
        pause, began = _AGAIN_S[0], time.monotonic()
        while True:
            code = self._program.wait()
            if self._over.is_set():
                return
            pause = _AGAIN_S[0] if time.monotonic() - began > _LASTED_S else min(2 * pause, _AGAIN_S[1])
            self._say(f"{self._name} ended with exit code {code}; it is started again in {pause:.0f} s")
            if self._over.wait(pause):
                return
            began = time.monotonic()
            self._program = start(self._line, self._more)
