"""Ports of loopback that nobody listens on, for a server that has to be told one."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

from quaver.errors import BrokerError

# Below those that a system gives to whoever asks for any, also for connections that go out: what is stopped for a while
# finds its port free again.
_PORTS = range(20_000, 32_768)
_ATTEMPTS = 20  # for each that is wanted


def free_port() -> int:
    """As free_ports, and raises what that does."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many, each another one. Raises BrokerError where too few are free."""
    found: set[int] = set()
    for _ in range(_ATTEMPTS * count):
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.add(port)
        if len(found) == count:
            return list(found)
    raise BrokerError(f"ports from {_PORTS[0]} to {_PORTS[-1]} are in use; end what listens there")
