"""Opens messages from nodes and seals messages to them: COSE_Encrypt0 as in protocols/README.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from quaver.errors import QuaverError
from quaver.messages.decoding import decode
from quaver_wire.cose import OVERHEAD, Channel, Header
from quaver_wire.decoder import VersionError
from quaver_wire.fields import MESSAGE_CLASSES, WireError
from quaver_wire.hkdf import derive

_TAG = 8
_MESSAGE = 1024
_CHANNELS = 4096  # kept ready; a fleet of more derives again


class SealError(QuaverError):
    """A message that is not opened. `kind` is what it is counted under."""

    exit_code = 1
    kind = "refused"


class UnknownNode(SealError):
    """No key of this node, or none of this generation."""

    kind = "unknown_node"


class WrongKey(SealError):
    """The tag does not fit: sealed with another key, for another class, or altered on the way."""

    kind = "wrong_key"


class KeyRevoked(SealError):
    """Sealed with a key that was revoked: by its node, or by whoever has the key."""

    kind = "key_revoked"


class KeyExpired(SealError):
    """Sealed with a key whose time is over."""

    kind = "key_expired"


class Malformed(SealError):
    """Not a sealed message, or one with something else than a record of its class inside."""

    kind = "malformed"


class WrongVersion(SealError):
    """A record of a version that this reader does not know."""

    kind = "wrong_version"


class Keys(Protocol):
    """Where device keys come from."""

    def device_keys(self, node_id: bytes) -> Mapping[int, bytes]:
        """The node's device keys of 32 bytes by their generation; empty for a node that is not known."""


@runtime_checkable
class Ending(Protocol):
    """Of `Keys` that end."""

    def ended(self, node_id: bytes, generation: int) -> str | None:
        """Why a key may not be used now: "revoked", "expired", "removed"; None when it may."""


_ENDED = {
    "revoked": (KeyRevoked, "its key {} is revoked; if the node is to come back, enrol it anew: quaver provision"),
    "expired": (
        KeyExpired,
        "its key {} has expired; give it more days with quaver keys expire, or enrol the node anew",
    ),
    "removed": (UnknownNode, "its key {} was removed just now"),
}


@dataclass(frozen=True)
class Opened:
    """A message that is what its node sent: whose (8 bytes), under which key, which of its boot, and its fields."""

    node_id: bytes
    generation: int
    boot: int
    seq: int
    record: dict[str, Any]


class Ccm:
    """AES-CCM-16-64-128 with the verbs that quaver_wire.cose asks of a cipher."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESCCM(key, tag_length=_TAG)

    def encrypt(
        self, nonce: bytearray, additional: bytes, plain: bytearray, length: int, out: bytearray, at: int
    ) -> int:
        end = at + length + _TAG
        out[at:end] = self._aes.encrypt(nonce, plain[:length], additional)
        return end

    def decrypt(self, nonce: bytearray, additional: bytes, data: bytes, at: int, length: int, out: bytearray) -> bool:
        try:
            out[: length - _TAG] = self._aes.decrypt(nonce, data[at : at + length], additional)
        except InvalidTag:
            return False
        return True


def channel(device_key: bytes, node_id: bytes, generation: int, direction: str) -> Channel:
    """The channel of one direction ("uplink", "downlink") of a node's key generation."""
    key, context_iv = derive(device_key, direction, node_id, generation)
    return Channel(Ccm(key), context_iv, node_id + bytes([generation]))


class Opener:
    """Opens messages of any node whose keys it is given; nothing of a message is decoded before its tag fits.

    Keys that end (`Ending`) are asked at each message.

    direction: "uplink" for what nodes send; "downlink" for what they are sent. Whether a message is new is for the
    caller's window to say, by (node_id, boot, seq).
    """

    def __init__(self, keys: Keys, direction: str = "uplink") -> None:
        self._keys = keys
        self._ended = keys.ended if isinstance(keys, Ending) else None
        self._direction = direction
        self._channels: dict[bytes, tuple[bytes, Channel]] = {}
        self._out = bytearray(_MESSAGE)

    def open(self, message_class: str, message: bytes) -> Opened:
        """The record in `message`, which came on a topic that ends in `message_class`. Raises SealError's own."""
        if message_class not in MESSAGE_CLASSES:
            raise Malformed(f"{message_class[:40]!r} is not a message class: refused; check who publishes on its topic")
        try:
            header = Header(message)
        except WireError as error:
            raise Malformed(f"not a sealed message: {error}; check that its node is enrolled") from error
        name = header.node_id.hex()
        device_key = self._keys.device_keys(header.node_id).get(header.generation)
        if device_key is None:
            raise UnknownNode(
                f"node {name}: no key of generation {header.generation} is known; enrol it, or import its key"
            )
        length = self._channel(header, device_key).open(header, message_class, message, self._out)
        if length < 0:
            raise WrongKey(
                f"node {name}, boot {header.boot}, seq {header.seq}: sealed with another key or for "
                "another message class, "
                f"or altered: refused; re-enrol the node if it should be known"
            )
        # After the tag: what is counted as sealed with a key that ended was sealed with it. Before the content is used.
        why = self._ended(header.node_id, header.generation) if self._ended else None
        if why is not None:
            ended, words = _ENDED[why]
            raise ended(f"node {name}, boot {header.boot}, seq {header.seq}: {words.format(header.generation)}")
        try:
            record = decode(bytes(memoryview(self._out)[:length]), message_class)
        except VersionError as error:
            raise WrongVersion(f"node {name}: {error}; update quaver") from error
        except WireError as error:
            raise Malformed(
                f"node {name}, boot {header.boot}, seq {header.seq}: {error}; update its firmware"
            ) from error
        if not record.keys().isdisjoint(("node", "boot", "seq")):
            raise Malformed(f"node {name}: names itself again inside the sealed message: refused; update its firmware")
        return Opened(header.node_id, header.generation, header.boot, header.seq, record)

    def _channel(self, header: Header, device_key: bytes) -> Channel:
        key_id = header.node_id + bytes([header.generation])
        held = self._channels.get(key_id)
        if held is None or held[0] != device_key:
            if len(self._channels) >= _CHANNELS:
                self._channels.clear()
            held = device_key, channel(device_key, header.node_id, header.generation, self._direction)
            self._channels[key_id] = held
        return held[1]


class Sealer:
    """Seals messages of one direction under one device key. The caller never uses a pair of boot and seq twice."""

    def __init__(self, device_key: bytes, node_id: bytes, generation: int, direction: str) -> None:
        self._channel = channel(device_key, node_id, generation, direction)

    def seal(self, message_class: str, boot: int, seq: int, plaintext: bytes) -> bytes:
        """The message of class `message_class` that carries `plaintext`. Raises quaver_wire's WireError."""
        out = bytearray(len(plaintext) + OVERHEAD)
        end = self._channel.seal(out, message_class, boot, seq, bytearray(plaintext), len(plaintext))
        return bytes(out[:end])
