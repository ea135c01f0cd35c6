"""reboot: restart, once the answer has left."""

ARGUMENTS = ()
NOTED = True


async def run(node) -> None:
    node.restart()
