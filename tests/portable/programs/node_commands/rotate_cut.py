"""A new key, and its settling, with the power cut at each operation of the flash."""

import json

from build.keys import load_keys, save_key
from cut_flash import every_cut, mounted
from node_commands.rig import NEW, OLD, made, send
from service.runner import taken

states = set()


def rotate(identity=1):
    return send(identity, "rotate", {"key": NEW, "generation": 2})


def check(cut):
    keys = load_keys("/flash/device.key")
    assert keys in ({1: OLD}, {1: OLD, 2: NEW}), cut
    states.add(len(keys))
    answer = rotate(2)
    assert answer == (
        {"id": 2, "result": {"generation": 2}} if len(keys) == 1 else {"id": 2, "error": "generation: expected 3"}
    ), answer
    assert load_keys("/flash/device.key") == {1: OLD, 2: NEW}, cut
    assert taken("/flash/commands.taken")[1][-1] == 2


count = every_cut(made, rotate, check)
both, _, _ = mounted(made, rotate)


def settle():
    save_key(2, NEW, path="/flash/device.key")


def settled(cut):
    assert load_keys("/flash/device.key") in ({1: OLD, 2: NEW}, {2: NEW}), cut


count += every_cut(both, settle, settled)
print(json.dumps([count, sorted(states)]))
