"""The node's side of the provisioning session: handshake, the count of wrong codes, sealed requests and answers.

    closed --HELLO--> greeted --PROOF, right--> open --SEALED--> open
    any    --HELLO--> greeted, and whatever was open is forgotten
    greeted --PROOF, wrong--> closed, and one more wrong code

A try is counted on flash before its proof is looked at, so a power cut gives none for free. Four wrong codes in a row
cost two seconds each; from the fifth on the node takes no HELLO for half a minute, then twice as long, at most for ten
minutes. It can't tell how long it was off, so that wait begins again at every start.
"""

from micropython import const

from enrol.x25519 import BASE, ladder
from node import store
from quaver_wire import session as wire

if False:  # types alone: never compiled
    from collections.abc import Callable, Iterator

    from node.clock import Uptime

_FREE_TRIES = const(4)
_PAUSE_S = const(2)
_WAIT_S = const(30)
_WAIT_MAX_S = const(600)
_ALTERED_MAX = const(8)  # forged messages that a session takes; a tag has 64 bits


class Tries:
    """Wrong codes, on flash, and what sessions turned away else. uptime: its ms() does not wrap.

    untold: wrong codes that no event has told of yet. build.wiring tells of both, once the node is in service.
    """

    def __init__(self, uptime: "Uptime", path: str = "/session.tries") -> None:
        self._uptime = uptime
        self._path = path
        self._row, self.untold, self._turned_away = self._load()
        self._until_ms = 0
        if self._row > _FREE_TRIES:
            self._hold()

    def _load(self) -> tuple[int, int, int]:
        try:
            with open(self._path) as file:
                row, untold, turned_away = (int(word) for word in file.read(36).split())
            return row, untold, turned_away
        except OSError:
            return 0, 0, 0
        except ValueError:
            return _FREE_TRIES + 1, 1, 0  # a file that is no longer ours to read is no reason to start from nothing

    def _save(self) -> None:
        store.replace(self._path, "{} {} {}".format(self._row, self.untold, self._turned_away).encode())

    def _hold(self) -> None:
        over = min(self._row - _FREE_TRIES - 1, 8)
        seconds = _PAUSE_S if over < 0 else min(_WAIT_S << over, _WAIT_MAX_S)
        self._until_ms = self._uptime.ms() + 1000 * seconds

    def wait_s(self) -> int:
        """Seconds until the next try; 0: now."""
        return max(0, self._until_ms - self._uptime.ms() + 999) // 1000

    def begin(self) -> None:
        """Count a try, as wrong until it proves right. Raises OSError when flash can't be written: then no try."""
        self._row += 1
        self.untold += 1
        self._save()

    def failed(self) -> None:
        self._hold()

    def passed(self) -> None:
        self._row = 0
        self.untold -= 1
        self._save()

    def turned_away(self, count: int) -> None:
        """So many messages were none of a session's. Raises OSError."""
        self._turned_away += count
        self._save()


class Session:
    """One host at a time. receive(message) does the work; a request that opened stands in `request`.

    identity: 8 bytes; code: the proof of possession, None when the node has none; aead: makes AES-CCM of a key, as
    quaver_wire.session.Channel takes it. random(count): that many random bytes, or OSError, as node.entropy has it.
    refused counts messages that were turned away; wrong codes are counted apart.
    """

    def __init__(
        self,
        identity: bytes,
        code: bytes | None,
        aead: "Callable",
        tries: Tries,
        random: "Callable[[int], bytes]",
        enrolled: bool = False,
        identify: "Callable | None" = None,
    ) -> None:
        """enrolled: the node has a device key. identify(): shows which one it is, to anybody who asks."""
        self._enrolled = enrolled
        self._identify = identify
        self._identity = identity
        self._code = code
        self._aead = aead
        self._tries = tries
        self._random = random
        self.refused = 0
        self.close()

    def close(self) -> None:
        """Forget keys and handshake."""
        self._keys: wire.Keys | None = None
        self._incoming: wire.Channel | None = None
        self._outgoing: wire.Channel | None = None
        self._answer: bytes | None = None
        self._altered = 0
        self.request: bytes | None = None

    @property
    def is_open(self) -> bool:
        return self._incoming is not None

    def receive(self, message: bytes) -> "Iterator[bytes | None]":
        """Work on one message from the host; yields messages to send, and None now and then to let others run."""
        kind = wire.kind_of(message)
        if kind == wire.HELLO_HOST:
            for out in self._greet(message):
                yield out
        elif kind == wire.PROOF_HOST:
            yield self._check(message)
        elif kind == wire.SEALED:
            yield self._open(message)
        elif kind == wire.WHO:
            if message[1] and self._identify:
                self._identify()
            state = int(self._enrolled) | (self._code is not None) << 1
            yield bytes((wire.HERE,)) + self._identity + bytes((state,))
        else:
            yield self._refuse("malformed")

    def _refuse(self, reason: str) -> bytes:
        self.refused += 1
        return wire.refused(reason)

    def _greet(self, message: bytes) -> "Iterator[bytes | None]":
        if message[1] != wire.VERSION:
            yield self._refuse("version")
            return
        if self._code is None:
            yield self._refuse("no_code")
            return
        wait = self._tries.wait_s()
        if wait:
            yield wire.refused("wait", wait)
            return
        self.close()
        try:
            scalar = self._random(32)
        except OSError as error:
            print("node: {}".format(error))
            yield self._refuse("no_random")
            return
        public = bytes(message[2:])
        for step in ladder(scalar, BASE):
            if type(step) is int:
                yield bytes((wire.PROGRESS, step // 2)) if step % 20 < 6 else None
        own = step
        for step in ladder(scalar, public):
            if type(step) is int:
                yield bytes((wire.PROGRESS, 50 + step // 2)) if step % 20 < 6 else None
        if step == bytes(32):
            yield self._refuse("malformed")
            return
        self._keys = wire.Keys(step, self._code, self._identity, public, own)
        yield bytes((wire.HELLO_NODE, wire.VERSION)) + public[:4] + self._identity + own

    def _check(self, message: bytes) -> bytes:
        keys = self._keys
        self._keys = None  # one try for each handshake
        if keys is None:
            return self._refuse("no_session")
        try:
            self._tries.begin()
        except OSError:
            return wire.refused("wait", _WAIT_S)
        if not wire.same(bytes(message[1:]), keys.host_proof):
            self._tries.failed()
            return wire.refused("wrong_code", self._tries.wait_s())
        self._tries.passed()
        self._incoming = wire.Channel(self._aead(keys.host_key), keys.host_vector)
        self._outgoing = wire.Channel(self._aead(keys.node_key), keys.node_vector)
        return bytes((wire.PROOF_NODE,)) + keys.node_proof

    def _open(self, message: bytes) -> bytes | None:
        """The next request; the one before it again means that its answer was lost: it is sent again."""
        if self._incoming is None:
            return self._refuse("no_session")
        counter = message[1] << 8 | message[2]
        if self._answer is not None and counter == self._incoming.counter - 1:
            return self._answer
        try:
            plain = self._incoming.open(message)
        except OverflowError:
            plain = None
        if plain is None:
            self._altered += 1
            if self._altered >= _ALTERED_MAX:
                self.close()
            return self._refuse("altered")
        self._answer = None
        self.request = plain
        return None

    def answer(self, plain: bytes) -> bytes:
        """The message that answers `request`; `plain`: bytes."""
        self.request = None
        self._answer = self._outgoing.seal(plain)
        return self._answer
