"""The link keys that this gateway was granted, on flash: what it proves itself to nodes with, and they to it.

A row is a node's id (8), the generations of its device key and of the grant (1 each), and the link key (32). A node has
two rows while its device key changes: where it refuses one, the other is tried at the next connection.
"""

from micropython import const

from node import room, store
from node.seal import Ccm
from quaver_wire import link_gateway

_ID = const(8)
_ROW = const(42)
_ROWS = const(128)
_NO_KEY = bytes(32)


class Link:
    """One connection to a node: `hello` goes first, and `answered(message)` gives the session, or ValueError."""

    def __init__(self, name, row, nonce):
        self._key = row[10:]
        self.hello = link_gateway.hello(row[8], row[9], nonce, name)

    def answered(self, message):
        room.load("quaver_wire.hkdf")
        return link_gateway.answered(self._key, self.hello, message, _cipher)


def _cipher(key):
    return Ccm(key, 0)


class LinkKeys:
    """random: of node.entropy. path: a byte of length, the name that the keys are for, then the rows."""

    def __init__(self, random, path="/link.keys"):
        self.begin = random.begin  # before the first connection, of which it would take a third of the node's second
        self._random = random
        self._path = path
        self._name = self._rows = b""
        self._turns: dict = {}  # node id: how often it has refused
        try:
            with room.opened(path, "rb") as file:
                data = file.read()
        except OSError:
            return  # none were granted
        at = 1 + data[0] if data else 0
        if not at or (len(data) - at) % _ROW:
            print("gateway: {} is corrupt: grant the nodes again".format(path))
            return
        self._name, self._rows = data[1:at], data[at:]

    def has(self, node_id):
        """Whether there is a key for this node."""
        return bool(self._of(node_id))

    def _of(self, node_id):
        rows = self._rows
        return [at for at in range(0, len(rows), _ROW) if rows[at : at + _ID] == node_id]

    def of(self, node_id):
        """What a connection to this node begins with, a Link; None for a node without a key.

        Raises OSError where there are no random numbers.
        """
        found = self._of(node_id)
        if not found:
            return None
        at = found[-1 - self._turns.get(node_id, 0) % len(found)]  # the newest first
        return Link(self._name, self._rows[at : at + _ROW], self._random.draw(link_gateway.NONCE))

    def refused(self, node_id):
        """The node does not take the key that was tried; returns whether there is no other to try."""
        turns = self._turns[node_id] = self._turns.get(node_id, 0) + 1
        return turns % max(1, len(self._of(node_id))) == 0

    def grant(self, name, rows):
        """Keep these rows, of nodes whose older ones go; a key of zeros takes a node's away. name: bytes.

        Rows for another name replace all. Raises ValueError, and OSError: then nothing has changed.
        """
        if not rows or len(rows) % _ROW:
            raise ValueError("rows: expected {} bytes each".format(_ROW))
        fresh = [rows[at : at + _ROW] for at in range(0, len(rows), _ROW)]
        ids = {row[:_ID] for row in fresh}
        kept = b""
        if name == self._name:
            kept = b"".join(
                self._rows[at : at + _ROW]
                for at in range(0, len(self._rows), _ROW)
                if self._rows[at : at + _ID] not in ids
            )
        kept += b"".join(row for row in fresh if row[10:] != _NO_KEY)
        if len(kept) > _ROWS * _ROW:
            raise ValueError("keys of too many nodes")
        store.replace(self._path, bytes((len(name),)) + name + kept)
        self._name, self._rows = name, kept
        for node_id in ids:
            self._turns.pop(node_id, None)
