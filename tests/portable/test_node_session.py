"""The provisioning session: the host's side against the node's, and against those who mean no good."""

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from build.keys import key_check, load_key
from enrol.enrolment import Enrolment
from enrol.session import Session, Tries
from enrol.x25519 import BASE, ladder
from quaver.errors import SessionError
from quaver.messages.sealing import Ccm
from quaver.provision.session import MustWait, Refused, WrongCode
from quaver.provision.session import Session as Host
from quaver_wire import session as wire

CODE = "7K2MXQ4TB0WNZ9RH"
ID = bytes.fromhex("e661640843217a2b")
KEY = bytes(range(32))


def product(scalar: str, point: str) -> str:
    for step in ladder(bytes.fromhex(scalar), bytes.fromhex(point)):
        last = step
    return bytes(last).hex()


@pytest.mark.parametrize(
    ("scalar", "point", "expected"),
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",  # its highest bit is to be masked
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
        (
            "77076d0a7318a57d3c16c17251b26645df4b2f92ebc099c0ac1fc5a18506a2244"[:64],
            BASE.hex(),
            None,
        ),
    ],
)
def test_x25519_is_that_of_rfc_7748(scalar: str, point: str, expected: str | None) -> None:
    """Section 5.2; the third is not its: a scalar of ours, held against the library."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    if expected is None:
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(scalar))
        expected = private.public_key().public_bytes_raw().hex()
    assert product(scalar, point) == expected


def test_x25519_a_thousand_times_over() -> None:
    k = u = BASE.hex()
    for _ in range(1000):
        k, u = product(k, u), k
    assert k == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"  # RFC 7748, 5.2


class Clock:
    now = 0

    def ms(self) -> int:
        return self.now


class Node:
    """A node on a transport that is a pair of queues; `spoil` sees and may change what passes."""

    def __init__(self, root: Path, code: str | None = CODE) -> None:
        self.root = root
        self.clock = Clock()
        self.code = code
        self.passed: list[tuple[str, bytes]] = []
        self.answers: deque[bytes] = deque()
        self.lit = 0
        self.random: Callable[[int], bytes] = os.urandom
        self.start()

    def start(self) -> None:
        """As after power-on: what is in memory is gone."""
        self.tries = Tries(self.clock, str(self.root / "session.tries"))
        code = self.code.encode() if self.code else None
        self.session = Session(ID, code, Ccm, self.tries, self.random)
        self.enrolment = Enrolment(
            {"board": "unix"}, self.check, self.join, self.scan, self.identify, self.tries, root=str(self.root)
        )

    def check(self, config: dict[str, Any]) -> list[str]:
        return [] if config.get("node") else ["node: expected a name"]

    async def join(self, ssid: str, password: str) -> None:
        if password != "correct horse":
            raise OSError("wifi wrong password")

    async def scan(self) -> list[tuple[str, int, bool]]:
        return [("far", -90, True), ("plant", -50, True), ("plant", -70, True), ("", -40, False)]

    def identify(self) -> None:
        self.lit += 1

    def serve(self, message: bytes) -> Iterator[bytes]:
        yield from (out for out in self.session.receive(message) if out)
        if self.session.request is not None:
            yield self.session.answer(asyncio.run(self.enrolment.answer(self.session.request)))

    # What the host's Transport asks for.

    def send(self, message: bytes) -> None:
        self.passed.append(("host", message))
        for out in self.serve(message):
            self.passed.append(("node", out))
            self.answers.append(out)

    def receive(self, timeout: float) -> bytes | None:
        return self.answers.popleft() if self.answers else None

    def state(self) -> tuple[bool, list[str]]:
        return load_key(f"{self.root}/device.key") is not None, sorted(p.name for p in self.root.iterdir())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def enrol(node: Node, config: dict[str, Any] | None = None) -> Host:
    host = Host(node, CODE)
    check = host.request("stage", {"config": config or {"node": "pump-7"}, "key": KEY.hex(), "generation": 1})
    host.request("commit", {"check": check})
    return host


def test_a_technician_enrols_a_node(node: Node) -> None:
    seen: list[int] = []
    host = Host(node, CODE, ID, seen.append)
    assert seen[0] == 2 and seen[-1] > 90 and seen == sorted(seen) and len(seen) > 8
    assert host.request("about") == {
        "board": "unix", "enrolled": False, "generation": 0, "check": "", "wrong_codes": 0
    }  # fmt: skip
    host.request("identify")
    assert node.lit == 1
    assert host.request("scan") == [["plant", -50, True], ["far", -90, True]]
    with pytest.raises(Refused, match="wifi wrong password"):
        host.request("join", {"ssid": "plant", "password": "battery staple"})
    host.request("join", {"ssid": "plant", "password": "correct horse"})
    with pytest.raises(Refused, match="config: node: expected a name"):
        host.request("stage", {"config": {}, "key": KEY.hex(), "generation": 1})
    check = host.request("stage", {"config": {"node": "pump-7"}, "key": KEY.hex(), "generation": 1})
    assert check == key_check(KEY)
    assert node.state() == (False, ["session.tries"])
    with pytest.raises(Refused, match="not of the staged key"):
        host.request("commit", {"check": "0" * 16})
    assert node.state() == (False, ["session.tries"])
    host.request("commit", {"check": check})
    assert node.enrolment.done
    assert load_key(f"{node.root}/device.key") == (1, KEY)
    assert json.loads((node.root / "config.json").read_text()) == {"node": "pump-7"}
    node.start()
    about = Host(node, CODE, ID).request("about")
    assert (about["enrolled"], about["generation"], about["check"]) == (True, 1, key_check(KEY))


def test_nothing_secret_passes_in_clear(node: Node) -> None:
    host = Host(node, CODE)
    host.request("join", {"ssid": "plant", "password": "correct horse"})
    host.request("stage", {"config": {"node": "n"}, "key": KEY.hex(), "generation": 1})
    passed = b"".join(message for _, message in node.passed)
    for secret in (b"correct horse", b"plant", KEY, KEY.hex().encode(), CODE.encode()):
        assert secret not in passed


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"[]", "expected an object"),
        (b"{}", "do"),
        (b'{"do":"format"}', "unknown request"),
        (b'{"do":"join","ssid":1,"password":""}', "expected text of 1 to 32"),
        (b'{"do":"join"}', "join"),
        (b'{"do":["join"]}', ""),
        (b'{"do":"stage","config":{"node":"x"},"key":"00","generation":1}', "key: expected 32 bytes"),
        (b'{"do":"stage","config":{"node":"x"},"key":"zz","generation":1}', ""),
        (b'{"do":"commit","check":"x"}', "nothing is staged"),
        (b"\xff", ""),
        (b"{", ""),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_reason(node: Node, request_: bytes, reason: str) -> None:
    answer = json.loads(asyncio.run(node.enrolment.answer(request_)))
    assert list(answer) == ["error"] and answer["error"]
    if reason not in ("join", "do"):
        assert reason in answer["error"]
    assert node.state() == (False, [])


def test_a_wrong_code_is_slowed_limited_and_told(node: Node) -> None:
    waits = []
    for _ in range(9):
        with pytest.raises(WrongCode):
            Host(node, "0" * 16)
        with pytest.raises(MustWait) as caught:
            Host(node, CODE)
        waits.append(caught.value.seconds)
        node.start()  # a power cut does not shorten the wait
        wait = node.tries.wait_s()
        assert wait == (0 if len(waits) < 5 else waits[-1])
        node.clock.now += 1000 * waits[-1]
    assert waits == [2, 2, 2, 2, 30, 60, 120, 240, 480]
    host = Host(node, CODE)
    assert host.request("about")["wrong_codes"] == 9  # until an event has told of them, once the node is in service
    assert host.request("about")["wrong_codes"] == 9
    node.start()
    assert node.tries.wait_s() == 0
    assert node.state()[0] is False


def test_a_power_cut_in_the_middle_of_a_try_gives_none_for_free(node: Node) -> None:
    for _ in range(5):
        host_side = iter(node.session.receive(bytes((1, 1)) + BASE))
        for _ in host_side:
            pass
        node.tries.begin()  # and the power is cut before the proof is looked at
        node.start()
    assert node.tries.wait_s() == 30


def test_a_node_that_can_not_count_takes_no_code(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "session.tries.new").mkdir()  # the disk refuses the write
    with pytest.raises(MustWait):
        Host(node, CODE)


def test_a_node_without_random_numbers_makes_no_session_key(tmp_path: Path) -> None:
    node = Node(tmp_path)

    def none_left(count: int) -> bytes:
        raise OSError("random numbers: no source of noise is left")

    node.random = none_left
    node.start()
    with pytest.raises(SessionError, match="can't make random numbers"):
        Host(node, CODE)


def test_without_a_code_there_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="flash it"):
        Host(Node(tmp_path, code=None), CODE)


class Middle:
    """A man in the middle with keys of his own on both sides, who lacks the code."""

    def __init__(self, node: Node, code: str, bold: bool) -> None:
        """bold: where he can't know the host's proof, he sends some proof of his own."""
        self._bold = bold
        self.heard: list[int] = []
        self._towards_host = Session(ID, code.encode(), Ccm, Tries(Clock(), str(node.root / "his.tries")), os.urandom)
        self._answers: deque[bytes] = deque()

    def send(self, message: bytes) -> None:
        self.heard.append(message[0])
        for out in self._towards_host.receive(message):
            if out and out[0] == wire.REFUSED and self._bold:
                out = bytes((wire.PROOF_NODE,)) + bytes(32)
            if out:
                self._answers.append(out)

    def receive(self, timeout: float) -> bytes | None:
        return self._answers.popleft() if self._answers else None


@pytest.mark.parametrize("bold", [False, True])
def test_a_man_in_the_middle_gets_no_session(node: Node, bold: bool) -> None:
    middle = Middle(node, "0" * 16, bold)
    with pytest.raises(WrongCode, match="nothing was sent" if bold else "check its label"):
        Host(middle, CODE)
    assert middle.heard == [wire.HELLO_HOST, wire.PROOF_HOST]


def test_relayed_with_altered_keys_the_proofs_do_not_fit(node: Node) -> None:
    class Relay:
        def send(self, message: bytes) -> None:
            if message[0] == wire.HELLO_HOST:
                message = message[:-1] + bytes((message[-1] ^ 1,))
            node.send(message)

        def receive(self, timeout: float) -> bytes | None:
            return node.receive(timeout)

    with pytest.raises(WrongCode):
        Host(Relay(), CODE)
    assert not node.session.is_open and node.tries.untold == 1


def test_replays_change_nothing(node: Node) -> None:
    host = enrol(node)
    recorded = [message for who, message in node.passed if who == "host"]
    held = (node.root / "device.key").read_bytes()
    node.start()
    fresh = Host(node, CODE)
    before = node.session.refused
    for message in recorded:
        if message[0] == wire.SEALED:
            (answer,) = node.serve(message)
            assert answer[0] == wire.REFUSED
    assert node.session.refused == before + 2
    assert fresh.request("about")["enrolled"]
    for message in recorded:  # and with its own handshake, whose ephemeral key the node does not use twice
        list(node.serve(message))
    assert not node.session.is_open
    assert node.enrolment.done is False and (node.root / "device.key").read_bytes() == held
    assert host.identity == ID


def test_a_lost_answer_is_sent_again_and_the_request_done_once(node: Node) -> None:
    host = Host(node, CODE)
    lose = [True, False]
    real = node.send

    def send(message: bytes) -> None:
        real(message)
        if lose.pop(0):
            node.answers.clear()

    node.send = send  # type: ignore[method-assign]
    with patch("quaver.provision.session._AGAIN_S", 0.02):
        host.request("identify")
    assert node.lit == 1 and lose == []


def test_altered_messages_are_refused_and_after_eight_the_session_is_over(node: Node) -> None:
    host = Host(node, CODE)
    message = bytearray(host._outgoing.seal(b'{"do":"identify"}'))
    host._outgoing.counter -= 1
    for byte in (1, 2, 3, 8, len(message) - 1, 5, 6):
        altered = bytearray(message)
        altered[byte] ^= 1
        (answer,) = node.serve(bytes(altered))
        assert wire.REASONS[answer[1]] == "altered"
    host.request("identify")
    assert node.lit == 1
    message[2] = 1
    (answer,) = node.serve(bytes(message))
    assert not node.session.is_open
    (answer,) = node.serve(bytes(message))
    assert wire.REASONS[answer[1]] == "no_session"


def test_points_of_small_order_are_refused(node: Node) -> None:
    for point in (bytes(32), b"\x01" + bytes(31)):
        answers = list(node.serve(bytes((1, 1)) + point))
        assert answers[-1] == wire.refused("malformed")


@example([b"\x08\x00", b"\x08\x01", b"\x08"])
@given(
    st.lists(
        st.binary(max_size=60) | st.builds(lambda k, b: bytes((k,)) + b, st.integers(2, 8), st.binary()), max_size=30
    )
)
def test_garbage_changes_no_state(tmp_path_factory: pytest.TempPathFactory, messages: list[bytes]) -> None:
    node = Node(tmp_path_factory.mktemp("flash"))
    refused = 0
    for message in messages:
        if message[:1] == b"\x01":  # a HELLO takes the time of two X25519
            continue
        asks = wire.kind_of(message) == wire.WHO  # which is answered to anybody
        refused += not asks
        assert [out[0] for out in node.serve(message)] == [wire.HERE if asks else wire.REFUSED]
    assert node.state() == (False, []) and not node.session.is_open
    assert node.session.refused == refused


def test_a_giant_message_is_refused(node: Node) -> None:
    host = Host(node, CODE)
    (answer,) = node.serve(bytes((wire.SEALED,)) + bytes(5000))
    assert answer == wire.refused("malformed")
    with pytest.raises(SessionError, match="shorten it"):
        host.request("stage", {"config": {"node": "x" * 3000}, "key": "", "generation": 1})


def test_what_was_flashed_stays_where_the_enrolment_does_not_say_otherwise(node: Node) -> None:
    (node.root / "config.json").write_text('{"energy":null,"site":"desk","vibration":{"range_g":4}}')
    enrol(node, {"node": "pump-7", "site": "north"})
    assert json.loads((node.root / "config.json").read_text()) == {
        "energy": None, "site": "north", "vibration": {"range_g": 4}, "node": "pump-7"
    }  # fmt: skip
