"""A technician and a real MicroPython: enrolment over a terminal, with noise, cuts and a second try."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.enrol import key_check, load_key
from quaver.errors import SessionError
from quaver.provision.serial import SerialTransport
from quaver.provision.session import Refused, Session, WrongCode, who
from quaver_wire.frames import session_frame
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


def test_from_blank_to_enrolled(node: Node) -> None:
    where = node.start(join_ms=1200)
    percents: list[int] = []
    with SerialTransport(where) as wire:
        assert who(wire, show=True) == (ID, False, True)
        session = Session(wire, CODE, ID, percents.append)
        assert session.request("about")["enrolled"] is False
        assert session.request("scan") == [["plant", -52, True], ["guests", -70, False]]
        with pytest.raises(Refused, match="wifi wrong password"):
            session.request("join", {"ssid": "plant", "password": "x"})
        # it takes longer than a request without an answer is waited for: the node says meanwhile that it lives
        session.request("join", {"ssid": "plant", "password": "correct horse"}, timeout=0.8)
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


def test_a_node_that_is_gone_is_one_line(node: Node) -> None:
    where = node.start()
    with SerialTransport(where) as wire:
        session = Session(wire, CODE, ID)
        node.cut()
        with pytest.raises(SessionError, match=r"is gone|does not answer"):
            session.request("about", timeout=0.3)
    with pytest.raises(SessionError, match="can't be opened"):
        SerialTransport(where + "0")


def test_a_ctrl_c_outside_of_frames_still_interrupts(node: Node) -> None:
    with SerialTransport(node.start()) as wire:
        Session(wire, CODE, ID)
        wire._port.write(b"\x03")
        assert node.ended() != 0
