"""Asked to blink while it blinks."""

import asyncio
import json

from command.identify import blink
from node_blink.rig import Board, Port, main


def meanwhile(blinking):
    return blink(Port(), Board, blinking)


print(json.dumps([asyncio.run(main(meanwhile)), Port.pins]))
