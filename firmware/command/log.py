"""log: the last lines of the console, from the line `at` on."""

from micropython import const

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("at", int, 0, 65535),)
NOTED = False

_TEXT = const(400)  # characters in one answer


async def run(node: "Service", at: int) -> dict:
    lines = node.parts["log"].lines
    found = []
    size = 0
    for line in lines[at:]:
        size += len(line) + 3
        if size > _TEXT:
            break
        found.append(line)
    return {"lines": found, "next": at + len(found), "size": len(lines)}
