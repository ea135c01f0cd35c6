"""Which gateways a node believes: those that prove a link key of this node's, and are not revoked.

A gateway's grant has a generation. What was revoked is the least generation that is still taken, by the gateway's name;
where that can't be known no gateway is believed, for it may be the one that was stolen.
"""

from micropython import const

from node import room

_NONCE = const(16)


class Gateways:
    """node_id: 8 bytes; keys: {generation: device key}, one or two, those in force; boot: this one's number.

    revoked: {name: least generation}; None where that is not known. event: of node.record, for sources of random
    numbers that fail. nonce: of the next connection, None where there is none yet.
    """

    def __init__(self, node_id, keys, boot, revoked, event=None):
        self.node_id = node_id
        self.keys = keys
        self.boot = boot
        self.revoked = revoked
        self.nonce = None
        self._event = event
        self._random = None  # the state of node.entropy, which is read for a draw alone, as is hal.noise

    def begin(self):
        """Have a nonce ready, before a gateway is there to wait for it; what fails now is tried again the next time."""
        if self.nonce:
            return
        try:
            own = repr((self.node_id, self.boot, self.keys)).encode()
            random = room.load("node.entropy").Random(room.load("hal.noise"), own, self._event, self._random)
            try:
                self.nonce = random.draw(_NONCE)
            finally:
                self._random = random.state()
        except (OSError, MemoryError) as error:
            print("node: {}".format(error))
        random = None
        room.drop("node.entropy", "node.drbg", "hal.noise", "quaver_wire.hkdf")

    def ready(self):
        """Read what `greet` takes, until `done`. Raises MemoryError, and ImportError for want of it."""
        for name in ("node.greeting", "quaver_wire.link", "quaver_wire.hkdf"):
            room.load(name)

    def greet(self, message):
        """(answer or b"", link_session.Session or None, why it is refused or "") of a connection's first message.

        Raises ValueError for a message that is none of a gateway's, and OSError where there is no nonce.
        """
        return room.load("node.greeting").greet(self, message)

    def done(self):
        """Give back what a greeting takes."""
        room.drop("node.greeting", "quaver_wire.link", "quaver_wire.hkdf")
