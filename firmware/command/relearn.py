"""relearn: forget what is healthy for this machine and learn it anew."""

ARGUMENTS = ()
NOTED = True


async def run(node) -> None:
    node.parts["measuring"].relearn()
