"""Which gateway may visit which node: the grants of link keys, in a file beside the device keys.

A grant has a generation. Revoking takes it away and counts the generation up; a node that has been told refuses what is
older. So a node is told until it has answered: `untold`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from quaver.errors import GatewayError, KeyStoreError
from quaver.files.private import read_private, write_private
from quaver.fleet.keys import KeyStore
from quaver.fleet.link_keys import LinkKey, derive, write_link_keys
from quaver.fleet.locks import locked
from quaver_wire import link

_FILE = "gateways.json"
_LOCK = ".gateways.lock"
_FILE_MAX = 8 << 20
_GENERATIONS = 255  # one byte of a HELLO
_OF_A_NODE = 2  # generations of its device key that a gateway gets: it has the new one and the one before in a change


@dataclass
class Grant:
    """Of one gateway for one node. generation: of the grant, or the least that is still to be taken; told: it is."""

    generation: int = 1
    granted: bool = True
    told: bool = True


@dataclass
class Grants:
    """Of one gateway. file: of its link keys, on a Linux machine; None for a board."""

    name: str
    file: Path | None
    nodes: dict[bytes, Grant] = field(default_factory=dict)

    def granted(self) -> list[bytes]:
        return [node_id for node_id, grant in self.nodes.items() if grant.granted]

    def untold(self) -> dict[bytes, int]:
        """The nodes that have not yet said that they refuse what is older, and than which generation."""
        return {node_id: grant.generation for node_id, grant in self.nodes.items() if not grant.told}


def check_gateway(name: str) -> str:
    """Raises GatewayError."""
    if not 0 < len(name.encode()) <= link.NAME_MAX or not name.isprintable() or any(mark in name for mark in "/+#"):
        raise GatewayError(f"gateway {name[:40]!r}: expected a name of 1 to {link.NAME_MAX} bytes without / + #")
    return name


class GrantStore:
    """The grants beside a store of device keys. Raises GatewayError, KeyStoreError."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self.path = keys.folder / _FILE

    def all(self) -> list[Grants]:
        return sorted(self._read().values(), key=lambda grants: grants.name)

    def get(self, gateway: str) -> Grants:
        return _of(self._read(), gateway)

    def of(self, node_id: bytes) -> list[Grants]:
        """The gateways that may visit this node."""
        return [grants for grants in self.all() if node_id in grants.granted()]

    def grant(self, gateway: str, node_ids: Iterable[bytes], file: Path | None) -> Grants:
        """Let a gateway visit these nodes, too. file: where its link keys go, None for a gateway on a board."""
        with self._changing() as known:
            grants = known.setdefault(check_gateway(gateway), Grants(gateway, file))
            grants.file = file
            for node_id in node_ids:
                if not self._keys.device_keys(node_id):
                    raise GatewayError(f"node {node_id.hex()}: has no device key here; name its key store with --keys")
                grants.nodes.setdefault(node_id, Grant()).granted = True
        return grants

    def revoke(self, gateway: str, node_ids: Iterable[bytes] | None) -> Grants:
        """Take a gateway's grants for these nodes away; None: for all of them."""
        with self._changing() as known:
            grants = _of(known, gateway)
            for node_id in grants.granted() if node_ids is None else node_ids:
                grant = grants.nodes.get(node_id)
                if grant is None or not grant.granted:
                    continue
                if grant.generation >= _GENERATIONS:
                    raise GatewayError(f"gateway {gateway}: was revoked too often; give it another name")
                grants.nodes[node_id] = Grant(grant.generation + 1, False, False)
        return grants

    def told(self, gateway: str, node_id: bytes, generation: int) -> None:
        """The node has said that it refuses what is older than that generation."""
        with self._changing() as known:
            grant = known[gateway].nodes[node_id]
            grant.told = grant.told or grant.generation == generation

    def link_keys(self, grants: Grants) -> list[LinkKey]:
        """The keys that this gateway is to have; none of a device key that has ended, two of one that changes."""
        found = []
        for node_id in grants.granted():
            held = self._keys.device_keys(node_id)
            known = self._keys.get(node_id)
            for generation in sorted(held)[-_OF_A_NODE:]:
                if known is None or self._keys.ended(node_id, generation):
                    continue
                key = derive(held[generation], node_id, generation, grants.name, grants.nodes[node_id].generation)
                found.append(replace(key, expires=known.end(generation).expires))
        return found

    def write(self, grants: Grants) -> None:
        """Have the file of a Linux machine hold its keys."""
        assert grants.file is not None
        write_link_keys(grants.file, grants.name, self.link_keys(grants))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Grants]]:
        """What is on the disk now, to be changed; written back when the block ends well."""
        self._keys.refresh()  # which checks the folder, too
        with locked(self._keys.folder / _LOCK):
            known = self._read()
            yield known
            listed = [
                {
                    "gateway": grants.name,
                    "file": str(grants.file) if grants.file else None,
                    "nodes": {node_id.hex(): asdict(grant) for node_id, grant in grants.nodes.items()},
                }
                for grants in known.values()
            ]
            write_private(self.path, json.dumps(listed, indent=1).encode(), KeyStoreError)

    def _read(self) -> dict[str, Grants]:
        data = read_private(self.path, _FILE_MAX, KeyStoreError)
        if data is None:
            return {}
        try:
            return {grants.name: grants for grants in map(_grants, json.loads(data))}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyStoreError(
                f"{self.path}: corrupt, and not changed; restore it from a backup: it says what was revoked"
            ) from None


def _of(known: Mapping[str, Grants], gateway: str) -> Grants:
    if gateway not in known:
        raise GatewayError(f"gateway {gateway!r}: was granted nothing here; quaver gateway grants shows who was")
    return known[gateway]


def _grants(given: Any) -> Grants:
    nodes = {}
    for node_id, row in given["nodes"].items():
        grant = Grant(int(row["generation"]), bool(row["granted"]), bool(row["told"]))
        if len(node_id) != 16 or not 1 <= grant.generation <= _GENERATIONS:
            raise ValueError
        nodes[bytes.fromhex(node_id)] = grant
    return Grants(str(given["gateway"]), Path(given["file"]) if given["file"] else None, nodes)
