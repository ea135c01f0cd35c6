"""What it takes a Pico W to check a release's signature, by its own time: the emulator counts the chip's cycles."""

import json
import time

from cryptography.hazmat.primitives.asymmetric import ec

from quaver.build import firmware_files
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.release.bundle import build_release
from quaver.release.signing import PrivateKey
from tests.programs import program

KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
LONGEST_S = 1.2
STEP_S = 0.1


def test_a_signature_is_checked_in_time_and_in_short_steps() -> None:
    [envelope] = build_release(["pico_w"], 7, expires=int(time.time()) + 1_000_000, key=KEY).envelopes
    files = {**firmware_files("pico_w"), "main.py": b"", "envelope": envelope, "key": KEY.public.xy}
    with Rp2040Board(Setup(files=files)) as board:
        steps, opened = json.loads(board.exec(program(__file__, "signature")))
    assert opened
    assert sum(steps) < LONGEST_S * 1e6 and max(steps) < STEP_S * 1e6
