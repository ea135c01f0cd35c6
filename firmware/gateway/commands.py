"""Commands on their way to nodes: on flash from the broker's acknowledgement until a visit has delivered them."""

import os
from binascii import hexlify, unhexlify

from micropython import const

from node.store import replace

_PER_NODE = const(4)
_MESSAGE_MAX = const(560)  # as node.mailbox takes it


class Commands:
    """path: the folder; a file is a command, named by its node's id and a number that counts up."""

    def __init__(self, path="/commands"):
        self._path = path + "/"
        self._numbers = {}  # of each node that has some, oldest first
        self.dropped = 0
        try:
            os.mkdir(path)
        except OSError:
            pass  # it is there; if it can't be made, the first write says so
        self._next = 0
        for name in os.listdir(path):
            node, _, number = name.partition(".")
            if len(node) == 16 and number.isdigit():
                self._numbers.setdefault(unhexlify(node), []).append(int(number))
                self._next = max(self._next, int(number) + 1)
        for numbers in self._numbers.values():
            numbers.sort()

    def _name(self, node_id, number):
        return "{}{}.{}".format(self._path, hexlify(node_id).decode(), number)

    def put(self, node_id, sealed):
        """Keep a command; of too many for one node the oldest goes. Raises OSError: then it is not kept."""
        if not 0 < len(sealed) <= _MESSAGE_MAX:
            self.dropped += 1
            return
        replace(self._name(node_id, self._next), sealed)
        numbers = self._numbers.setdefault(node_id, [])
        numbers.append(self._next)
        self._next += 1
        if len(numbers) > _PER_NODE:
            self.sent(node_id, 1)
            self.dropped += 1

    def waits(self, node_id):
        """Whether there is a command for this node."""
        return node_id in self._numbers

    def of(self, node_id):
        """This node's commands, oldest first."""
        found = []
        for number in self._numbers.get(node_id, ()):
            with open(self._name(node_id, number), "rb") as file:
                found.append(file.read(_MESSAGE_MAX))
        return found

    def sent(self, node_id, count):
        """The oldest `count` have reached the node."""
        numbers = self._numbers.get(node_id)
        for _ in range(count):
            try:
                os.remove(self._name(node_id, numbers.pop(0)))
            except OSError:
                pass  # delivered again after a restart: the node knows its number
        if numbers is not None and not numbers:
            del self._numbers[node_id]

    def __len__(self):
        return sum(len(numbers) for numbers in self._numbers.values())
