"""How a host's gateway proves itself to nodes, and they to it: with the link keys that it was granted."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Protocol

from quaver.fleet.link_keys import LinkKey, read_link_keys
from quaver.messages.sealing import Ccm
from quaver_wire import link
from quaver_wire.link_gateway import answered, hello
from quaver_wire.link_session import Session


class Link:
    """One connection to a node: `hello` goes first; `answered` gives what makes and checks the tags from there."""

    def __init__(self, gateway: str, key: LinkKey) -> None:
        self._key = key.key
        self.hello = hello(key.key_generation, key.generation, secrets.token_bytes(link.NONCE), gateway.encode())

    def answered(self, message: bytes) -> Session:
        """Raises ValueError when the node does not prove the key."""
        return answered(self._key, self.hello, message, Ccm)


class Links(Protocol):
    """Where link keys come from."""

    def has(self, node_id: bytes) -> bool:
        """Whether there is a key for this node."""

    def of(self, node_id: bytes) -> Link | None:
        """What a connection to this node begins with; None without a key."""

    def refused(self, node_id: bytes) -> bool:
        """The node does not take the key that was tried: the next connection tries another. Whether there is none."""


class LinkKeys:
    """The keys of `name` for nodes; a node has several while its device key changes, the newest is tried first."""

    def __init__(self, name: str, keys: list[LinkKey]) -> None:
        self._turns: Counter[bytes] = Counter()
        self._set(name, keys)

    def _set(self, name: str, keys: list[LinkKey]) -> None:
        self.name = name
        self._keys: dict[bytes, list[LinkKey]] = {}
        for key in sorted(keys, key=lambda key: -key.key_generation):
            self._keys.setdefault(key.node_id, []).append(key)
        self._turns.clear()

    def has(self, node_id: bytes) -> bool:
        return node_id in self._keys

    def of(self, node_id: bytes) -> Link | None:
        keys = self._keys.get(node_id)
        return Link(self.name, keys[self._turns[node_id] % len(keys)]) if keys else None

    def refused(self, node_id: bytes) -> bool:
        self._turns[node_id] += 1
        return self._turns[node_id] % max(1, len(self._keys.get(node_id, ()))) == 0


class KeyFile(LinkKeys):
    """The keys in a file of quaver.fleet.link_keys, which is read again when it has changed. Raises GatewayError.

    A key of a device key that has expired is none: the node keeps its records until it has another.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("", [])
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._refresh()

    def _refresh(self) -> None:
        seen: tuple[int, ...] = ()
        with contextlib.suppress(OSError):
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        if seen != self._seen:
            name, keys = read_link_keys(self._path) or ("", [])
            self._set(name, keys)
            self._seen = seen

    def has(self, node_id: bytes) -> bool:
        self._refresh()
        now = time.time()
        living = [key for key in self._keys.get(node_id, ()) if key.expires is None or now < key.expires]
        if living:
            self._keys[node_id] = living
        else:
            self._keys.pop(node_id, None)
        return super().has(node_id)
