"""What a node answers to a gateway's first message: read from flash for that alone, and given back before a record."""

from node import room
from node.seal import Ccm
from quaver_wire import gatt
from quaver_wire.link_session import Session


def greet(gateways, message):
    """As node.gateways.Gateways.greet."""
    if message[0] == gatt.TIME:
        return b"", None, "old_link"
    if not gateways.nonce:
        raise OSError("no random number for a challenge")
    key, why = _key(gateways, message)
    if key is None:
        return bytes((gatt.REFUSED,)), None, why
    for name in ("quaver_wire.link", "quaver_wire.hkdf"):
        room.forget(name)  # their room is the session's
    nonce, gateways.nonce = gateways.nonce, None
    session = Session(Ccm(key, 0), True)
    return session.sign(bytes((gatt.CHALLENGE,)) + nonce), session, ""


def _key(gateways, message):
    """(the connection's AES key or None, why it is refused or "")."""
    from quaver_wire import link

    found = link.parse_hello(message)
    if found is None:
        return None, "link_version"
    key_generation, generation, name = found
    if gateways.revoked is None or generation < gateways.revoked.get(str(name, "utf-8"), 0):
        return None, "revoked_gateway"
    key = gateways.keys.get(key_generation)
    if key is None:
        return None, ""  # a gateway tries the key before and the one behind a change
    key = link.link_key(key, gateways.node_id, key_generation, name, generation)
    return link.session_key(key, message, gateways.nonce), ""
