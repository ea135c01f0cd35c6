"""measure: measure now; the main figures of the record."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = ()
NOTED = True


async def run(node: "Service") -> dict:
    return await node.parts["measuring"].now()
