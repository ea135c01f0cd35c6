"""Commands on their way to nodes: on flash from the broker's acknowledgement until a connection has delivered them."""

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
        self._numbers: dict = {}  # of each node that has some, oldest first
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
            self.sent(node_id, numbers[0])
            self.dropped += 1

    def waits(self, node_id):
        """Whether there is a command for this node."""
        return node_id in self._numbers

    def of(self, node_id):
        """This node's commands, as a connection takes them."""
        return _Waiting(self, node_id)

    def numbers(self, node_id):
        """Of this node's commands, oldest first."""
        return self._numbers.get(node_id, ())

    def read(self, node_id, number):
        with open(self._name(node_id, number), "rb") as file:
            return file.read(_MESSAGE_MAX)

    def sent(self, node_id, number):
        """This one has reached the node, or is given up."""
        numbers = self._numbers.get(node_id, ())
        if number not in numbers:
            return
        numbers.remove(number)
        if not numbers:
            del self._numbers[node_id]
        try:
            os.remove(self._name(node_id, number))
        except OSError:
            pass  # delivered again after a restart: the node knows its number

    def __len__(self):
        return sum(len(numbers) for numbers in self._numbers.values())


class _Waiting:
    """A node's commands during a connection: new ones join them, and one that is taken out is removed from flash."""

    def __init__(self, commands, node_id):
        self._commands = commands
        self._node_id = node_id
        self._number = None

    def __len__(self):
        return len(self._commands.numbers(self._node_id))

    def __getitem__(self, index):
        self._number = self._commands.numbers(self._node_id)[index]
        return self._commands.read(self._node_id, self._number)

    def pop(self, _index):
        """The one that was read last has arrived; another may have become the oldest since."""
        self._commands.sent(self._node_id, self._number)
