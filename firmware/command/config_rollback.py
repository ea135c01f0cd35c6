"""config_rollback: put the configuration on trial that was in force before."""

ARGUMENTS = ()
NOTED = True


async def run(node) -> dict:
    node.trial().back()
    node.restart()
    return {"state": "trial"}
