"""relearn: forget the baseline of this machine and learn a new one."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = ()
NOTED = True


async def run(node: "Service") -> None:
    node.parts["measuring"].relearn()
