"""config_rollback: put the configuration on trial that was in force before."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = ()
NOTED = True


async def run(node: "Service") -> dict:
    node.trial().back()
    node.restart()
    return {"state": "trial"}
