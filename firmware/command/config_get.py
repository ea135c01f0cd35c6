"""config_get: the configuration in force as JSON, from the character `at` on, its secrets masked."""

from micropython import const

from command import reconfigure

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("at", int, 0, 65535),)
NOTED = False

_TEXT = const(400)  # characters in one answer


async def run(node: "Service", at: int) -> dict:
    text = reconfigure.text(node.config)
    return {"text": text[at : at + _TEXT], "size": len(text)}
