"""A technician and a real MicroPython: enrolment over a terminal, with noise, cuts and a second try."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from build.keys import key_check, load_key
from links.improv import ERROR, RESULT, STATE
from quaver.errors import SessionError
from quaver.provision.serial import SerialTransport
from quaver.provision.session import Refused, Session, WrongCode, who
from quaver_wire.frames import Frames, improv_frame, session_frame
from tests.session_rig import CODE, ID, Node

KEY = bytes(range(32))
CONFIG = {"node": "pump-7", "wifi": {"ssid": "plant", "password": "correct horse"}}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.cut()


def stage(session: Session) -> str:
    return str(session.request("stage", {"config": CONFIG, "key": KEY.hex(), "generation": 1}))


@pytest.mark.long
def test_from_blank_to_enrolled(node: Node) -> None:
    where = node.start(join_ms=2500)
    percents: list[int] = []
    with SerialTransport(where) as wire:
        assert who(wire, show=True) == (ID, False, True)
        session = Session(wire, CODE, ID, percents.append)
        assert session.request("about")["enrolled"] is False
        assert session.request("scan") == [["plant", -52, True], ["guests", -70, False]]
        with pytest.raises(Refused, match="wifi wrong password"):
            session.request("join", {"ssid": "plant", "password": "x"})
        # it takes longer than a request without an answer is waited for: the node says meanwhile that it lives
        session.request("join", {"ssid": "plant", "password": "correct horse"}, timeout=1.8)
        assert node.state() == "blank"
        session.request("commit", {"check": stage(session)})
    assert node.ended() == 0
    assert node.state() == "enrolled" and percents == sorted(percents) and len(percents) > 8
    assert json.loads((node.root / "config.json").read_text()) == CONFIG
    with SerialTransport(node.start()) as wire:
        assert who(wire) == (ID, True, True)
        about = Session(wire, CODE, ID).request("about")
    assert (about["enrolled"], about["check"]) == (True, key_check(KEY))


def test_the_power_is_cut_after_each_step_and_the_second_try_succeeds(node: Node) -> None:
    steps: list[Callable[[Session], object]] = [
        lambda session: session.request("about"),
        lambda session: session.request("join", {"ssid": "plant", "password": "correct horse"}),
        stage,
        lambda session: session.request("commit", {"check": key_check(KEY)}),
    ]
    for cut_after in range(len(steps) + 1):
        for path in node.root.iterdir():
            if path.name != "session.code":
                path.unlink()
        with SerialTransport(node.start()) as wire:
            session = Session(wire, CODE)
            for step in steps[:cut_after]:
                step(session)
        assert node.state() == ("enrolled" if cut_after == len(steps) else "blank")
        with SerialTransport(node.start()) as wire:
            session = Session(wire, CODE)
            for step in steps:
                step(session)
        assert node.state() == "enrolled" and load_key(str(node.root / "device.key")) == (1, KEY)


def test_noise_on_the_line_and_false_codes_change_nothing(node: Node) -> None:
    chance = random.Random(3)
    with SerialTransport(node.start()) as wire:
        for _ in range(40):
            wire._port.write(chance.randbytes(chance.randrange(200)).replace(b"\x03", b""))
            wire._port.write(session_frame(chance.randbytes(chance.randrange(1, 60)))[: chance.randrange(80)])
            wire.receive(0)
        with pytest.raises(WrongCode):
            Session(wire, "0" * 16)
        assert node.state() == "blank" and sorted(p.name for p in node.root.iterdir()) == [
            "session.code", "session.tries"
        ]  # fmt: skip
    with SerialTransport(node.start()) as wire:
        session = Session(wire, CODE, ID)
        assert session.request("about")["wrong_codes"] == 1
        session.request("commit", {"check": stage(session)})
    assert node.state() == "enrolled"


def test_improv_and_a_session_share_the_console(node: Node) -> None:
    """Improv's command packets hold byte 3, which a console takes for a Ctrl-C; the session's frames stand beside."""
    with serial.serial_for_url(node.start(improv=True), timeout=0.2) as port:
        frames, found = Frames(), []

        def until(kind: int) -> bytes:
            end = time.monotonic() + 10
            while not any(item[0] == kind for item in found):
                assert time.monotonic() < end, found
                found.extend(frames.feed(port.read(max(1, port.in_waiting))))
            at = next(n for n, item in enumerate(found) if item[0] == kind)
            message = found[at][1]
            del found[: at + 1]
            return message

        assert until(STATE) == b"\x02"
        port.write(improv_frame(3, b"\x01\x06\x05plant\x00"))
        assert until(ERROR) == b"\x01"  # longer than it says
        port.write(session_frame(bytes((8, 0))) + improv_frame(3, b"\x01\x0a\x05plant\x03bad"))
        assert until(0)[1:9] == ID
        assert [until(STATE), until(STATE), until(ERROR)] == [b"\x03", b"\x02", b"\x03"]
        port.write(improv_frame(3, b"\x01\x14\x05plant\x0dcorrect horse"))
        assert [until(STATE), until(STATE), until(RESULT)] == [b"\x03", b"\x04", b"\x01\x00"]
        port.write(b"\x03")
        assert node.ended() != 0


@pytest.mark.long
def test_a_window_ends_when_nobody_comes_and_stays_for_whoever_does(node: Node) -> None:
    node.start(window_s=0.3)
    assert node.ended() == 3
    with SerialTransport(node.start(window_s=1.5)) as wire:
        session = Session(wire, CODE, ID)
        assert wire.receive(1.8) is None  # longer than the window
        session.request("commit", {"check": stage(session)})
    assert node.ended() == 0 and node.state() == "enrolled"


def test_a_node_that_is_gone_is_one_line(node: Node) -> None:
    where = node.start()
    with SerialTransport(where) as wire:
        session = Session(wire, CODE, ID)
        node.cut()
        with pytest.raises(SessionError, match=r"is gone|does not answer"):
            session.request("about", timeout=0.3)
    with pytest.raises(SessionError, match="can't be opened"):
        SerialTransport("/dev/nope")


def test_a_ctrl_c_outside_of_frames_still_interrupts(node: Node) -> None:
    with SerialTransport(node.start()) as wire:
        Session(wire, CODE, ID)
        wire._port.write(b"\x03")
        assert node.ended() != 0
