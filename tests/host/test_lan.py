"""The network in virtual time: streams and datagrams of a real guest, loss, a radio that is away, power that goes."""

import asyncio
from collections.abc import Callable

import pytest

from quaver.emulator.clock import Clock
from quaver.emulator.lan import Lan, Way
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from tests.programs import program
from tests.waiting import wait_until


class Echo(asyncio.Protocol):
    """Sends back what it gets, in capitals; tells `said` what happens."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.said.append("made")

    def data_received(self, data: bytes) -> None:
        if data == b"bye":
            self.transport.close()
        else:
            self.transport.write(data.upper())

    def connection_lost(self, error: Exception | None) -> None:
        self.said.append("lost")


Act = Callable[[Lan, UnixBoard], None]


def run(name: str, seed: int = 1, way: Way | None = None, act: Act | None = None) -> str:
    """What a program prints that runs on a board beside an echo at port 7 and a clock at UDP 123."""
    said: list[str] = []
    with Lan(Clock(), seed=seed) as lan:
        lan.serve(7, lambda: Echo(said))
        lan.answer(123, lambda datagram, now: b"%.3f" % now)
        if way is not None:
            lan.set_way("guest", way)
        board = UnixBoard(Setup(files={"main.py": program(__file__, name).encode()}, lan=lan, name="guest"))
        try:
            if act is not None:
                act(lan, board)
            wait_until(lambda: b"done" in board.console() or b"Traceback" in board.console())
            text = board.console().decode()
        finally:
            board.stop()
    assert "Traceback" not in text
    return text.replace("\r\n", "\n").partition("done")[0] + "".join(f"{each} " for each in said)


def test_streams_and_datagrams_take_the_time_of_their_way() -> None:
    text = run("talk")
    assert text.splitlines()[:7] == [
        "connected 4",
        "b'HELLO 0' 4",
        "b'HELLO 1' 4",
        "b'HELLO 2' 4",
        "closed by the peer b''",
        "refused 111",
        "clock True",
    ]
    assert text.endswith("made lost ")


def test_what_is_lost_comes_when_tcp_sends_it_again_and_the_same_in_each_run() -> None:
    texts = {run("talk", seed, Way(loss=0.3)) for seed in (1, 1, 2)}
    assert len(texts) == 2
    assert all(text.count("HELLO") == 3 for text in texts)
    times = [int(line.split()[-1]) for text in texts for line in text.splitlines() if "HELLO" in line]
    assert any(ms >= 1000 for ms in times)


def test_a_radio_that_is_away_carries_nothing_and_then_what_waited() -> None:
    def away(lan: Lan, board: UnixBoard) -> None:
        wait_until(lambda: b"ready" in board.console())

        def begin() -> None:  # both in one moment: virtual time does not wait for this thread
            board.set_sensor("wifi", present=False)
            lan.loop.call_later(30.0, lambda: board.set_sensor("wifi", present=True))

        lan.call(begin)

    lines = run("away", act=away).splitlines()
    assert lines[:2] == ["ready", "aborted"]
    assert lines[2] == "again b'BACK'"


@pytest.mark.parametrize("restart", [False, True])
def test_power_that_goes_ends_a_connection_without_a_word(restart: bool) -> None:
    def cut(lan: Lan, board: UnixBoard) -> None:
        wait_until(lambda: b"ready" in board.console())
        lan.call(lambda: board.power(False))
        assert lan.run(asyncio.sleep(60)) is None
        before = board.console().count(b"ready")
        lan.call(lambda: board.power(True))
        wait_until(lambda: board.console().count(b"ready") > before)
        if restart:
            board.reset()

    text = run("waits", act=cut)
    assert "reset cause 1" in text  # machine.PWRON_RESET
    assert "lost" not in text  # what the peer hears of it: nothing
