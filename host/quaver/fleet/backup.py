"""A backup of a key store: its files in one, encrypted with a passphrase, and put back into an empty folder.

The format: a line of JSON, then what ChaCha20-Poly1305 (RFC 8439) made of the files, which vouches for the line, too.
The key comes from the passphrase by scrypt (RFC 7914) with the line's salt and cost.

What is put back may be older than what was used since, and a number of a command must not be used twice under one key
(command_numbers.py). So a restored store goes on a day or two ahead of the date and of all the numbers that it knows:
above whatever a store whose clock was right gave out until then. How far ahead is drawn, so that two that are restored
from one backup part.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from quaver.errors import KeyStoreError
from quaver.files.private import read_private, write_private
from quaver.fleet.command_numbers import Counter
from quaver.fleet.keys import KeyStore

PASSPHRASE_MIN = 12  # characters
_PASSPHRASE_MAX = 1024  # bytes
_KIND = "quaver key store"
_VERSION = 1
_COST = 1 << 17  # 128 MB and half a second for each guess
_COST_MAX = 1 << 20  # of a file that is read: it may be a stranger's
_FILE_MAX = 24 << 20  # bytes of one file in the store
_BACKUP_MAX = 128 << 20
_LINE_MAX = 1024


@dataclass(frozen=True)
class Restored:
    """made: when the backup was, seconds since the epoch."""

    made: int
    files: int
    nodes: int


def read_passphrase(path: Path) -> str:
    """The first line of a private file. Raises KeyStoreError."""
    data = read_private(path, _PASSPHRASE_MAX, KeyStoreError)
    if data is None:
        raise KeyStoreError(f"{path}: there is no such file; write the passphrase into it, and chmod 600")
    try:
        return data.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise KeyStoreError(f"{path}: is not UTF-8 text; write the passphrase into it") from None


def back_up(store: KeyStore, path: Path, passphrase: str, cost: int = _COST) -> int:
    """Write all files of a store into a new file, encrypted; how many they are. Raises KeyStoreError."""
    if len(passphrase) < PASSPHRASE_MIN:
        raise KeyStoreError(f"the passphrase has {len(passphrase)} characters; use {PASSPHRASE_MIN} or more")
    store.refresh()  # which checks it, too
    files = {}
    for found in sorted(store.folder.iterdir()):
        if found.name.startswith(".") or not stat.S_ISREG(found.lstat().st_mode):
            continue  # locks
        data = read_private(found, _FILE_MAX, KeyStoreError)
        if data is not None:
            files[found.name] = base64.b64encode(data).decode()
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    line = json.dumps(
        {"kind": _KIND, "version": _VERSION, "scrypt": cost, "salt": salt.hex(), "nonce": nonce.hex()}
    ).encode()
    content = json.dumps({"made": int(store.clock()), "files": files}).encode()
    sealed = ChaCha20Poly1305(_key(passphrase, salt, cost)).encrypt(nonce, content, line)
    write_private(path, line + b"\n" + sealed, KeyStoreError, fresh=True)
    return len(files)


def restore(path: Path, folder: Path, passphrase: str, clock: Callable[[], float] = time.time) -> Restored:
    """Put a backup into a folder that is empty or not there; nothing is written unless it is whole.

    Raises KeyStoreError.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise KeyStoreError(f"{folder}: is not an empty folder; name one with --keys, a store is never written over")
    made, files = _opened(path, passphrase)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        aside.mkdir(mode=0o700, parents=True)
        for name, data in files.items():
            write_private(aside / name, data, KeyStoreError)
        Counter(aside, clock).jump()
        nodes = len(KeyStore(aside).nodes())
        aside.replace(folder)  # also over an empty one: the store is there whole, or not at all
    except OSError as error:
        raise KeyStoreError(
            f"{folder}: can't be written ({error.strerror}); free disk space or name another folder with --keys"
        ) from error
    finally:
        _discard(aside)
    return Restored(made, len(files), nodes)


def _opened(path: Path, passphrase: str) -> tuple[int, dict[str, bytes]]:
    unfit = KeyStoreError(f"{path}: is not a backup of a key store that this quaver can read")
    try:
        with path.open("rb") as file:
            data = file.read(_BACKUP_MAX + 1)
    except OSError as error:
        raise KeyStoreError(f"{path}: can't be read ({error.strerror}); name a backup") from error
    line, found, sealed = data.partition(b"\n")
    if not found or len(line) > _LINE_MAX or len(data) > _BACKUP_MAX:
        raise unfit
    try:
        given = json.loads(line)
        cost, salt, nonce = given["scrypt"], bytes.fromhex(given["salt"]), bytes.fromhex(given["nonce"])
        if given["kind"] != _KIND or given["version"] != _VERSION or len(nonce) != 12:
            raise unfit
        if type(cost) is not int or not 2 <= cost <= _COST_MAX or cost & (cost - 1):
            raise unfit
    except (ValueError, KeyError, TypeError, RecursionError):
        raise unfit from None
    try:
        whole = json.loads(ChaCha20Poly1305(_key(passphrase, salt, cost)).decrypt(nonce, sealed, line))
    except InvalidTag:
        raise KeyStoreError(
            f"{path}: another passphrase, or the file is damaged; nothing was written: try again, or another copy"
        ) from None
    files = {name: base64.b64decode(text) for name, text in whole["files"].items()}
    if any(name != Path(name).name or name.startswith(".") for name in files):
        raise unfit
    return whole["made"], files


def _key(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode())


def _discard(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
