"""revoke: believe a gateway with a grant of that generation or a later one alone."""

from micropython import const

from build.keys import REVOKED
from node import store

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("gateway", str, 1, 24), ("generation", int, 1, 255))
NOTED = False  # done twice it is the same
_NAMES = const(32)  # that a node keeps


async def run(node: "Service", gateway: str, generation: int) -> None:
    gateways = node.parts.get("gateways")
    if gateways is None:
        raise ValueError("no gateway fetches its records")
    if gateways.revoked is None:
        raise ValueError("{} is corrupt".format(REVOKED))
    revoked = dict(gateways.revoked)
    if gateway not in revoked and len(revoked) >= _NAMES:
        raise ValueError("{} gateways are revoked already".format(_NAMES))
    revoked[gateway] = max(generation, revoked.get(gateway, 0))
    store.replace_json(node.root + REVOKED, revoked)
    gateways.revoked = revoked
