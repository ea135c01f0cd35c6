"""The key store: the device key of every node, in a file that only its owner can read.

A folder of mode 0700 holds one file of mode 0600: JSON, with a SHA-256 over its content, so that a digit that changed
on the disk is a corrupt store and not a key that opens nothing. A store whose permissions are wider, whose owner is
somebody else, or whose content can't be trusted is refused, and never written over. A change is written aside,
flushed and renamed: a cut leaves the old store or the new one.

A node is known by its chip's id, 8 bytes; each of its keys has a generation, 1 to 255, which the messages name.

A key can end: on a date that it was given, or when it is revoked. It stays in the store, so that what comes under it is
told from what nobody sealed, and is refused. A store in which a key ends is of version 2: a quaver that knows no end
refuses it instead of believing all its keys.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from quaver.errors import KeyStoreError
from quaver.files.private import data_path, replace_private
from quaver.fleet.locks import locked

KEY_BYTES = 32
_ID_BYTES = 8
_FILE = "keys.json"
_LOCK = ".keys.lock"
_VERSION = 2
_ENDLESS = 1  # the version of a store in which no key ends
_GENERATIONS = 255  # one byte of the key id on the wire
_NAME_MAX = 24  # as the node's own configuration has it
_FILE_MAX = 16 << 20  # bytes; 50,000 nodes take 10 MB
_DAY_S = 86_400
_DAYS_MAX = 36_500
_REASON_MAX = 100
_NAMED = 5
SOON_DAYS = 30  # a key that ends within these is told of

INHERIT = -1
"""For `rotate`: the new key gets as many days as the one before it was given."""


@dataclass(frozen=True)
class End:
    """Of one key. days: how long it was given, None for no end; expires: until when, seconds since the epoch.

    revoked: since when, seconds since the epoch; reason: why, in a person's words.
    """

    days: int | None = None
    expires: int | None = None
    revoked: int | None = None
    reason: str = ""

    def why(self, now: float) -> str | None:
        """What it has ended by, "revoked" or "expired"; None while it lives."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else None


_NO_END = End()


