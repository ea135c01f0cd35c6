"""Passwords: what is taken for one, and their hashes by Argon2id (RFC 9106)."""

from __future__ import annotations

import threading
import unicodedata
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from quaver.errors import AccessError

try:
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError
except ImportError as error:
    raise AccessError("the page's users need argon2-cffi: pip install 'quaver[page]'") from error

SHORTEST, LONGEST = 12, 256  # characters
_DIFFERENT = 5  # characters that a password has at least, or it is a pattern
_HASH_BYTES, _SALT_BYTES = 32, 16
_AT_ONCE = 2  # hashes: each takes `memory_kib`, and a stranger may ask for many


@dataclass(frozen=True)
class Cost:
    """What a hash costs: passes over the memory, its size in KiB, and lanes."""

    passes: int
    memory_kib: int
    lanes: int


# OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, t = 2, p = 1. About 0.1 s on a small machine.
OWASP = Cost(passes=2, memory_kib=19_456, lanes=1)


class Passwords:
    """Hashes and compares. cost: what new hashes cost; one with another cost holds, and is `stale`."""

    def __init__(self, cost: Cost = OWASP) -> None:
        self._hasher = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes, _HASH_BYTES, _SALT_BYTES)
        self._turn = threading.Semaphore(_AT_ONCE)
        salt, nothing = (b64encode(bytes(size)).decode().rstrip("=") for size in (_SALT_BYTES, _HASH_BYTES))
        self._nobody = f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${nothing}"

    def hash(self, password: str) -> str:
        """A hash with a salt of its own, in the PHC format: parameters, salt, hash."""
        with self._turn:
            return self._hasher.hash(_plain(password))

    def matches(self, kept: str, password: str) -> bool:
        """Whether `kept` is of this password. "": of none, which takes as long to find out."""
        try:
            with self._turn:
                return self._hasher.verify(kept or self._nobody, _plain(password)) and bool(kept)
        except (Argon2Error, InvalidHashError):
            return False

    def stale(self, kept: str) -> bool:
        """Whether a hash is of another cost than new ones."""
        return self._hasher.check_needs_rehash(kept)


def _plain(password: str) -> bytes:
    # One form for one text, however a keyboard composes it: RFC 8265, section 4.2.
    return unicodedata.normalize("NFC", password[: LONGEST + 1]).encode(errors="surrogatepass")


def check_password(password: str, name: str) -> None:
    """Raises AccessError for what is no good password of that user."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccessError(f"a password has {SHORTEST} to {LONGEST} characters; take a longer one, such as four words")
    if len(set(password.casefold())) < _DIFFERENT:
        raise AccessError(f"a password has at least {_DIFFERENT} different characters; take another")
    if len(name) > 3 and name.casefold() in password.casefold():
        raise AccessError("the password holds the user's name, which is guessed first; take another")


def read_password(path: Path) -> str:
    """The first line of a file, without its end. Raises AccessError."""
    try:
        with path.open("rb") as file:
            line = file.readline(4 * LONGEST + 2)
        return line.decode().rstrip("\r\n")
    except OSError as error:
        raise AccessError(f"{path}: can't be read ({error.strerror}); name a file with the password") from error
    except UnicodeDecodeError as error:
        raise AccessError(f"{path}: is not UTF-8 text; write the password in its first line") from error
