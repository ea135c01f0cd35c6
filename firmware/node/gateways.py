"""Which gateways a node believes: those that prove a link key of this node's, and are not revoked.

A gateway's grant has a generation. What was revoked is the least generation that is still taken, by the gateway's name;
where that can't be known no gateway is believed, for it may be the one that was stolen.
"""

from node import room


class Gateways:
    """node_id: 8 bytes; keys: {generation: device key}, one or two, those in force; boot: this one's number.

    revoked: {name: least generation}; None where that is not known. count: the connections of this boot.
    """

    def __init__(self, node_id, keys, boot, revoked):
        self.node_id = node_id
        self.keys = keys
        self.boot = boot
        self.revoked = revoked
        self.count = 0

    def greeting(self):
        """A node.greeting.Greeting, for one connection, until `done`. Raises MemoryError."""
        self.count += 1
        return room.load("node.greeting").Greeting(self)

    def done(self):
        """Give back what a greeting takes."""
        room.drop("node.greeting", "quaver_wire.link", "quaver_wire.hkdf")
