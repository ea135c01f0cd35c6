"""A command to a node as one sealed message: numbered, with an id for its answer and an expiry."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from quaver.errors import OperationError
from quaver.fleet.command_numbers import Counter
from quaver.fleet.keys import KeyStore, NodeKeys
from quaver.messages.sealing import Sealer
from quaver_wire import cbor
from quaver_wire.fields import VERSION, WireError

_COMMAND_MAX = 512  # bytes of a command before it is sealed, as firmware/service/downlink.py takes it
_IDS = 31  # bits; a node holds them without a number on its heap


def draw_id() -> int:
    """An id for a command, by which its answer is found."""
    return secrets.randbits(_IDS)


class Commands:
    """Seals commands with the keys of a store. clock: seconds since 1970. Raises OperationError, KeyStoreError."""

    def __init__(self, keys: KeyStore, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._counter = Counter(keys.folder, clock)

    def seal(
        self, node: NodeKeys, generation: int, verb: str, args: Mapping[str, Any], *, identity: int, expires_s: float
    ) -> bytes:
        """generation: of the key that the node uses now; expires_s: how long it may obey, from now."""
        key = self._keys.device_keys(node.node_id).get(generation)
        if key is None:
            raise OperationError(
                f"node {node.name}: uses key {generation}, which is not here; "
                "name the key store that it was enrolled with (--keys)"
            )
        why = self._keys.ended(node.node_id, generation)
        if why is not None:
            raise OperationError(
                f"node {node.name}: its key {generation} is {why}: no command is sent; enrol it anew: quaver provision"
            )
        expiry = int((self._clock() + expires_s) * 1000)
        buffer = bytearray(_COMMAND_MAX)
        record = {"version": VERSION, "id": identity, "name": verb, "args": dict(args), "expiry": expiry}
        try:
            end = cbor.encode(buffer, record, "command")
            boot, seq = self._counter.take(node.node_id)
            sealer = Sealer(key, node.node_id, generation, "downlink")
            return sealer.seal("command", boot, seq, bytes(buffer[:end]))
        except WireError as error:
            raise OperationError(f"{verb}: too long for one command ({error}); split it into several") from error
