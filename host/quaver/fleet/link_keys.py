"""The link keys of one gateway, in a file of mode 0600: what a Linux machine proves itself to nodes with.

`quaver gateway grant` writes it, `quaver gateway` reads it. It holds no device key: whoever has it can be this gateway
towards these nodes, until it is revoked, and can open no record.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quaver.errors import GatewayError
from quaver.files.private import data_path, read_private, write_private
from quaver_wire import link

_VERSION = 1
_FILE_MAX = 1 << 20
_ID_BYTES = 8
_KEY_BYTES = 32


@dataclass(frozen=True)
class LinkKey:
    """A gateway's key for one node: of which generation of its device key, and of which generation of the grant.

    expires: when the device key does, seconds since the epoch; None for never. A gateway on a board is not told.
    """

    node_id: bytes
    key_generation: int
    generation: int
    key: bytes = field(repr=False)
    expires: int | None = None

    def row(self) -> bytes:
        """As a gateway on a board keeps it: firmware/gateway/link_keys.py."""
        return self.node_id + bytes((self.key_generation, self.generation)) + self.key


def derive(device_key: bytes, node_id: bytes, key_generation: int, gateway: str, generation: int) -> LinkKey:
    """The key of the gateway of that name for a node. Raises ValueError for a name of no byte, or over 24."""
    key = link.link_key(device_key, node_id, key_generation, gateway.encode(), generation)
    return LinkKey(node_id, key_generation, generation, key)


def board_file(gateway: str, keys: Sequence[LinkKey]) -> bytes:
    """The file /link.keys of a gateway on a board."""
    name = gateway.encode()
    return bytes((len(name),)) + name + b"".join(key.row() for key in keys)


def default_path() -> Path:
    """`QUAVER_LINK_KEYS`, or "link.keys" in the user's data folder for "quaver"."""
    return data_path("QUAVER_LINK_KEYS", "link.keys")


def write_link_keys(path: Path, gateway: str, keys: Sequence[LinkKey]) -> None:
    """Have the file hold these keys of the gateway of that name, and no others. Raises GatewayError."""
    listed = [
        {
            "node": key.node_id.hex(),
            "key_generation": key.key_generation,
            "generation": key.generation,
            "key": key.key.hex(),
            "expires": key.expires,
        }
        for key in keys
    ]
    whole = {"version": _VERSION, "gateway": gateway, "links": listed}
    write_private(path, json.dumps(whole, indent=1).encode(), GatewayError)


def read_link_keys(path: Path) -> tuple[str, list[LinkKey]] | None:
    """(the gateway's name, its keys); None where there is no file. Raises GatewayError."""
    data = read_private(path, _FILE_MAX, GatewayError)
    if data is None:
        return None
    try:
        whole = json.loads(data)
        gateway = whole["gateway"]
        if whole["version"] != _VERSION or not 0 < len(gateway.encode()) <= link.NAME_MAX:
            raise ValueError
        return gateway, [_key(given) for given in whole["links"]]
    except (ValueError, KeyError, TypeError, AttributeError):  # not its words: they may quote what stands in the file
        raise GatewayError(f"{path}: is no file of link keys; write it anew with: quaver gateway grant") from None


def _key(given: dict[str, object]) -> LinkKey:
    node_id, key = bytes.fromhex(str(given["node"])), bytes.fromhex(str(given["key"]))
    numbers = given["key_generation"], given["generation"]
    if len(node_id) != _ID_BYTES or len(key) != _KEY_BYTES:
        raise ValueError
    if not all(isinstance(number, int) and 1 <= number <= 255 for number in numbers):
        raise ValueError
    expires = given.get("expires")  # of before keys ended there is none
    if expires is not None and not isinstance(expires, int):
        raise ValueError
    return LinkKey(node_id, int(str(numbers[0])), int(str(numbers[1])), key, expires)
