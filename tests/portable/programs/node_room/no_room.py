"""A heap in pieces from which the room was taken, too."""

import gc
import json

from node_room.pieces import fill
from node_room.rig import read, room, tried, write

room._held = None
gc.collect()
pieces = fill()
try:
    write("/flash/a", b"another")
    told = None
except OSError as error:
    told = error.args[0]
found = tried(lambda: read(room.opened))
pieces = None
print(json.dumps([told, found, read(room.opened)]))
