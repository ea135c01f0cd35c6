"""retire: erase keys, configuration and records, once the answer has had its time to leave."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("confirm", str, 1, 24),)
NOTED = True


async def run(node: "Service", confirm: str) -> None:
    if confirm != node.parts["name"]:
        raise ValueError("confirm: expected the node's name")
    node.leave()
