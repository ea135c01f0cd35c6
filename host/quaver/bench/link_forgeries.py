"""Says to a node over its Bluetooth link what no gateway of its own has said, and tells what it believed.

Forged acknowledgements, times and commands: guessed, altered, cut, lengthened, repeated, sent back to it, of gateways
without a key or with a revoked one. The node's own code decides, on the MicroPython unix port
(`guest/link_forgeries.py`). At the end its gateway comes, and must get each record once.
"""

from __future__ import annotations

from dataclasses import dataclass

from quaver.bench.guest_program import run_guest

_RECORDS = 8
_LIMIT_S = 4 * 3600


@dataclass(frozen=True)
class Said:
    """tried, taken: by (what, way); refused: as the node told it, by the event's subject; lost: records of `records`
    that the gateway did not get exactly once; wrong: what else was not as it must be, the first few.
    """

    tried: dict[tuple[str, str], int]
    taken: dict[tuple[str, str], int]
    refused: dict[str, int]
    records: int
    lost: int
    wrong: tuple[str, ...]


def say(count: int, seed: int, checks: bool = True) -> Said:
    """Say `count` of them, of each kind as many. seed: of what is made up. checks: False for a node that looks at no
    tag. Raises BoardError.
    """
    argument = {"seed": seed, "count": count, "records": _RECORDS, "checks": checks}
    report = run_guest("link_forgeries", argument, limit_s=_LIMIT_S)
    tried, taken = ({(what, way): number for what, way, number in report[name]} for name in ("tried", "taken"))
    return Said(tried, taken, report["refused"], _RECORDS, report["lost"], tuple(report["wrong"]))
