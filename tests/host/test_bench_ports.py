"""The free ports that tests and benches give to servers."""

import socket

import pytest

from quaver.bench import ports
from quaver.errors import BrokerError


def test_free_ports_are_all_different_and_nobody_else_gets_them_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as any_port:
        assert any_port.getsockname()[1] not in ports._PORTS
    found = ports.free_ports(200)
    assert len(set(found)) == 200
    monkeypatch.setattr(ports, "_PORTS", range(found[0], found[0] + 1))
    with socket.create_server(("127.0.0.1", found[0])), pytest.raises(BrokerError, match="are in use"):
        ports.free_ports(1)
