"""A heap in pieces, and a module that is loaded and dropped on it."""

import builtins
import json
import sys

from node_room.pieces import fill
from node_room.rig import room, tried

pieces = fill()
plain = tried(lambda: builtins.__import__("more"))
room.drop("more")
found = []
for _ in range(3):
    found.append(tried(lambda: room.load("more").number))
    room.drop("more")
print(json.dumps([repr(plain), found, "more" in sys.modules]))
