"""A heap in pieces, and fifty files that are opened on it, one after the other."""

import json

from node_room.pieces import fill
from node_room.rig import read, room, tried

pieces = fill()
kept = []
found = []
for i in range(50):
    found.append(tried(lambda: read(room.opened)))
    room.tidy()
    kept.append(bytearray(64))
print(json.dumps([found.count("what it holds"), tried(lambda: read(open))]))
