"""A heap in pieces, and files that are opened on it."""

import gc
import json

from node_room.pieces import fill
from node_room.rig import read, room, tried, write

pieces = fill()
plain = tried(lambda: read(open))
found = [tried(lambda: read(room.opened)) for _ in range(3)]
tried(lambda: write("/flash/a", b"another"))
print(json.dumps([plain, found, read(room.opened), gc.mem_free()]))
