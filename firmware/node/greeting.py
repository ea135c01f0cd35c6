"""What a node answers to a gateway's first message: read from flash for that alone, and given back before a record."""

from micropython import const

from node.seal import Ccm
from quaver_wire import gatt, link
from quaver_wire.hkdf import hkdf  # noqa: F401  read now, while the gateway still asks for the services

_NONCE = const(16)


class Greeting:
    """gateways: of node.gateways. To be made for each connection. Raises OSError where there are no random numbers."""

    def __init__(self, gateways):
        self._gateways = gateways
        self._nonce = gateways.random.draw(_NONCE)

    def greet(self, message):
        """(answer or b"", link_session.Session or None, why it is refused or "").

        Raises ValueError for a message that is none of a gateway's.
        """
        if message[0] == gatt.TIME:
            return b"", None, "old_link"
        refused = bytes((gatt.REFUSED,))
        found = link.parse_hello(message)
        if found is None:
            return refused, None, "link_version"
        key_generation, generation, name = found
        gateways = self._gateways
        if gateways.revoked is None or generation < gateways.revoked.get(str(name, "utf-8"), 0):
            return refused, None, "revoked_gateway"
        key = gateways.keys.get(key_generation)
        if key is None:
            return refused, None, ""  # a gateway tries the key before and the one behind a change
        nonce, self._nonce = self._nonce, None
        key = link.link_key(key, gateways.node_id, key_generation, name, generation)
        answer, session = link.challenge(key, message, nonce, _cipher)
        return answer, session, ""


def _cipher(key):
    return Ccm(key, 0)
