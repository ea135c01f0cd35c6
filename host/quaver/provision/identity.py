"""The provisioning room's identities: a node's id, and the code that proves that somebody holds its label.

A code is 15 random symbols of Crockford's base 32, 75 bits, and one that checks them: a mistyped symbol or two that
changed places are found before the node counts a wrong try. It is made when a board is flashed, stands on the node's
flash (session.code) and on its label, and here in a file that its owner alone can read. It is never printed.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from quaver.board.interface import Board
from quaver.emulator.targets import open_board
from quaver.errors import BoardError, SessionError
from quaver.files.private import read_private, write_private

CODE_FILE = "session.code"
"""Where the code stands on a node's flash: 16 bytes, the normal form."""

_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM = 15
_READ_AS = str.maketrans("OIL", "011", " -")
_SCANNED = re.compile(r"QUAVER1:([0-9A-F]{16}):([0-9A-Z]{16})")
_FILE = "codes.json"
_FILE_MAX = 8 << 20


class CodeError(SessionError):
    """A code that is not one. Never says the code."""


def new_code() -> str:
    """A fresh code in its normal form: 16 symbols."""
    code = "".join(secrets.choice(_SYMBOLS) for _ in range(_RANDOM))
    return code + _SYMBOLS[_check(code)]


def _double(value: int) -> int:
    """Times x in GF(32), reduced by x^5 + x^2 + 1; x has order 31, so no two places weigh the same."""
    value <<= 1
    return value ^ 0x25 if value & 0x20 else value


def _check(code: str) -> int:
    value = 0
    for symbol in code:
        value = _double(value ^ _SYMBOLS.index(symbol))
    return value


def normal(text: str) -> str:
    """The normal form of a code as people type it: any case, dashes and spaces, O for 0, I and L for 1.

    Raises CodeError.
    """
    code = text.upper().translate(_READ_AS)
    if len(code) != _RANDOM + 1 or code.strip(_SYMBOLS):
        raise CodeError(f"not a code: expected 16 letters and digits as on the label, found {len(code)}")
    if _SYMBOLS.index(code[-1]) != _check(code[:-1]):
        raise CodeError("not this code: a symbol is mistyped or two are swapped; read the label again")
    return code


def shown(code: str) -> str:
    """A normal code in groups of four, for a label."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def label_text(node_id: bytes, code: str) -> str:
    """What a label's QR code says; only letters, digits and colons, so that it stays small."""
    return f"QUAVER1:{node_id.hex().upper()}:{code}"


def scanned(text: str) -> tuple[bytes, str]:
    """(node id, code) of a label's QR code. Raises CodeError."""
    match = _SCANNED.fullmatch(text.strip())
    if not match:
        raise CodeError("not a label of a Quaver node: scan the square on the label, or type its code")
    return bytes.fromhex(match[1]), normal(match[2])


class Codes:
    """The codes of the nodes that were flashed here; folder: the key store's. Raises SessionError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / _FILE
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[bytes, str]]:
        """(node id, code), by id."""
        return iter(sorted(self._read().items()))

    def get(self, node_id: bytes) -> str | None:
        return self._read().get(node_id)

    def put(self, node_id: bytes, code: str) -> None:
        """Remember a node's code; one that it had before is forgotten."""
        code = normal(code)
        with self._lock:  # boards are flashed many at once
            known = self._read()
            if known.get(node_id) == code:
                return
            known[node_id] = code
            data = json.dumps({node.hex(): code for node, code in sorted(known.items())}, indent=1)
            write_private(self.path, data.encode(), SessionError)

    def _read(self) -> dict[bytes, str]:
        data = read_private(self.path, _FILE_MAX, SessionError)
        if data is None:
            return {}
        try:
            return {_node_id(node): normal(code) for node, code in json.loads(data).items()}
        except (ValueError, AttributeError, CodeError):
            raise SessionError(f"{self.path}: corrupt, and not changed; restore it from a backup") from None


def give_code(board: Board, codes: Codes) -> bytes:
    """See that a flashed board has a code, and that `codes` knows it; returns the node's id. Raises QuaverError.

    A code that is on the board already stays true: its label may be printed.
    """
    unique = bytes.fromhex(board.exec("import machine\nprint(machine.unique_id().hex())").strip())
    identity = unique.rjust(8, b"\0")
    held = None
    with contextlib.suppress(BoardError, UnicodeDecodeError, CodeError):
        held = normal(board.get(CODE_FILE).decode())
    code = held or codes.get(identity) or new_code()
    codes.put(identity, code)  # first: a code that only the board knows would be lost
    if held is None:
        board.put(CODE_FILE, code.encode())
    return identity


def give_code_at(device: str, codes: Codes, files: Mapping[str, bytes] | None = None) -> bytes:
    """The same for the board at a device or socket://host:port, which starts anew afterwards. Raises QuaverError.

    files: what else goes onto its flash, path -> content.
    """
    where = device if device.startswith("socket://") else f"serial:{device}"
    with open_board(where) as board:
        identity = give_code(board, codes)
        for path, content in (files or {}).items():
            board.put(path, content)
        board.reset()
    return identity


def _node_id(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != 8:
        raise ValueError
    return found
