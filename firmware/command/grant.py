"""grant: of a gateway on a board: the link keys by which nodes believe it, as gateway.link_keys has them."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("gateway", str, 1, 24), ("rows", bytes, 42, 420))
NOTED = False  # done twice it is the same


async def run(node: "Service", gateway: str, rows: bytes) -> None:
    links = node.parts.get("links")
    if links is None:
        raise ValueError("not a gateway")
    links.grant(gateway.encode(), rows)
