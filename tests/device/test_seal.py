"""A record's way from numbers to sealed bytes on the board itself, and how long it takes there."""

import ast
import json
from pathlib import Path

import cbor2
import pytest
from pycose.algorithms import AESCCM1664128
from pycose.headers import IV, Algorithm
from pycose.keys import SymmetricKey
from pycose.messages import Enc0Message

from quaver.bench.wire import measure
from quaver.board.interface import Board
from quaver_wire.hkdf import derive
from tests.programs import program

pytestmark = pytest.mark.each_chip

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "protocols" / "vectors" / "records.json").read_text(encoding="utf-8")
)


def test_the_board_seals_the_vectors_and_opens_what_it_should(board: Board) -> None:
    found = measure(board, VECTORS)
    assert [each.sealed for each in found] == [bytes.fromhex(vector["sealed"]) for vector in VECTORS]


def test_the_board_takes_a_command_once(board: Board) -> None:
    node, device_key = bytes(range(8)), bytes(range(32))
    key, context_iv = derive(device_key, "downlink", node, 1)
    nonce = bytes(a ^ b for a, b in zip((2 << 24 | 5).to_bytes(13, "big"), context_iv, strict=True))
    message = Enc0Message(
        phdr={Algorithm: AESCCM1664128},
        uhdr={IV: nonce},
        payload=cbor2.dumps({0: 2, 40: 7, 41: "ping"}),
        key=SymmetricKey(k=key),
        external_aad=b"command",
    )
    good = cbor2.dumps([b"\xa1\x01\x0a", {4: node + b"\x01", 6: b"\x02\0\0\x05"}, message.encrypt()])
    altered = good[:-1] + bytes([good[-1] ^ 1])
    messages = [each.hex() for each in (altered, good, good)]
    code = program(__file__, "open", node_id=node.hex(), key=device_key.hex(), messages=messages)
    assert ast.literal_eval(board.exec(code).strip()) == [
        "wrong_key", {"version": 2, "id": 7, "name": "ping"}, "replay"
    ]  # fmt: skip
