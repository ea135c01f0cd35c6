"""A module that is loaded twice, while its file goes."""

import json
import os

from node_room.rig import room

first = room.load("more")
os.remove("/flash/more.mpy")
again = room.load("more")
room.drop("more")
try:
    room.load("more")
    gone = None
except ImportError as error:
    gone = str(error)
print(json.dumps([first is again, gone]))
