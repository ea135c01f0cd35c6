"""relearn_class: forget the baseline of one class of this machine and learn a new one."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("number", int, 1, 4),)
NOTED = True


async def run(node: "Service", number: int) -> None:
    node.parts["measuring"].relearn(number)
