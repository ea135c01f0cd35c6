"""Runs the page: its services put together, its socket, its server, until it is told to end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvicorn

from quaver.access.access import Access
from quaver.alarms.engine import Engine
from quaver.errors import PageError
from quaver.fleet import inventory as inventories
from quaver.provision.identity import Codes
from quaver.query.door import Door
from quaver.query.rollups import Rollups
from quaver.query.source import Source
from quaver.rollout.desk import Desk, Way
from quaver.rollout.state import default_path
from quaver.serve.app import create_app
from quaver.serve.bringing import Bringing
from quaver.serve.live import Hub, Live
from quaver.serve.operate import Commands
from quaver.serve.services import Services
from quaver.serve.syslog import Forwarder, Receiver
from quaver.serve.watch import Watch
from quaver.store.location import Location

_WHY = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "only root may listen there",
    errno.EADDRNOTAVAIL: "is no address of this machine",
}
_LEAVE_S = 3  # for which answers that are under way may go on, when the page is told to end


@dataclass(frozen=True)
class Tls:
    certificate: Path
    key: Path


def check_zone(name: str) -> str:
    """Raises PageError for what is no zone of the IANA table."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise PageError(f"{name}: is no time zone of this system; name one such as Europe/Berlin or UTC") from None
    return name


def listen(host: str, port: int, tls: Tls | None, insecure: bool) -> socket.socket:
    """The socket of the page. Raises PageError; beyond this machine only with TLS, or where somebody insists."""
    if tls is None and not insecure and not _is_loopback(host):
        raise PageError(
            f"--host {host}: other machines would send passwords here without TLS; give --tls-cert and --tls-key, "
            "or --insecure-network where a proxy in front of it has TLS"
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror)
        raise PageError(f"{host} port {port}: {why}; name another with --port or --host") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_certificate(tls: Tls) -> None:
    """Raises PageError for a certificate and key that TLS can't use."""
    for path in (tls.certificate, tls.key):
        try:
            path.open("rb").close()
        except OSError as error:
            raise PageError(f"{path}: can't be read ({error.strerror}); name another file") from error
    try:
        # Without a password of its own it would ask at the terminal.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.certificate, tls.key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise PageError(
            f"{tls.certificate}, {tls.key}: are no certificate (PEM, with its chain) and its key without a password"
        ) from error


@contextmanager
def services(
    location: Location,
    folder: Path,
    *,
    say: Callable[[str], None] = lambda line: None,
    clock_ms: Callable[[], int] | None = None,
    receiver: Receiver | None = None,
    way: Way | None = None,
    inventory: Path | None = None,
    **parts: Any,
) -> Iterator[Services]:
    """All that the page rests on. folder: of its state. receiver: of security events. way: to command nodes by.
    inventory: of quaver provision, by default this user's. parts: those of Services that somebody has given a file or
    a word for.

    Raises StoreError, AccessError and AlarmError.
    """
    with ExitStack() as stack:
        with Source(location):
            pass  # what is wrong with the store is told before anything is made
        access = stack.enter_context(Access(folder))
        rollups = Rollups(folder / "rollups.sqlite")
        stack.callback(rollups.close)
        door = Door(location, rollups, *([clock_ms] if clock_ms else []))
        door.nodes()  # once through all nodes, so that the first who asks does not wait for it
        engine = stack.enter_context(Engine(folder / "alarms.sqlite"))
        watch = Watch(engine, access, door.clock_ms)
        hub = Hub()
        yield Services(
            door,
            folder,
            access=access,
            alarms=engine,
            hub=hub,
            live=Live(door, hub, watch.step, say, watch.blind),
            rollouts=Desk(default_path(), way),
            commands=Commands(way.keys, way.broker, way.ca, door.clock_ms, _unforeseen) if way else None,
            syslog=Forwarder(engine, receiver) if receiver else None,
            bringing=Bringing(
                folder,
                inventory or inventories.default_path(),
                Codes(way.keys.path.parent) if way else None,
                lambda: hub.tell("bringing", {}),
            ),
            **parts,
        )


def _unforeseen(error: Exception) -> None:
    logging.getLogger(__name__).error("a command failed", exc_info=error)


class _Server(uvicorn.Server):
    """Ends the streams that would go on for ever, before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, hub: Hub | None) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._hub is not None:
            self._hub.close()
        await super().shutdown(sockets)


def server(found: Services, tls: Tls | None = None) -> uvicorn.Server:
    """The server of the page; `run(sockets=[...])` ends with SIGINT or SIGTERM, or when `should_exit` is set."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        create_app(found),
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_LEAVE_S,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return _Server(config, found.hub)
