"""relearn: forget the baseline of this machine and learn a new one."""

ARGUMENTS = ()
NOTED = True


async def run(node) -> None:
    node.parts["measuring"].relearn()
