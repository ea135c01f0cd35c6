"""Its module is dropped while it blinks."""

import asyncio
import json

from node.room import drop
from node_blink.rig import main


def meanwhile(blinking):
    return drop("command")


print(json.dumps(asyncio.run(main(meanwhile))))
