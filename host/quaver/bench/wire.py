"""What a sealed record costs: its bytes against the usual forms, and the board's time to encode and seal it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quaver.bench import Figure
from quaver.board.guest import guest
from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.messages.sealing import Sealer
from quaver_wire.cbor import encode
from quaver_wire.fields import VERSION

GOAL_MS = 6.0
GOAL_PLAIN = 64
GOAL_SEALED = 96

DEVICE_KEY = bytes(range(32))
NODE = bytes.fromhex("0000e66138528350")
GENERATION = 1
BOOT = 412
SEQ = 70001

# What a node sends of each measurement, dated: 17 features, and the zone of one of them.
RECORD: Mapping[str, Any] = {
    "version": VERSION,
    "time_ms": 1_763_875_606_123,
    "level": 0,
    "quality": 0,
    "rms_g": 0.4312,
    "peak_g": 1.6875,
    "crest": 3.92,
    "kurtosis": 3.14,
    "skew": -0.12,
    "velocity_mm_s": 2.36,
    "zone": 1,
    "envelope_g": 0.0825,
    "temperature_c": 41.734375,
    "shaft_hz": 29.53,
    "shaft_confidence": 0.87,
    "energy": [231.4, 3.217, 612.5, 744.4, 0.82, 49.98, 1234.56],
}


_SPECTRA = ("spectrum", "envelope_spectrum")


@dataclass(frozen=True)
class Sealed:
    """A message as the board made it, and the longest of its times, microseconds of the board's own clock."""

    encode_us: int
    seal_us: int
    sealed: bytes


def measure(board: Board, vectors: Sequence[Mapping[str, Any]], rounds: int = 3) -> list[Sealed]:
    """Let `board`, which has the firmware, encode and seal each vector (protocols/vectors/records.json)."""
    wanted = ("leaf", "device_key", "node_id", "generation", "boot", "seq", "record")
    brief = [{name: vector[name] for name in wanted} for vector in vectors]
    for each in brief:  # bytes, which JSON has not
        each["record"] = {k: bytes.fromhex(v) if k in _SPECTRA else v for k, v in each["record"].items()}
    code = guest(__file__, "encode_and_seal", vectors=brief, rounds=rounds)
    answer = ast.literal_eval(board.exec(code, timeout=60.0).strip())
    return [Sealed(encode_us, seal_us, bytes.fromhex(data.decode())) for encode_us, seal_us, data in answer]


def vector() -> dict[str, Any]:
    """RECORD as a vector for `measure`."""
    return {
        "leaf": "telemetry",
        "device_key": DEVICE_KEY.hex(),
        "node_id": NODE.hex(),
        "generation": GENERATION,
        "boot": BOOT,
        "seq": SEQ,
        "record": dict(RECORD),
    }


def run_wire(board: str, step: Callable[[str], None] = lambda said: None) -> list[Figure]:
    """Every figure of `quaver bench wire`, its times measured on "rp2040", "esp32_c3" or "unix".

    step: told what is being measured. Raises BoardError and what a build raises.
    """
    step("a record's bytes")
    buffer = bytearray(512)
    plain = bytes(buffer[: encode(buffer, dict(RECORD), "telemetry")])
    sealed = Sealer(DEVICE_KEY, NODE, GENERATION, "uplink").seal("telemetry", BOOT, SEQ, plain)
    step(f"its encoding and sealing on {board}")
    files = dict(firmware_files({"rp2040": "pico_w"}.get(board, board)))
    files.pop("main.py")
    with open_board(f"{board}:", Setup(files=files)) as opened:
        (found,) = measure(opened, [vector()])
    return [
        Figure("record of 17 features", len(plain), "B", GOAL_PLAIN, note="CBOR"),
        Figure("the same sealed", len(sealed), "B", GOAL_SEALED, note="COSE_Encrypt0"),
        Figure("the same as plain JSON", len(json.dumps(RECORD, separators=(",", ":"))), "B"),
        Figure("the same as SenML JSON", len(json.dumps(_senml(), separators=(",", ":"))), "B", note="RFC 8428"),
        Figure("encode", found.encode_us / 1000, "ms"),
        Figure("seal", found.seal_us / 1000, "ms"),
        Figure("encode and seal", (found.encode_us + found.seal_us) / 1000, "ms", GOAL_MS if board != "unix" else None),
    ]


def _senml() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, value in RECORD.items():
        if name in ("version", "time_ms", "level", "quality"):
            continue
        values = value if isinstance(value, list) else [value]
        rows += [{"n": f"{name}{i}" if len(values) > 1 else name, "v": v} for i, v in enumerate(values)]
    return [{"bn": "n1/", "bt": RECORD["time_ms"] / 1000, **rows[0]}, *rows[1:]]
