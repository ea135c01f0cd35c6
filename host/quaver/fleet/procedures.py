"""What operations of several commands do: a configuration read, set and watched, a key changed, a log read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from quaver.errors import OperationError, UnansweredError
from quaver.fleet.grants import GrantStore
from quaver.fleet.handing import renew
from quaver.fleet.operator import Operator, Refused


def read_config(node: Operator) -> dict[str, Any]:
    """The configuration in force; passwords are "*". Raises OperationError."""
    for _ in range(3):
        text = ""
        size = 1
        while len(text) < size:
            part = node.ask("config_get", {"at": len(text)})
            if not part["text"]:
                break
            text, size = text + part["text"], part["size"]
        try:
            config = json.loads(text or "{}")
            if isinstance(config, dict):
                return config
        except ValueError:
            continue  # it has changed between two parts
    raise OperationError(f"node {node.node.name}: its configuration can't be read; try again")


def _holds(config: Mapping[str, Any], path: str, value: Any) -> bool:
    section, _, key = path.rpartition(".")
    inside = config.get(section, {}) if section else config
    if value is None and section:
        return not isinstance(inside, Mapping) or key not in inside
    found = inside.get(key) if isinstance(inside, Mapping) else None
    return bool(found == value or found == "*")


def set_config(node: Operator, changes: Mapping[str, Any]) -> None:
    """Have the node try its configuration with `changes` (path -> value), and wait for what comes of it.

    Raises OperationError when it falls back to what it had, UnansweredError when nothing is known in time.
    """
    presence = node.presence
    node.ask("config_set", {"changes": dict(changes)})
    _watch(node, presence.boot if presence else 0, changes)


def roll_back(node: Operator) -> None:
    """Have the node try what it had before the last change that was kept. Raises as `set_config`."""
    presence = node.presence
    node.ask("config_rollback")
    _watch(node, presence.boot if presence else 0, {})


def _watch(node: Operator, boot: int, changes: Mapping[str, Any]) -> None:
    name = node.node.name
    try:
        node.online_since(boot)
    except UnansweredError as error:
        raise UnansweredError(
            f"node {name}: restarts with the new configuration and is not back yet; if it can't connect with it "
            f"within 5 minutes it returns to the old one: check with quaver node {name} config get"
        ) from error
    in_force = read_config(node) if changes else {}
    if node.rejected(boot) or not all(_holds(in_force, path, value) for path, value in changes.items()):
        raise OperationError(
            f"node {name}: did not connect with the new configuration and is back with the old one; "
            "check what was changed, then set it again"
        )


def rotate(node: Operator) -> int:
    """Give the node a new key; returns its generation. Both are taken until the node was heard under the new one.

    A run that breaks off loses nothing: the new key is in the store before the node gets it, and the next run sends
    the same one again. Raises OperationError.
    """
    presence = node.presence
    assert presence is not None
    identity = node.node.node_id
    if presence.generation == max(node.keys.device_keys(identity)):
        node.keys.rotate(identity)
    wanted = presence.generation + 1
    key = node.keys.device_keys(identity).get(wanted)
    if key is None:
        raise OperationError(
            f"node {node.node.name}: the key of generation {wanted} is not in this key store; name its key "
            "store (--keys)"
        )
    _renew_grants(node)
    node.ask("rotate", {"key": key, "generation": wanted})
    if node.online_since(presence.boot).generation != wanted:
        raise OperationError(f"node {node.node.name}: came back with its old key; rotate it again")
    node.ask("log", {"at": 0})  # the first command under the new key: the node forgets the old one
    return wanted


def _renew_grants(node: Operator) -> None:
    """Have the gateways that may visit the node hold link keys of its new device key, too, before it has that."""
    store = GrantStore(node.keys)
    for grants in store.of(node.node.node_id):
        try:
            renew(store, grants, node.another)
        except OperationError as error:
            raise OperationError(
                f"{error}; node {node.node.name} keeps its old key until this gateway has the new link key, or is "
                f"revoked (quaver gateway revoke {grants.name})"
            ) from error


def read_log(node: Operator) -> list[str]:
    """The last lines of the node's console, each with the seconds since its start. Raises OperationError."""
    lines: list[str] = []
    while True:
        part = node.ask("log", {"at": len(lines)})
        lines += part["lines"]
        if not part["lines"] or part["next"] >= part["size"]:
            return lines


def reboot(node: Operator) -> int:
    """Restart the node and wait until it is back; returns its boot's number. Raises OperationError."""
    presence = node.presence
    node.ask("reboot")
    return node.online_since(presence.boot if presence else 0).boot


def update(node: Operator, envelopes: Sequence[bytes]) -> int:
    """Have the node take a release that is at its broker, and wait until it has confirmed it; returns its sequence
    number. envelopes: the manifest as each key has signed it, of which the node may trust any.

    Raises OperationError, with the node's reason when its old firmware is back.
    """
    number = _take(node, envelopes)
    name, values = node.updated()
    if name == "update_rejected":
        raise OperationError(
            f"node {node.node.name}: did not keep release {number}: {values.get('text', 'no reason given')}; "
            "it runs its old firmware"
        )
    return number


def _take(node: Operator, envelopes: Sequence[bytes]) -> int:
    for envelope in envelopes:
        try:
            digest = hashlib.sha256(envelope).digest()
            number: int = node.ask("update", {"digest": digest, "size": len(envelope)})["sequence"]
            return number
        except Refused as refused:
            if refused.reason != "release refused: wrong_key" or envelope is envelopes[-1]:
                raise
    raise ValueError("a release has at least one signature")
