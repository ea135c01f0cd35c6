"""What all tests share. Boards come from Quaver's own pytest plugin: `--target`, `board` and the markers."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest


class Mosquitto:
    """An Eclipse Mosquitto on a loopback port: the independent broker that Quaver is held against.

    settings: further lines of its configuration. It keeps its port over stop and start; retained messages and
    sessions with a name survive too.
    """

    def __init__(self, folder: Path, settings: str = "allow_anonymous true", port: int = 0) -> None:
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self.port = port

    def start(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            pytest.fail("mosquitto is not installed; run: apt-get install -y mosquitto", pytrace=False)
        # Mosquitto takes no port 0, and a port found free may be taken a moment later: then try the next.
        for _ in range(20):
            port = self.port or _free_port()
            self._folder.mkdir(parents=True, exist_ok=True)
            config = self._folder / "mosquitto.conf"
            config.write_text(
                f"listener {port} 127.0.0.1\npersistence true\npersistence_location {self._folder}/\n"
                # Started as root it would become a user that can't write into the folder.
                f"user root\nlog_dest stderr\n{self._settings}\n"
            )
            self._process = subprocess.Popen([program, "-c", config], stderr=subprocess.PIPE, text=True)
            assert self._process.stderr is not None
            said = []
            for line in self._process.stderr:
                said.append(line)
                if " running" in line:
                    self.port = port
                    return
            self._process.wait()
            if self.port or "in use" not in "".join(said):
                pytest.fail("mosquitto ended: " + "".join(said), pytrace=False)
        pytest.fail("mosquitto: found no free port", pytrace=False)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> "Mosquitto":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Starts a Mosquitto with the given configuration lines; each is stopped when the test ends."""
    with ExitStack() as stack:

        def start(settings: str = "allow_anonymous true") -> Mosquitto:
            return stack.enter_context(Mosquitto(tmp_path / "mosquitto", settings))

        yield start


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A running Mosquitto that takes anyone."""
    return start_mosquitto()
