"""The gateway's part of the configuration: its nodes, the topic prefix of each, and its limits."""

from binascii import unhexlify

if False:  # types alone: never compiled
    from typing import Any

NODES_MAX = 64  # what one health record can tell of

# key, default, lowest, highest
_FIELDS = (
    ("visit_s", 20, 2, 120),  # the longest connection
    ("records", 64, 1, 1000),  # the most that one connection takes: an alarm of another node waits no longer than this
    ("flash_kb", 256, 32, 1024),  # of records that wait for the broker
    ("old_links", 0, 0, 1),  # 1: nodes of before the link keys are served, though whoever is near can be one
)


def _prefix(given: str | None, branch: str, name: str) -> str:
    """The five levels of a node's topics; None is the gateway's own branch with the node's id."""
    if given is None:
        return branch + name
    levels = given.split("/")
    if len(levels) != 5 or len(given) > 124 or not all(levels) or any(mark in given for mark in "+#\0"):
        raise ValueError
    return given


def parse(given: "Any", branch: str) -> tuple[dict, dict[bytes, str], list[str]]:
    """(settings, {8-byte node id: topic prefix}, problems) of the section "gateway"; never raises.

    given: {"nodes": {"0123456789abcdef": "site/area/line/asset/node" or null}, "visit_s": …}; branch: the gateway's own
    prefix up to and with the last "/".
    """
    problems = []
    if not isinstance(given, dict):
        given = {}
        problems.append("gateway: expected an object")
    settings = {}
    for key, default, low, high in _FIELDS:
        value = given.get(key, default)
        if type(value) is not int or not low <= value <= high:
            value = default
            problems.append("gateway.{}: expected int from {} to {}".format(key, low, high))
        settings[key] = value
    nodes: dict = {}
    listed = given.get("nodes", {})
    if not isinstance(listed, dict):
        listed = {}
        problems.append("gateway.nodes: expected {id: topic prefix}")
    for name, prefix in listed.items():
        try:
            node_id = unhexlify(name)
            if len(node_id) != 8 or len(nodes) >= NODES_MAX:
                raise ValueError
            nodes[node_id] = _prefix(prefix, branch, name)
        except (ValueError, TypeError, AttributeError):
            problems.append("gateway.nodes.{}: expected an id of 16 digits and five levels".format(str(name)[:16]))
    for key in given:
        if key != "nodes" and key not in settings:
            problems.append("gateway.{}: unknown key".format(str(key)[:24]))
    return settings, nodes, problems
