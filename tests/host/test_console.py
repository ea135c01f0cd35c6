"""The console hub: one guest, any number of clients, over TCP and ptys."""

import queue
import socket

import pytest
import serial

from quaver.board.console import Console


@pytest.fixture
def hub():
    typed: queue.Queue[bytes] = queue.Queue()
    console = Console(typed.put)
    yield console, typed
    console.close()
    while _clients:
        _clients.pop().close()


_clients: list[socket.socket] = []


def _read(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = client.recv(65536)
        if not chunk:
            break
        data += chunk
    return data


def _connect(console: Console, typed: "queue.Queue[bytes]") -> socket.socket:
    """A client that the hub has taken in: what it typed has arrived."""
    client = socket.create_connection(("127.0.0.1", console.port), timeout=5)
    _clients.append(client)
    client.sendall(b"?")
    assert typed.get(timeout=5) == b"?"
    return client


def test_every_client_sees_what_the_guest_prints(hub):
    console, typed = hub
    first, second = _connect(console, typed), _connect(console, typed)
    console.feed(b"hello")
    assert _read(first, 5) == _read(second, 5) == b"hello"


def test_what_a_client_types_reaches_the_guest(hub):
    console, typed = hub
    client = _connect(console, typed)
    client.sendall(b"\x03\x01abc")
    assert typed.get(timeout=5) == b"\x03\x01abc"


def test_a_pty_is_the_same_console(hub):
    console, typed = hub
    with serial.Serial(console.open_pty(), timeout=5) as port:
        port.write(b"\x01\r\x03")
        assert typed.get(timeout=5) == b"\x01\r\x03"
        console.feed(b"line\r\n\x04")
        assert port.read(7) == b"line\r\n\x04"


def test_a_pty_that_is_opened_again_does_not_replay_the_past(hub):
    console, typed = hub
    path = console.open_pty()
    with serial.Serial(path, timeout=5) as port:
        port.write(b"1")
        assert typed.get(timeout=5) == b"1"
    client = _connect(console, typed)
    console.feed(b"x" * 100_000)
    assert len(_read(client, 100_000)) == 100_000
    with serial.Serial(path, timeout=5) as port:
        port.write(b"2")
        assert typed.get(timeout=5) == b"2"
        console.feed(b"now")
        assert port.read(3) == b"now"


def test_history_keeps_the_last_64_kib_and_leaves_out_what_was_quiet(hub):
    console, _ = hub
    console.feed(b"a" * 70_000)
    with console.quiet():
        console.feed(b"secret")
    console.feed(b"end")
    assert len(console.history()) == 65_536
    assert console.history().endswith(b"aend")


def test_a_client_that_never_reads_is_let_go_and_the_others_go_on(hub):
    console, typed = hub
    lazy, keen = _connect(console, typed), _connect(console, typed)
    for _ in range(200):
        console.feed(b"z" * 65_536)
        assert len(_read(keen, 65_536)) == 65_536
    lazy.settimeout(5)
    received = len(_read(lazy, 200 * 65_536))
    assert received < 200 * 65_536


def test_close_ends_every_connection(hub):
    console, typed = hub
    client = _connect(console, typed)
    console.close()
    assert client.recv(1) == b""
    console.feed(b"nobody hears this")
