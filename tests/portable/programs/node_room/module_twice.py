"""A module that is loaded twice, while its file goes."""

import json
import os

from node_room.rig import room

first = room.load("extra")
os.remove("/flash/extra.mpy")
again = room.load("extra")
room.drop("extra")
try:
    room.load("extra")
    gone = None
except ImportError as error:
    gone = str(error)
print(json.dumps([first is again, gone]))
