"""reboot: restart, once the answer has left."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = ()
NOTED = True


async def run(node: "Service") -> None:
    node.restart()