@dataclass(frozen=True)
class NodeKeys:
    """One node's entry: its id, the name that its topics carry, its keys by generation, and the ends of those.

    created: when the entry was made, seconds since the epoch. The keys stay out of every repr.
    """

    node_id: bytes
    name: str
    created: int
    keys: Mapping[int, bytes] = field(repr=False)
    ends: Mapping[int, End] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """The newest generation."""
        return max(self.keys)

    def end(self, generation: int | None = None) -> End:
        """Of a generation's key, by default of the newest."""
        return self.ends.get(generation or self.generation, _NO_END)

    def days_left(self, now: float) -> int | None:
        """Until the newest key expires, whole days; None for one without an end, or one that has ended."""
        end = self.end()
        return None if end.expires is None or end.why(now) else int(end.expires - now) // _DAY_S


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

    It reads the file when it is first asked and again whenever the file has changed (`refresh`, `ended`). Every method
    that reads or writes raises KeyStoreError. clock: seconds since the epoch.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.clock = clock
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

    def ended(self, node_id: bytes, generation: int) -> str | None:
        """Why a key may not be used now: "revoked", "expired", or "removed"; None when it may.

        By what the file says at this moment: what another command revoked holds for the next message.
        """
        self.refresh()
        node = self._known().get(node_id)
        if node is None or generation not in node.keys:
            return "removed"
        return node.ends[generation].why(self.clock()) if generation in node.ends else None

    def expiring(self) -> list[NodeKeys]:
        """The nodes whose newest key expires within SOON_DAYS, the first first; not those that have ended."""
        now = self.clock()
        found = [(left, node) for node in self.nodes() if (left := node.days_left(now)) is not None]
        return [node for left, node in sorted(found, key=lambda one: one[0]) if left < SOON_DAYS]

    def ending(self) -> dict[bytes, float]:
        """Node id -> the end of its newest key, s since the epoch: those within SOON_DAYS, and those that are past."""
        until = self.clock() + SOON_DAYS * _DAY_S
        ends = {node.node_id: node.end() for node in self.nodes()}
        return {
            node_id: end.expires
            for node_id, end in ends.items()
            if end.expires is not None and end.revoked is None and end.expires < until
        }

    def warning(self) -> str:
        """The first nodes whose key expires soon, in a line for people; empty for none."""
        now, soon = self.clock(), self.expiring()
        if not soon:
            return ""
        more = f" and {len(soon) - _NAMED} more" if len(soon) > _NAMED else ""
        named = ", ".join(f"{node.name} in {node.days_left(now)} d" for node in soon[:_NAMED])
        return (
            f"keys expire: {named}{more}; records are refused from then on: give new ones with quaver node NAME rotate"
        )

    def refresh(self) -> bool:
        """Read the file again if it has changed since; whether it had."""
        if self._nodes is not None and self._stamp() == self._seen:
            return False
        self._nodes = self._read()
        return True

    def create(self, node_id: bytes, name: str = "", key: bytes | None = None, days: int | None = None) -> NodeKeys:
        """Enrol a node with a fresh random key of generation 1, or with `key`; name: its id where none is given.

        days: after which the key expires; None for never.
        """
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
            ends = self._lasting(days)
            node = NodeKeys(
                node_id, name, int(self.clock()), {1: key or secrets.token_bytes(KEY_BYTES)}, {1: ends} if ends else {}
            )
            nodes[node_id] = node
            return node

    def rotate(self, node_id: bytes, days: int | None = INHERIT) -> NodeKeys:
        """Give a node a new key beside the old ones, which stay until `forget`. days: as of `create`."""
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            if node.generation >= _GENERATIONS:
                raise KeyStoreError(
                    f"node {node.name}: has had {_GENERATIONS} keys, the most that a message can name; re-enrol it"
                )
            new = node.generation + 1
            end = self._lasting(node.end().days if days == INHERIT else days)
            keys = {**node.keys, new: secrets.token_bytes(KEY_BYTES)}
            nodes[node_id] = replace(node, keys=keys, ends={**node.ends, new: end} if end else node.ends)
            return nodes[node_id]

    def revoke(self, node_id: bytes, reason: str = "") -> NodeKeys:
        """End all keys that a node has, at once and for good; a new one comes with `rotate`."""
        if len(reason) > _REASON_MAX or not reason.isprintable():
            raise KeyStoreError(f"reason {_shown(reason)}: expected up to {_REASON_MAX} printable characters")
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            now = int(self.clock())
            ended = {
                generation: replace(node.end(generation), revoked=now, reason=reason)
                for generation in node.keys
                if node.end(generation).revoked is None
            }
            nodes[node_id] = replace(node, ends={**node.ends, **ended})
            return nodes[node_id]

    def expire(self, node_id: bytes, days: int | None) -> NodeKeys:
        """Let the newest key of a node expire so many days from now, or never (None); one that is revoked stays so."""
        with self._changing() as nodes:
            node = self._required(nodes, node_id)
            if node.end().revoked is not None:
                raise KeyStoreError(
                    f"node {node.name}: its key is revoked, and stays so; give it a new one with: quaver provision"
                )
            ends = {**node.ends, node.generation: self._lasting(days) or _NO_END}
            nodes[node_id] = replace(node, ends=ends)
            return nodes[node_id]

    def _lasting(self, days: int | None) -> End | None:
        if days is None:
            return None
        if not 1 <= days <= _DAYS_MAX:
            raise KeyStoreError(f"{days} days: a key lasts from 1 to {_DAYS_MAX} days; or never expires")
        return End(days, int(self.clock()) + days * _DAY_S)

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
            newest = node.generation
            ends = {newest: node.ends[newest]} if newest in node.ends else {}
            nodes[node_id] = replace(node, keys={newest: node.keys[newest]}, ends=ends)
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
            if version not in (_ENDLESS, _VERSION):
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
        except OSError as error:
            raise KeyStoreError(f"{self.folder}: can't be used ({error.strerror}); name another with --keys") from error
        with locked(self.folder / _LOCK):
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

    def _write(self, nodes: Mapping[bytes, NodeKeys]) -> None:
        listed = [_listed(node) for node in nodes.values()]
        version = _VERSION if any("ends" in entry for entry in listed) else _ENDLESS
        whole = {"version": version, "nodes": listed, "sha256": _digest(listed)}
        replace_private(self.path, json.dumps(whole, indent=1).encode())


def _digest(listed: Any) -> str:
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()


def _listed(node: NodeKeys) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": node.node_id.hex(),
        "name": node.name,
        "created": node.created,
        "keys": {str(generation): key.hex() for generation, key in sorted(node.keys.items())},
    }
    ends = {str(generation): asdict(end) for generation, end in sorted(node.ends.items()) if end != _NO_END}
    return entry | ({"ends": ends} if ends else {})


def _end(given: Any) -> End:
    numbers = [given[name] for name in ("days", "expires", "revoked")]
    if any(number is not None and type(number) is not int for number in numbers) or type(given["reason"]) is not str:
        raise ValueError("an end of a key that is no date")
    return End(numbers[0], numbers[1], numbers[2], given["reason"])


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
    ends = {int(generation): _end(end) for generation, end in given.get("ends", {}).items()}
    if not ends.keys() <= keys.keys():
        raise ValueError("an end of a key that is not there")
    return NodeKeys(node_id, given["name"], int(given["created"]), keys, ends)


def _checked_name(name: str, node_id: bytes, nodes: Mapping[bytes, NodeKeys]) -> str:
    if not 1 <= len(name) <= _NAME_MAX or not name.isprintable() or any(mark in name for mark in "/+#"):
        raise KeyStoreError(f"name {_shown(name)}: expected 1 to {_NAME_MAX} printable characters without / + #")
    for other in nodes.values():
        if other.name == name and other.node_id != node_id:
            raise KeyStoreError(f"name {name}: node {other.node_id.hex()} has that name; choose another")
    return name


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
