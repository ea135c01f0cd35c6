"""revoke: believe a gateway with a grant of that generation or a later one alone."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("gateway", str, 1, 24), ("generation", int, 1, 255))
NOTED = False  # done twice it is the same


async def run(node: "Service", gateway: str, generation: int) -> None:
    gateways = node.parts.get("gateways")
    if gateways is None:
        raise ValueError("no gateway fetches its records")
    gateways.revoke(gateway, generation)
