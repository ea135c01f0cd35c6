"""measure: measure now; the main figures of the record."""

ARGUMENTS = ()
NOTED = True


async def run(node):
    return await node.parts["measuring"].now()
