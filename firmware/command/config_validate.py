"""config_validate: whether config_set would take these changes."""

from command import reconfigure

ARGUMENTS = (("changes", dict, 1, 16),)
NOTED = True


async def run(node, changes: dict) -> None:
    reconfigure.changed(node.config, changes)
