"""Which nodes a gateway connects to, and the topic prefix of each: from a file of its own, or the inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from quaver.errors import GatewayError

_FILE_MAX = 1 << 20
_LEVELS = 5
_PREFIX_MAX = 124  # characters: five levels of 24
_MARKS = "+#\0"  # MQTT 3.1.1, section 4.7: the wildcards, and what no topic may hold


def check_topic_prefix(prefix: object) -> str:
    """A topic prefix, site/area/line/asset/node. Raises ValueError."""
    if not isinstance(prefix, str) or not 0 < len(prefix) <= _PREFIX_MAX or set(prefix) & set(_MARKS):
        raise ValueError("expected site/area/line/asset/node")
    levels = prefix.split("/")
    if len(levels) != _LEVELS or not all(levels):
        raise ValueError("expected site/area/line/asset/node")
    return prefix


def read_nodes(path: Path) -> dict[bytes, str]:
    """The allow-list in a JSON file, {"0123456789abcdef": "site/area/line/asset/node"}. Raises GatewayError."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_MAX + 1)
        listed = json.loads(data)
    except OSError as error:
        raise GatewayError(f"{path}: can't be read ({error.strerror}); name the list of nodes") from error
    except ValueError as error:
        raise GatewayError(
            f'{path}: not JSON; expected {{"<id of 16 digits>": "site/area/line/asset/node"}}'
        ) from error
    if len(data) > _FILE_MAX or not isinstance(listed, Mapping) or not listed:
        raise GatewayError(f'{path}: expected {{"<id of 16 digits>": "site/area/line/asset/node"}}')
    nodes: dict[bytes, str] = {}
    for name, prefix in listed.items():
        try:
            if len(name) != 16 or name.strip("0123456789abcdefABCDEF"):
                raise ValueError("expected an id of 16 hexadecimal digits")
            nodes[bytes.fromhex(name)] = check_topic_prefix(prefix)
        except ValueError as error:
            raise GatewayError(f"{path}: node {name[:40]!r}: {error}") from error
    return nodes


def inventory_nodes() -> dict[bytes, str]:
    """The nodes of the user's inventory that are not retired. Raises InventoryError, GatewayError."""
    from quaver.fleet.inventory import Inventory, default_path

    with Inventory(default_path()) as inventory:
        nodes = {entry.id: entry.prefix for entry in inventory.entries() if entry.state != "retired"}
    if not nodes:
        raise GatewayError("the inventory has no nodes; enrol some, or name a list of them with --nodes")
    return nodes
