"""config_validate: whether config_set would take these changes."""

from command import reconfigure

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("changes", dict, 1, 16),)
NOTED = True


async def run(node: "Service", changes: dict) -> None:
    reconfigure.changed(node.config, changes)
