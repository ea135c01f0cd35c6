"""Which gateways a node believes: those that prove a link key of this node's, and are not revoked.

A gateway's grant has a generation. What was revoked is the least generation that is still taken, by the gateway's name;
where that can't be known no gateway is believed, for it may be the one that was stolen.
"""

from node import room


class Gateways:
    """node_id: 8 bytes; keys: {generation: device key}, one or two, those in force; random: of node.entropy.

    revoked: {name: least generation}; None where that is not known.
    """

    def __init__(self, node_id, keys, random, revoked):
        self.node_id = node_id
        self.keys = keys
        self.random = random
        self.revoked = revoked

    def begin(self):
        """Take what random numbers are made of before the first gateway comes; what fails now is tried again then."""
        try:
            self.random.begin()
        except OSError as error:
            print("node: {}".format(error))
        self.done()

    def greeting(self):
        """A node.greeting.Greeting, for one connection, until `done`. Raises MemoryError, and OSError as that does."""
        return room.load("node.greeting").Greeting(self)

    def done(self):
        """Give back what a greeting takes."""
        room.drop("node.greeting", "quaver_wire.link", "quaver_wire.hkdf")
