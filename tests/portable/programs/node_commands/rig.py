"""A node whose key and configuration lie on a flash that can be cut."""

import asyncio

from build.keys import save_key
from command.erase import erase
from cut_flash import mounted
from node import store
from service import runner
from service.replay import Window
from service.runner import Runner, taken

OLD, NEW = b"1" * 32, b"2" * 32


def made():
    save_key(1, OLD, path="/flash/device.key")
    store.replace("/flash/config.json", b'{"node":"n1"}')


made, _, _ = mounted(None, made)

runner.drop = lambda *names: None  # erase and the keys are used here too


class Node:
    root = "/flash"
    config = "/flash/config.json"

    def event(self, name, generation):
        pass

    def restart(self):
        pass

    def leave(self):
        erase((), "/flash")


node = Node()
node.parts = {"name": "n1", "recorder": node}


def send(identity, name, args):
    state, ids = taken("/flash/commands.taken")
    window = Window(state)
    window.take(1, identity)
    commands = Runner(node, lambda: 5, window, ids, "/flash/commands.taken")
    answer = asyncio.run(commands.run({"id": identity, "name": name, "args": args, "expiry": 6}))
    if answer.get("error", "").startswith("[Errno"):
        raise OSError(5)
    return answer
