"""A Mosquitto of our own on loopback, to measure and to prove against: it can be stopped and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.broker import BrokerUrl
from quaver.errors import BrokerError

_START_S = 10.0
# As docs/mosquitto.md has it, but for who may connect.
_SETTINGS = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\n"


class Mosquitto:
    """folder: its configuration, and what it keeps over a restart. Raises BrokerError where it does not run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = BrokerUrl("127.0.0.1", int(free.getsockname()[1]))

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise BrokerError("mosquitto is not installed, and is needed here; run: apt-get install mosquitto")
        config = self._folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""  # else it becomes one that can't write into the folder
        kept = f"persistence true\npersistence_location {self._folder}/\n"
        config.write_text(f"listener {self.url.port} 127.0.0.1\n{user}{kept}{_SETTINGS}")
        null = subprocess.DEVNULL
        self._process = subprocess.Popen([program, "-c", config], stdout=null, stderr=null)
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection((self.url.host, self.url.port), 1.0).close()
                return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise BrokerError(f"mosquitto does not start at {self.url}; try it again") from error
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
