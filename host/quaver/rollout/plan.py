"""The plan of a rollout: which nodes, in which waves, and how many failures it bears. Pure functions."""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Iterable, Sequence

from quaver.errors import RolloutError
from quaver.fleet.inventory import Entry

_SHARES = (5, 25, 100)  # percent of all nodes that have it at the end of each wave behind the canary
_FAILURES = 3  # nodes that failed pause a rollout, or this share of all, whatever is less
_FAILURES_PERCENT = 2
_LEVELS = 5  # site/area/line/asset/node


def select(entries: Iterable[Entry], selectors: Sequence[str]) -> list[Entry]:
    """The nodes in service that any of `selectors` names, by topic prefix. Raises RolloutError.

    A selector is a topic prefix whose levels, separated by /, may have the wildcards * ? and [seq]; levels that it
    leaves out at its end are any.
    """
    known = [entry for entry in entries if entry.state != "retired"]
    found: dict[bytes, Entry] = {}
    for selector in selectors:
        levels = levels_of(selector)
        chosen = [entry for entry in known if fits(entry.prefix, levels)]
        if not chosen:
            raise RolloutError(f"--to {selector!r}: names no node; quaver inventory list shows the nodes")
        found |= {entry.id: entry for entry in chosen}
    return sorted(found.values(), key=lambda entry: entry.prefix)


def levels_of(selector: str, option: str = "--to") -> list[str]:
    """The levels of a selector; option: what a person wrote it for. Raises RolloutError."""
    levels = selector.split("/")
    if len(levels) > _LEVELS or not all(levels):
        raise RolloutError(
            f"{option} {selector!r}: expected at most five names with a / between them, SITE/AREA/LINE/ASSET/NODE, "
            "with * for any"
        )
    return levels


def fits(prefix: str, levels: Sequence[str]) -> bool:
    """Whether the levels of a selector name the node of that topic prefix."""
    return all(fnmatch.fnmatchcase(name, level) for name, level in zip(prefix.split("/"), levels, strict=False))


def asset_of(prefix: str) -> str:
    """The asset that a node is at: its topic prefix without the node."""
    return prefix.rpartition("/")[0]


def spread(nodes: Iterable[tuple[bytes, str, bool]], seed: bytes) -> list[bytes]:
    """The order in which nodes get a release: one of each asset first, then a second of each, and so on.

    nodes: (id, topic prefix, whether it is online); those that are online come first, so that the canary is one of
    them. seed: of the release: another node is the canary each time.
    """

    def drawn(node: bytes) -> bytes:
        return hashlib.sha256(seed + node).digest()

    ordered: list[bytes] = []
    for state in (True, False):
        turns: dict[str, int] = {}
        group = sorted((node for node in nodes if node[2] == state), key=lambda node: drawn(node[0]))
        places = []
        for node, prefix, _ in group:
            turn = turns[asset_of(prefix)] = turns.get(asset_of(prefix), 0) + 1
            places.append((turn, drawn(node), node))
        ordered += [node for _, _, node in sorted(places)]
    return ordered


def waves(nodes: Sequence[bytes]) -> list[list[bytes]]:
    """The waves of nodes in the order that `spread` gave: one canary, then up to 5, 25 and 100 % of all.

    A wave that would have no node is left out.
    """
    ends = [1, *(max(1, math.ceil(len(nodes) * share / 100)) for share in _SHARES)]
    found, begin = [], 0
    for end in ends:
        if nodes[begin:end]:
            found.append(list(nodes[begin:end]))
            begin = end
    return found


def failures_borne(nodes: int) -> int:
    """How many of so many nodes have failed when the rollout pauses; at least one."""
    return min(_FAILURES, max(1, math.ceil(nodes * _FAILURES_PERCENT / 100)))


def wave_names(numbers: Sequence[int]) -> list[str]:
    """What each wave is called: "canary", then how much of all has the release at its end, "5 %".

    numbers: the wave of each node.
    """
    last = max(numbers, default=0)
    done, names = 0, []
    for wave in range(last + 1):
        done += sum(number == wave for number in numbers)
        names.append("canary" if wave == 0 else f"{100 * done / len(numbers):.0f} %")
    return names
