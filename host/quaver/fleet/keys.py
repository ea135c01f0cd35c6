"""The key store: the device key of every node, in a file that only its owner can read.

A folder of mode 0700 holds one file of mode 0600: JSON, with a SHA-256 over its content, so that a digit that changed
on the disk is a corrupt store and not a key that opens nothing. A store whose permissions are wider, whose owner is
somebody else, or whose content can't be trusted is refused, and never written over. A change is written aside,
flushed and renamed: a cut leaves the old store or the new one.

A node is known by its chip's id, 8 bytes; each of its keys has a generation, 1 to 255, which the messages name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from quaver.errors import KeyStoreError
from quaver.files.private import data_path, replace_private

KEY_BYTES = 32
_ID_BYTES = 8
_FILE = "keys.json"
_VERSION = 1
_GENERATIONS = 255  # one byte of the key id on the wire
_NAME_MAX = 24  # as the node's own configuration has it
_FILE_MAX = 16 << 20  # bytes; 50,000 nodes take 10 MB


@dataclass(frozen=True)
class NodeKeys:
    """One node's entry: its id, the name that its topics carry, and its keys by generation.

    created: when the entry was made, seconds since the epoch. The keys stay out of every repr.
    """

    node_id: bytes
    name: str
    created: int
    keys: Mapping[int, bytes] = field(repr=False)

    @property
    def generation(self) -> int:
        """The newest generation."""
        return max(self.keys)


def default_folder() -> Path:
    """`QUAVER_KEYS`, or the folder "keys" in the user's data folder for "quaver"."""
    return data_path("QUAVER_KEYS", "keys")


def parse_node_id(text: str) -> bytes:
    """A chip's id as people write it: hexadecimal, up to 16 digits, colons and dashes allowed; zeros fill the left.

    Raises KeyStoreError.
    """
    digits = text.replace(":", "").replace("-", "").lower()
    if not 1 <= len(digits) <= 2 * _ID_BYTES or digits.strip("0123456789abcdef"):
        raise KeyStoreError(
            f"node id {_shown(text)}: expected up to 16 hexadecimal digits, as machine.unique_id() gives it"
        )
    return bytes.fromhex(digits.zfill(2 * _ID_BYTES))


