"""The date comes from a time server, within a limit; a server that lies by its own account is not believed."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.pytest_plugin import Target
from tests.programs import program

pytestmark = pytest.mark.needs_radio
NOW = 1_790_000_000_250  # ms since 1970
NTP = 2_208_988_800

READY = program(__file__, "ready")


class Server:
    """An SNTP server on loopback; `answer` makes its reply to a request, None for silence."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], bytes | None] = good
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, peer = self._socket.recvfrom(100)
            if not request:
                return
            self.asked += 1
            reply = self.answer(request)
            if reply is not None:
                self._socket.sendto(reply, peer)

    def stop(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


def asks(port: int) -> bytes:
    """What begins a main.py: a test's time server can't have the port of all time servers, and is no quick one."""
    here = f"async def ask(host, limit_ms, ask=ntp.ask):\n    return await ask(host, 10 * limit_ms, {port})\n"
    return b"from links import ntp\n" + here.encode() + b"ntp.ask = ask\n"


def good(request: bytes, mode: int = 4, leap: int = 0, stratum: int = 2, time_ms: int = NOW) -> bytes:
    seconds, fraction = divmod(time_ms, 1000)
    moment = struct.pack(">II", (seconds + NTP) % (1 << 32), (fraction << 32) // 1000 + 1)
    return bytes([leap << 6 | 4 << 3 | mode, stratum, 6, 0xEC]) + bytes(20) + request[40:48] + moment + moment


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def node(start_board: Callable[..., Board], board_target: Target, server: Server) -> Board:
    files = {path: data for path, data in firmware_files(board_target.board).items() if path != "main.py"}
    board = start_board(files=files)
    board.exec(READY + f"host, port = {board.host_address!r}, {server.port}")
    return board


@pytest.mark.any_board
def test_what_a_time_server_says(node: Board, server: Server) -> None:
    time_ms, uncertain = eval(node.exec("say(3000)"))
    assert 0 <= time_ms - NOW <= uncertain <= 3000
    server.answer = lambda request: None
    assert node.exec("say(300)").strip() == "no answer from the time server within 300 ms"
    # 3 s where one answers: the node's time runs ahead of that of the server's thread
    for unset in (
        lambda request: good(request, leap=3),
        lambda request: good(request, stratum=0),  # "kiss of death"
        lambda request: good(request)[:40] + bytes(8),  # no time of sending
    ):
        server.answer = unset
        assert node.exec("say(3000)").strip() == "the time server does not know the time"
    for forged in (
        lambda request: good(bytes(48)),  # an answer to another question
        lambda request: good(request)[:40],
        lambda request: good(request, mode=5),
    ):
        server.answer = forged
        assert node.exec("say(300)").startswith("no answer")
    for wrong in (0, 1_700_000_000_000):  # its own clock was not set, though it says nothing of it
        server.answer = lambda request, wrong=wrong: good(request, time_ms=wrong)
        assert node.exec("say(3000)").strip() == "the time server's clock is wrong"
    server.answer = lambda request: good(request, time_ms=2_100_000_000_000)  # after 2036
    assert abs(eval(node.exec("say(3000)"))[0] - 2_100_000_000_000) <= 3000


@pytest.mark.nightly_on("rp2040:")
def test_the_date_is_kept(node: Board, server: Server) -> None:
    said: Any = node.exec(program(__file__, "date")).splitlines()
    assert said[0] == "None None"
    offset, told, again, *_ = said[1].split()
    assert NOW - 60_000 < int(offset) <= NOW + 3000 and (told, again) == ("False", "None")
    assert said[1].endswith("(2026, 9, 21, 14, 13)")
    assert server.asked == 1  # the next time in an hour
