"""Folders of modules are dropped, one of them twice."""

import json
import sys

from build import keys
from node import room

for name in ("command.log", "command.erase", "node.store"):
    __import__(name)
sys.modules["commander"] = keys
room.drop("command", "command.log", "node")
left = sorted(name for name in sys.modules if name.split(".")[0] in ("command", "commander", "build", "node"))
import command.log

print(json.dumps([left, command.log.NOTED, room is sys.modules["node.room"]]))