class KeyStore:
    """The device keys in one folder. Reading needs it to exist; the first `create` makes it.

    It reads the file when it is first asked and again whenever the file has changed (`refresh`). Every method that
    reads or writes raises KeyStoreError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / _FILE
        self._nodes: dict[bytes, NodeKeys] | None = None
        self._seen: tuple[int, ...] | None = None

    def nodes(self) -> list[NodeKeys]:
        """Every node, by name."""
        return sorted(self._known().values(), key=lambda node: node.name)

    def get(self, node_id: bytes) -> NodeKeys | None:
        return self._known().get(node_id)

    def device_keys(self, node_id: bytes) -> Mapping[int, bytes]:
        """Generation -> 32-byte device key; empty for a node that is not enrolled."""
        node = self._known().get(node_id)
        return node.keys if node else {}

    def refresh(self) -> bool:
        """Read the file again if it has changed since; whether it had."""
        if self._nodes is not None and self._stamp() == self._seen:
            return False
        self._nodes = self._read()
        return True

    def create(self, node_id: bytes, name: str = "", key: bytes | None = None) -> NodeKeys:
        """Enrol a node with a fresh random key of generation 1, or with `key`; name: its id where none is given."""
        if len(node_id) != _ID_BYTES:  # the file would be refused as corrupt when it is next read
            raise KeyStoreError(f"node id {node_id.hex()}: expected {_ID_BYTES} bytes, with zeros on the left")
        if key is not None and len(key) != KEY_BYTES:
            raise KeyStoreError(f"a device key has {KEY_BYTES} bytes, not {len(key)}; name the file that was exported")
        with self._changing(create=True) as nodes:
            if node_id in nodes:
                known = nodes[node_id]
                raise KeyStoreError(
                    f"node {node_id.hex()} is enrolled already, as {known.name}; "
                    "give it a new key with: quaver keys rotate, or remove it first"
                )
            name = _checked_name(name or node_id.hex(), node_id, nodes)
            node = NodeKeys(node_id, name, int(time.time()), {1: key or secrets.token_bytes(KEY_BYTES)})
            nodes[node_id] = node
            return node

    def rotate(self, node_id: bytes) -> NodeKeys:
        """Give a node a new key beside the old ones, which stay until `forget`."""
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            if node.generation >= _GENERATIONS:
                raise KeyStoreError(
                    f"node {node.name}: has had {_GENERATIONS} keys, the most that a message can name; re-enrol it"
                )
            keys = {**node.keys, node.generation + 1: secrets.token_bytes(KEY_BYTES)}
            nodes[node_id] = replace(node, keys=keys)
            return nodes[node_id]

    def rename(self, node_id: bytes, name: str) -> NodeKeys:
        """Change the name that the node's topics carry."""
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            nodes[node_id] = replace(node, name=_checked_name(name, node_id, nodes))
            return nodes[node_id]

    def forget(self, node_id: bytes) -> list[int]:
        """Drop every key but the newest; the generations that went."""
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            nodes[node_id] = replace(node, keys={node.generation: node.keys[node.generation]})
            return sorted(set(node.keys) - {node.generation})

    def remove(self, node_id: bytes) -> NodeKeys:
        """Drop a node and all its keys: whatever it sent and nobody opened stays closed."""
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            del nodes[node_id]
            return node

    def export(self, node_id: bytes, path: Path) -> NodeKeys:
        """Write the newest key, 32 bytes, to a new file of mode 0600; one that exists is not touched."""
        node = self._required(self._known(), node_id)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError as error:
            raise KeyStoreError(f"{path}: exists; name a new file, a key never overwrites one") from error
        except OSError as error:
            raise KeyStoreError(
                f"{path}: can't be created ({error.strerror}); name a file in a folder of yours"
            ) from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(node.keys[node.generation])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise KeyStoreError(f"{path}: can't be written ({error.strerror}); free disk space for it") from error
        return node

    def _known(self) -> dict[bytes, NodeKeys]:
        if self._nodes is None:
            self.refresh()
        assert self._nodes is not None
        return self._nodes

    def _required(self, nodes: Mapping[bytes, NodeKeys], node_id: bytes) -> NodeKeys:
        if node_id not in nodes:
            raise KeyStoreError(f"node {node_id.hex()} is not enrolled; quaver keys list shows the enrolled nodes")
        return nodes[node_id]

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read(self) -> dict[bytes, NodeKeys]:
        self._check(self.folder, stat.S_ISDIR, 0o700)
        self._seen = self._stamp()
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise KeyStoreError(f"{self.path}: there is no key store; create one with: quaver keys create") from error
        except OSError as error:
            raise KeyStoreError(f"{self.path}: can't be read ({error.strerror}); check its owner") from error
        try:
            with os.fdopen(descriptor, "rb") as file:
                self._check(self.path, stat.S_ISREG, 0o600, os.fstat(file.fileno()))
                return self._parsed(file.read(_FILE_MAX + 1))
        except OSError as error:
            raise KeyStoreError(f"{self.path}: can't be read ({error.strerror}); check the disk") from error

    def _check(self, path: Path, is_kind: Any, mode: int, found: os.stat_result | None = None) -> None:
        if found is None:
            try:
                found = path.lstat()
            except FileNotFoundError as error:
                raise KeyStoreError(f"{path}: there is no key store; create one with: quaver keys create") from error
            except OSError as error:
                raise KeyStoreError(f"{path}: can't be examined ({error.strerror}); check its owner") from error
        if not is_kind(found.st_mode):
            kind = "folder" if mode & 0o100 else "file"
            raise KeyStoreError(f"{path}: is not a plain {kind}; name the key store's own folder with --keys")
        if found.st_uid != os.geteuid():
            raise KeyStoreError(
                f"{path}: belongs to another user; its keys may be known to others: use a store of your own"
            )
        if found.st_mode & 0o077:
            raise KeyStoreError(
                f"{path}: other users can access it (mode {stat.S_IMODE(found.st_mode):04o}); "
                f"if nobody did, make it private with: chmod {mode:o} {path}"
            )

    def _parsed(self, data: bytes) -> dict[bytes, NodeKeys]:
        corrupt = f"{self.path}: corrupt, and not changed"
        remedy = "restore it from a backup, or move it away and re-enrol the nodes"
        if len(data) > _FILE_MAX:
            raise KeyStoreError(f"{corrupt}: longer than {_FILE_MAX >> 20} MiB; {remedy}")
        try:
            whole = json.loads(data)
            version, listed, digest = whole["version"], whole["nodes"], whole["sha256"]
            if version != _VERSION:
                raise KeyStoreError(
                    f"{self.path}: is of version {version!r}, this quaver reads {_VERSION}; update quaver"
                )
            if digest != _digest(listed):
                raise ValueError("its checksum does not match its content")
            return {node.node_id: node for node in map(_entry, listed)}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            # Not the error's own words: they may quote what stands in the file.
            reason = str(error) if type(error) is ValueError else "not a key store's JSON"
            raise KeyStoreError(f"{corrupt}: {reason}; {remedy}") from None

    @contextlib.contextmanager
    def _changing(self, create: bool = False) -> Iterator[dict[bytes, NodeKeys]]:
        """The nodes as they are on the disk now, to be changed; written back when the block ends well."""
        try:
            if create:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check(self.folder, stat.S_ISDIR, 0o700)
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise KeyStoreError(f"{self.folder}: can't be used ({error.strerror}); name another with --keys") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # two commands at once: the second sees what the first did
            nodes = {} if create and not os.path.lexists(self.path) else dict(self._read())
            yield nodes
            try:
                self._write(nodes)
            except OSError as error:
                raise KeyStoreError(
                    f"{self.path}: can't be written ({error.strerror}); nothing has changed: free disk "
                    "space, then try again"
                ) from error
            self._nodes, self._seen = nodes, self._stamp()
        finally:
            os.close(descriptor)

    def _write(self, nodes: Mapping[bytes, NodeKeys]) -> None:
        listed = [
            {
                "id": node.node_id.hex(),
                "name": node.name,
                "created": node.created,
                "keys": {str(generation): key.hex() for generation, key in sorted(node.keys.items())},
            }
            for node in nodes.values()
        ]
        whole = {"version": _VERSION, "nodes": listed, "sha256": _digest(listed)}
        replace_private(self.path, json.dumps(whole, indent=1).encode())


def _digest(listed: Any) -> str:
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()


def _entry(given: Any) -> NodeKeys:
    node_id = bytes.fromhex(given["id"])
    keys = {int(generation): bytes.fromhex(key) for generation, key in given["keys"].items()}
    if (
        len(node_id) != _ID_BYTES
        or not isinstance(given["name"], str)
        or not keys
        or not all(1 <= generation <= _GENERATIONS and len(key) == KEY_BYTES for generation, key in keys.items())
    ):
        raise ValueError("an entry without a complete id, name and key")
    return NodeKeys(node_id, given["name"], int(given["created"]), keys)


def _checked_name(name: str, node_id: bytes, nodes: Mapping[bytes, NodeKeys]) -> str:
    if not 1 <= len(name) <= _NAME_MAX or not name.isprintable() or any(mark in name for mark in "/+#"):
        raise KeyStoreError(f"name {_shown(name)}: expected 1 to {_NAME_MAX} printable characters without / + #")
    for other in nodes.values():
        if other.name == name and other.node_id != node_id:
            raise KeyStoreError(f"name {name}: node {other.node_id.hex()} has that name; choose another")
    return name


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
