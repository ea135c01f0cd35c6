"""config_set: change the configuration, on trial: it is kept when the node comes online with it."""

from command import reconfigure

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("changes", dict, 1, 16),)
NOTED = True


async def run(node: "Service", changes: dict) -> dict:
    node.trial().propose(reconfigure.changed(node.config, changes))
    node.restart()
    return {"state": "trial"}
