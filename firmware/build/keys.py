"""What a node keeps secret, on its flash: the code that it was flashed with, and its device keys."""

import json
import os

from node import store
from node.room import opened
from quaver_wire.hkdf import hmac

KEY = "/device.key"
CODE = "/session.code"
REVOKED = "/gateways.revoked"


def load_keys(path: str = KEY) -> dict[int, bytes]:
    """{generation: device key of 32 bytes}: the one in force, and the one before it while a rotation is not settled.

    Empty when the node is blank.
    """
    try:
        with opened(path) as file:
            given = json.load(file)
        generation = given["generation"]
        if type(generation) is not int or not 1 <= generation <= 255:
            raise ValueError
        found = {generation: bytes.fromhex(given["key"])}
        if "before" in given:
            found[generation - 1] = bytes.fromhex(given["before"])
        if any(len(key) != 32 for key in found.values()):
            raise ValueError
        return found
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def load_key(path: str = KEY) -> tuple[int, bytes] | None:
    """(generation, device key) in force, or None: the node is blank."""
    keys = load_keys(path)
    if not keys:
        return None
    generation = max(keys)
    return generation, keys[generation]


def corrupt(path: str = KEY) -> bool:
    """Whether there is a key that can't be read: such a node was enrolled, and must not send what nobody sealed."""
    try:
        os.stat(path)
    except OSError:
        return False
    return not load_keys(path)


def save_key(generation: int, key: bytes, before: bytes | None = None, path: str = KEY) -> None:
    """Have this key in force from the next start on. before: the one that the host may still use.

    Called again without `before` once a message under the new key was opened. Raises OSError.
    """
    given = {"generation": generation, "key": key.hex()}
    if before is not None:
        given["before"] = before.hex()
    store.replace(path, json.dumps(given).encode())


def load_revoked(path: str = REVOKED) -> dict[str, int] | None:
    """{gateway's name: least generation of a grant that is still taken}; None for a file that can't be read."""
    try:
        with opened(path) as file:
            return dict(json.load(file))
    except OSError:
        return {}  # none was revoked
    except (ValueError, TypeError):
        return None


def load_code(path: str = CODE) -> bytes | None:
    """The proof of possession that flashing wrote, 16 bytes, or None."""
    try:
        with open(path, "rb") as file:
            code = file.read(17)
        return code if len(code) == 16 else None
    except OSError:
        return None


def key_check(key: bytes) -> str:
    """What tells that two sides have the same device key, and nothing of the key."""
    return hmac(key, b"quaver key check")[:8].hex()
