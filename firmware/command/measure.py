"""measure: measure now; the main figures of the record."""

ARGUMENTS = ()
NOTED = True


async def run(node) -> dict:
    return await node.parts["measuring"].now()
