"""A board that has no LED."""

import asyncio
import json

from node_blink.rig import Board, Port, main

Board.LED = None


def meanwhile(blinking):
    return None


print(json.dumps([asyncio.run(main(meanwhile)), Port.pins]))
