"""rotate: take a new device key beside the one in force.

After the restart the node seals with it, and opens with both until it has opened a message under the new one.
"""

from build import keys

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("key", bytes, 32, 32), ("generation", int, 1, 255))
NOTED = True


async def run(node: "Service", key: bytes, generation: int) -> dict:
    path = node.root + keys.KEY
    held = keys.load_key(path)
    if held is None:
        raise ValueError("not enrolled")
    if generation != held[0] + 1:
        raise ValueError("generation: expected {}".format(held[0] + 1))
    keys.save_key(generation, key, held[1], path)
    node.parts["recorder"].event("key_announced", generation=generation)  # the last that the old key seals
    node.restart()
    return {"generation": generation}
