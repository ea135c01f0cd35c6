"""A node that is retired, with the power cut at each of the first operations of the flash."""

import json
import os

from build.keys import load_keys
from command.erase import erase
from cut_flash import mounted
from node_commands.rig import OLD, made, send

states = set()


def retire():
    return send(1, "retire", {"confirm": "n1"})


def check():
    names = os.listdir("/flash")
    states.add("device.key" in names)
    assert "device.key" not in names or load_keys("/flash/device.key") == {1: OLD} and "config.json" in names
    erase((), "/flash")
    assert not {"device.key", "config.json", "commands.taken"} & set(os.listdir("/flash"))


for torn in (False, True):
    for left in range(1, 16):
        image, _, _ = mounted(made, retire, left, torn)
        mounted(image, check)
print(json.dumps(sorted(states)))
