"""The provisioning room's session: the host's side of quaver_wire.session over anything that carries messages.

Stop and wait: a request that gets no answer is sent again as the same bytes, and the node answers it once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from quaver.errors import SessionError
from quaver.messages.sealing import Ccm
from quaver_wire import session as wire

_HELLO_S = 15.0  # an ESP32-C3's or RP2040's two X25519 take one to two seconds
_AGAIN_S = 2.0
_WHO_S = 0.5
_ANSWER_S = 10.0


class Transport(Protocol):
    """What carries session messages. Both verbs raise SessionError when the other side is gone."""

    def send(self, message: bytes) -> None: ...

    def receive(self, timeout: float) -> bytes | None:
        """The next message, or None after `timeout` seconds."""
        ...


def who(transport: Transport, show: bool = False, timeout: float = 1.0) -> tuple[bytes, bool, bool] | None:
    """(id, enrolled, has a code) of the node at the other end, or None; show: have it blink. Proves nothing."""
    now = ask_at = time.monotonic()
    end = now + timeout
    while now < end:
        if now >= ask_at:  # a board whose reset hangs on the port has only begun to start
            transport.send(bytes((wire.WHO, int(show))))
            ask_at = now + _WHO_S
        answer = transport.receive(min(end, ask_at) - now)
        if answer and wire.kind_of(answer) == wire.HERE:
            return answer[1:9], bool(answer[9] & 1), bool(answer[9] & 2)
        now = time.monotonic()
    return None


class WrongCode(SessionError):
    """The node refused the code, or could not prove that it has it."""


class MustWait(SessionError):
    """The node takes no code for `seconds` more."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the node has received too many wrong codes: wait {seconds} s, then try again")
        self.seconds = seconds


class Refused(SessionError):
    """A request that the node did not carry out. reason: its own."""

    def __init__(self, do: str, reason: str) -> None:
        super().__init__(f"the node refused to {do}: {reason}")
        self.reason = reason


class Session:
    """A handshake with one node, then its requests. Raises SessionError and its kinds.

    code: the proof of possession in its normal form (identity.normal). identity: the 8 bytes that the node must have,
    None for whichever answers. progress: called with the percent of the handshake that the node has done.
    """

    def __init__(
        self,
        transport: Transport,
        code: str,
        identity: bytes | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._transport = transport
        self._code = code.encode()
        self._progress = progress
        self.identity = identity or b""
        self._greet()

    def _greet(self) -> None:
        private = X25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        hello = bytes((wire.HELLO_HOST, wire.VERSION)) + public
        answer = self._exchange(hello, wire.HELLO_NODE, _HELLO_S, again=_HELLO_S)
        while answer[2:6] != public[:4]:  # the answer to a session that was given up
            answer = self._exchange(b"", wire.HELLO_NODE, _HELLO_S, again=_HELLO_S)
        identity, node_public = answer[6:14], answer[14:]
        if answer[1] != wire.VERSION:
            raise SessionError(
                f"the node uses session version {answer[1]}, this quaver {wire.VERSION}: update the older one"
            )
        if self.identity and identity != self.identity:
            raise SessionError(f"the node is {identity.hex()}, not {self.identity.hex()}: connect the right one")
        self.identity = identity
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(node_public))
        except ValueError as error:  # a point of small order: RFC 7748, section 6.1
            raise SessionError(
                "the node's public key is invalid, so nothing was sent to it: restart the node and try again"
            ) from error
        keys = wire.Keys(shared, self._code, identity, public, node_public)
        proof = self._exchange(bytes((wire.PROOF_HOST,)) + keys.host_proof, wire.PROOF_NODE, _ANSWER_S, again=_ANSWER_S)
        if not wire.same(proof[1:], keys.node_proof):
            raise WrongCode(
                "the peer does not know the node's code, so nothing was sent to it: check that it is the right node"
            )
        self._outgoing = wire.Channel(Ccm(keys.host_key), keys.host_vector)
        self._incoming = wire.Channel(Ccm(keys.node_key), keys.node_vector)

    def request(self, do: str, arguments: Mapping[str, Any] | None = None, timeout: float = _ANSWER_S) -> Any:
        """Have the node do something; returns its result. timeout: seconds until it must have answered.

        Raises Refused with the node's reason, SessionError when there is no answer.
        """
        text = json.dumps({"do": do, **(arguments or {})}, separators=(",", ":"))
        if len(text.encode()) > wire.PLAIN_MAX:
            raise SessionError(f"request {do}: {len(text.encode())} bytes, a node accepts {wire.PLAIN_MAX}: shorten it")
        message = self._outgoing.seal(text.encode())
        plain = self._exchange(message, wire.SEALED, timeout, again=_AGAIN_S)
        try:
            answer = json.loads(plain)
            if not isinstance(answer, dict) or answer.keys() not in ({"result"}, {"error"}):
                raise ValueError
        except (ValueError, RecursionError) as error:
            raise SessionError(
                f"request {do}: the node's answer can't be read: update the firmware or quaver"
            ) from error
        if "error" in answer:
            raise Refused(do, str(answer["error"]))
        return answer["result"]

    def _exchange(self, message: bytes, kind: int, timeout: float, again: float) -> bytes:
        """Send (unless empty) and wait for a message of `kind`: the message itself, or what a sealed one holds."""
        now = time.monotonic()
        end, next_try = now + timeout, now
        while (now := time.monotonic()) < end:
            if now >= next_try:
                if message:
                    self._transport.send(message)
                next_try = now + again
            answer = self._transport.receive(min(end, next_try) - now)
            found = wire.kind_of(answer) if answer else 0
            if answer is None or not found:
                continue
            if found == wire.PROGRESS:
                end, next_try = time.monotonic() + timeout, time.monotonic() + again
                if self._progress:
                    self._progress(min(answer[1], 100))
            elif found == wire.REFUSED:
                self._raise(answer)
            elif found == kind and kind != wire.SEALED:
                return answer
            elif found == kind:
                plain = self._incoming.open(answer)
                if plain is not None:  # else the answer to a request that was sent twice, or somebody else's
                    return plain
        raise SessionError("the node does not answer: check the cable or move closer, then try again")

    def _raise(self, answer: bytes) -> None:
        """Nothing proves that a refusal is the node's; it can end this session, and no more."""
        reason = wire.REASONS[answer[1]] if answer[1] < len(wire.REASONS) else "?"
        seconds = answer[2] << 8 | answer[3]
        if reason == "wrong_code":
            raise WrongCode("the node has another code: check its label" + (f", wait {seconds} s" if seconds else ""))
        if reason == "wait":
            raise MustWait(seconds)
        if reason == "no_code":
            raise SessionError("the node has no code: flash it with `quaver flash`")
        if reason == "version":
            raise SessionError(f"the node does not use session version {wire.VERSION}: update the older one")
        if reason == "no_random":
            raise SessionError(
                "the node can't make random numbers, so no key: power it off and on; if that does not help, replace it"
            )
        raise SessionError(f"the node ended the session ({reason}): try again")
