"""Which gateways a node believes: those that prove a link key of this node's, and are not revoked.

A gateway's grant has a generation. What was revoked is the least generation that is still taken, by the gateway's name,
and lies on flash; where that can't be read no gateway is believed, for it may be the one that was stolen.
"""

import time
from hashlib import sha256
from os import urandom

from micropython import const

from node import room
from node.seal import Ccm
from quaver_wire import gatt

_NONCE = const(16)
_REFUSED = bytes((gatt.REFUSED,))


class Gateways:
    """node_id: 8 bytes; keys: {generation: device key}, one or two; boot: this one's number.

    revoked: {name: least generation}; None where that is not known.
    """

    def __init__(self, node_id, keys, boot, revoked):
        self._node_id = node_id
        self._keys = keys
        self._boot = boot
        self.revoked = revoked
        self._count = 0
        self._link = self._nonce = None

    def ready(self):
        """Make ready for a greeting, once for each, while the gateway still asks for the services. Raises MemoryError.

        No two nonces are the same, and if the chip's random numbers always were.
        """
        self._link = room.load("quaver_wire.link")
        room.load("quaver_wire.hkdf")
        self._count += 1
        fresh = b"%d %d %d" % (self._boot, self._count, time.ticks_us())
        self._nonce = sha256(urandom(_NONCE) + fresh).digest()[:_NONCE]

    def done(self):
        """Give back what a greeting takes."""
        self._link = None
        room.drop("quaver_wire.link", "quaver_wire.hkdf")

    def greet(self, message):
        """What to answer to a gateway's first message: (answer or b"", its Session or None, why it is refused or "").

        Raises ValueError for a message that is none of a gateway's.
        """
        link = self._link
        if message[0] == gatt.TIME:
            return b"", None, "old_link"
        found = link.parse_hello(message)
        if found is None:
            return _REFUSED, None, "link_version"
        key_generation, generation, name = found
        if self.revoked is None or generation < self.revoked.get(str(name, "utf-8"), 0):
            return _REFUSED, None, "revoked_gateway"
        key = self._keys.get(key_generation)
        if key is None:
            return _REFUSED, None, ""  # a gateway tries the key before and the one behind a change
        nonce, self._nonce = self._nonce, None
        key = link.link_key(key, self._node_id, key_generation, name, generation)
        answer, session = link.challenge(key, message, nonce, _cipher)
        return answer, session, ""

    def keep(self, generation):
        """The device key of this generation alone is in force now."""
        self._keys = {generation: self._keys[generation]}


def _cipher(key):
    return Ccm(key, 0)
