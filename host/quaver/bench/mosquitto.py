"""A Mosquitto of our own on loopback, to measure and to prove against: it can be stopped and started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.bench.ports import free_port
from quaver.broker.address import BrokerUrl
from quaver.errors import BrokerError
from quaver.system.processor import processor_s

_START_S = 10.0
_ATTEMPTS = 20  # with another port each
# As docs/mosquitto.md has it, but for who may connect.
_SETTINGS = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000"


class Mosquitto:
    """folder: its configuration and its log, and what it keeps over a restart. settings: lines of the configuration.

    The first start takes a free port, which `port` and `url` then tell; it keeps that over stop and start, as it keeps
    retained messages and the sessions that have a name. Starting raises BrokerError where it does not run.
    """

    def __init__(self, folder: Path, settings: str = _SETTINGS) -> None:
        self.port = 0
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> BrokerUrl:
        return BrokerUrl("127.0.0.1", self.port)

    def processor_s(self) -> float:
        """The processor's time that it has taken since it was started."""
        assert self._process is not None
        return processor_s(self._process.pid)

    @property
    def said(self) -> str:
        """What is in the log of its last start."""
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise BrokerError("mosquitto is not installed, and is needed here; run: apt-get install mosquitto")
        self._folder.mkdir(parents=True, exist_ok=True)
        # Mosquitto takes no port 0, and a port found free may be taken a moment later: then try the next.
        for _ in range(_ATTEMPTS):
            port = self.port or free_port()
            failure = self._run(program, port)
            if not failure:
                self.port = port
                return
            if self.port or "in use" not in failure:
                break
        raise BrokerError(f"mosquitto does not start at 127.0.0.1:{port} ({failure}); see its settings, or try again")

    def _run(self, program: str, port: int) -> str:
        """Empty once it runs; else what it said of the errors for which it ended, or is not ready."""
        config, log = self._folder / "mosquitto.conf", self._folder / "mosquitto.log"
        user = "user root\n" if os.geteuid() == 0 else ""  # else it becomes one that can't write into the folder
        kept = f"persistence true\npersistence_location {self._folder}/\nlog_dest stderr\n"
        config.write_text(f"listener {port} 127.0.0.1\n{user}{kept}{self._settings}\n")
        with log.open("wb") as file:  # not a pipe, which would hold it up when nobody reads any more
            self._process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=file)
        deadline = time.monotonic() + _START_S
        while True:
            ended = self._process.poll() is not None
            said = self.said
            if " running" in said:
                return ""
            if ended or time.monotonic() > deadline:
                self.stop()
                errors = [line.partition("Error")[2].strip(" :") for line in said.splitlines() if "Error" in line]
                return ", ".join(errors) or ("ended" if ended else f"not ready within {_START_S:.0f} s")
            time.sleep(0.01)

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
