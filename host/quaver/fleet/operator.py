"""Field operations over a broker: a command is sealed and sent, its answer found by its id, opened and read.

The broker keeps a command for a node that is away (the node's session there outlives its connection); the command's
expiry says until when the node may still obey it. What a node has last said of itself, its retained status, tells its
topic prefix, whether it is online, and which generation of its key it seals with: commands are sealed with that one.
A node behind a gateway is never online: it gets a command when the gateway connects to it.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from quaver.broker.address import BrokerUrl, node_topics
from quaver.broker.client import CONNECT_S, connect, mqtt_client, no_answer, refused
from quaver.errors import BrokerError, KeyStoreError, OperationError, UnansweredError
from quaver.fleet.command_numbers import Counter
from quaver.fleet.keys import KeyStore, NodeKeys
from quaver.messages.sealing import Opened, Opener, Sealer, SealError, UnknownNode, WrongKey
from quaver_wire import cbor
from quaver_wire.fields import EVENTS, VERSION, WireError
from quaver_wire.names import ROLES, STATES

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_LOST = "connection lost"
_CLASSES = ("status", "answer", "event")
_COMMAND_MAX = 512  # bytes of a command before it is sealed, as firmware/service/downlink.py takes it
_QUIET_S = 0.3  # retained messages come at once, one behind the other
_SENT_S = 10.0
_SETTLED_S = 3.0  # in which a node that is back has told what it had to tell
_LEAVE_S = 15.0  # firmware/service/obey.py gives it ten
_IDS = 31  # bits; a node holds them without a number on its heap
_MEANINGS = {
    "expired": "it reached the node after its expiry; send it again with a longer one (--expires)",
    "clock not set": "the node does not know the time, so it can't tell whether a command is late; "
    "check its time_server, or the gateway's clock",
    "unknown command": "its firmware does not know this command; update it with quaver sync",
    "release refused: wrong_key": "it trusts another release key; sign the release with that one, or give the "
    "node this machine's key with quaver sync",
    "release refused: wrong_signature": "the release was changed after it was signed; publish it again",
    "release refused: old": "it runs that release or a later one; build one with a higher --sequence",
    "release refused: expired": "the release has expired; build it anew with a later --expires",
    "release refused: wrong_board": "the release is not for its board; build it with that one",
    "release refused: wrong_micropython": "the release is for another MicroPython than it runs; flash it by cable",
    "release refused: no_time": "it does not know the date, so it can't tell whether the release has expired; check "
    "its time_server",
    "not enrolled": "the node has no key; enrol it with quaver provision",
}


def check_name(keys: KeyStore, name: str) -> NodeKeys:
    """The key store's entry of the node that a person calls `name`, by name or id. Raises KeyStoreError."""
    for node in keys.nodes():
        if name in (node.name, node.node_id.hex()):
            return node
    raise KeyStoreError(f"node {name!r}: has no key in {keys.path}; quaver keys list shows the nodes that have one")


@dataclass
class Presence:
    """What a node's newest status reports. prefix: its topic prefix. boot, seq: of that status.

    state: online, offline, or via gateway, as quaver_wire.names.STATES.
    """

    prefix: str
    state: str
    generation: int
    boot: int
    seq: int
    values: Mapping[str, Any]


class Refused(OperationError):
    """The node answered that it does not do it. `reason` is the node's own text."""

    def __init__(self, name: str, verb: str, reason: str) -> None:
        super().__init__(f"node {name} does not {verb}: {_MEANINGS.get(reason, reason)}")
        self.reason = reason


class Operator:
    """One node, to be commanded; a context manager.

    timeout_s: how long an answer is waited for. expires_s: how long the node may obey, from now; by default as long
    as the answer is waited for, so that a command whose sender has given up is not obeyed later.
    say: told in a few words what is waited for. Entering raises BrokerError, KeyStoreError, OperationError.
    """

    def __init__(
        self,
        url: BrokerUrl,
        keys: KeyStore,
        name: str,
        ca: Path | None = None,
        timeout_s: float = 30.0,
        expires_s: float | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.keys = keys
        self.node = check_name(keys, name)
        self.url = url
        self.timeout_s = timeout_s
        self._expires_s = timeout_s if expires_s is None else expires_s
        self._say = say or (lambda words: None)
        self._counter = Counter(keys.folder)
        self._opener = Opener(keys)
        self._inbox: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._up: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._refusals: dict[str, int] = {}
        self._rejected: set[int] = set()
        self._updates: list[tuple[str, Mapping[str, Any]]] = []
        self._closed: SealError | None = None
        self.gone = False  # the broker keeps no status of it any more: the node has taken it back
        self.presence: Presence | None = None
        client = mqtt_client(url, ca)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = lambda *_: self._up.put(_LOST)
        client.on_message = lambda _client, _data, message: self._inbox.put((message.topic, bytes(message.payload)))
        self._client = client

    def __enter__(self) -> Self:
        connect(self._client, self.url)
        try:
            refusal = self._up.get(timeout=CONNECT_S)
        except queue.Empty:
            refusal = _LOST
        try:
            if refusal == _LOST:
                refusal = no_answer(self.url)
            if refusal:
                raise BrokerError(f"broker {self.url}: {refusal}")
            self._find()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    # paho calls these two in its own thread

    def _connected(self, client: Client, _data: Any, _flags: Any, code: Any, _props: Any) -> None:
        if code.is_failure:
            self._up.put(refused(code))
            return
        client.subscribe([(topic, 1) for topic in node_topics(_CLASSES, f"+/+/+/+/{self.node.name}")])

    def _subscribed(self, _client: Client, _data: Any, _mid: int, codes: Any, _props: Any) -> None:
        refused = any(code.is_failure for code in codes)
        self._up.put("refused the subscription; allow this user to read status, answer and event" if refused else "")

    def _find(self) -> None:
        """Learn where the node is from its retained status, or from what it publishes within the time-out."""
        self._say(f"looking for {self.node.name}")
        deadline = time.monotonic() + self.timeout_s
        while self._listen(_QUIET_S) or (self.presence is None and self._closed is None):
            if time.monotonic() > deadline:
                break
        if self.presence is not None:
            if self.presence.values.get("role") == ROLES.index("gateway"):
                raise OperationError(
                    f"node {self.node.name}: is a gateway, and accepts no commands itself; command the "
                    "nodes behind it, "
                    "and change its own configuration over its cable with quaver files"
                )
            return
        if self._closed is not None:
            raise OperationError(
                f"node {self.node.name}: its messages can't be opened with the key here ({self._closed.kind}); "
                "name the key store that it was enrolled with (--keys)"
            )
        raise OperationError(
            f"node {self.node.name}: no node of that name has published at {self.url}; "
            "check the broker, that its ACL lets this user read, and that the node's records are sealed"
        )

    def _listen(self, seconds: float) -> bool:
        """Take in the next message, waiting at most so long; whether there was one."""
        try:
            topic, payload = self._inbox.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return False
        prefix, _, message_class = topic.rpartition("/")
        if message_class == "status" and not payload:
            self.gone = self.gone or (self.presence is not None and prefix == self.presence.prefix)
            return True
        try:
            opened = self._opener.open(message_class, payload)
        except (UnknownNode, WrongKey) as error:
            self._closed = error
            return True
        except SealError:
            return True
        if opened.node_id == self.node.node_id:
            self._take(prefix, message_class, opened)
        return True

    def _take(self, prefix: str, message_class: str, opened: Opened) -> None:
        record = opened.record
        if message_class == "status":
            known = self.presence
            # A last will was sealed before all that came after it, and is told when the connection is lost.
            newer = known is None or (opened.boot, opened.seq) > (known.boot, known.seq)
            if newer or (known and opened.boot == known.boot and record.get("state") == 0):
                number = record.get("state", 0)
                state = STATES[number] if number < len(STATES) else "in an unknown state"
                self.presence = Presence(
                    prefix, state, generation=opened.generation, boot=opened.boot, seq=opened.seq, values=record
                )
        elif message_class == "answer":
            self._answers[record["id"]] = record
        elif EVENTS[record["code"]] == "message_refused":
            why = record.get("subject", "")
            self._refusals[why] = self._refusals.get(why, 0) + record.get("count", 1)
        elif EVENTS[record["code"]] == "config_rejected":
            self._rejected.add(opened.boot)
        elif EVENTS[record["code"]] in ("update_confirmed", "update_rejected"):
            self._updates.append((EVENTS[record["code"]], record))

    def send(self, verb: str, args: Mapping[str, Any] | None = None, identity: int | None = None) -> int:
        """Seal a command and have the broker take it; returns its id. Raises OperationError."""
        presence = self.presence
        assert presence is not None
        identity = secrets.randbits(_IDS) if identity is None else identity
        key = self.keys.device_keys(self.node.node_id).get(presence.generation)
        if key is None:
            raise OperationError(
                f"node {self.node.name}: uses key {presence.generation}, which is not here; "
                "name the key store that it was enrolled with (--keys)"
            )
        expiry = int((time.time() + self._expires_s) * 1000)
        buffer = bytearray(_COMMAND_MAX)
        record = {"version": VERSION, "id": identity, "name": verb, "args": dict(args or {}), "expiry": expiry}
        try:
            end = cbor.encode(buffer, record, "command")
            boot, seq = self._counter.take(self.node.node_id)
            sealer = Sealer(key, self.node.node_id, presence.generation, "downlink")
            message = sealer.seal("command", boot, seq, bytes(buffer[:end]))
        except WireError as error:
            raise OperationError(f"{verb}: too long for one command ({error}); split it into several") from error
        sent = self._client.publish(f"{presence.prefix}/command", message, qos=1)
        try:
            sent.wait_for_publish(_SENT_S)
        except (ValueError, RuntimeError) as error:
            raise BrokerError(f"broker {self.url}: connection lost; try again") from error
        if not sent.is_published():
            raise BrokerError(f"broker {self.url}: did not accept the command within {_SENT_S:.0f} s; try again")
        return identity

    def answer(self, verb: str, identity: int) -> dict[str, Any]:
        """The result of a command that was sent. Raises Refused, UnansweredError."""
        deadline = time.monotonic() + self.timeout_s
        while identity not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._unanswered(verb, identity)
            self._listen(min(left, 0.25))
        answer = self._answers.pop(identity)
        if "error" in answer:
            raise Refused(self.node.name, verb, answer["error"])
        return dict(answer.get("result") or {})

    def ask(self, verb: str, args: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a command and wait for its result."""
        presence = self.presence
        away = f", which is {presence.state}" if presence and presence.state != "online" else ""
        self._say(f"{verb}: waiting for {self.node.name}{away}")
        return self.answer(verb, self.send(verb, args))

    def online_since(self, boot: int) -> Presence:
        """Wait until the node is back in a later boot than that one. Raises UnansweredError."""
        self._say(f"waiting for {self.node.name} to come back")
        deadline = time.monotonic() + self.timeout_s
        while self.presence is None or self.presence.boot <= boot or self.presence.state == "offline":
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnansweredError(
                    f"node {self.node.name}: has not come back within {self.timeout_s:.0f} s; try again later"
                )
            self._listen(min(left, 0.25))
        return self.presence

    def leaves(self) -> bool:
        """Whether the node disconnects and clears its status in the seconds after it was retired."""
        self._say(f"waiting for {self.node.name} to disconnect and clear its status")
        deadline = time.monotonic() + _LEAVE_S
        while not self.gone and time.monotonic() < deadline:
            self._listen(_QUIET_S)
        return self.gone

    def rejected(self, boot: int) -> bool:
        """Whether the node has said since that boot that it did not come online with a new configuration."""
        deadline = time.monotonic() + _SETTLED_S
        while self._listen(_QUIET_S) and time.monotonic() < deadline:
            pass
        return any(later > boot for later in self._rejected)

    def updated(self) -> tuple[str, Mapping[str, Any]]:
        """(event's name, values) of the next event that says how an update ended. Raises UnansweredError."""
        self._say(f"waiting for {self.node.name} to fetch the release, restart and confirm it")
        deadline = time.monotonic() + self.timeout_s
        while not self._updates:
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnansweredError(
                    f"node {self.node.name}: has not said within {self.timeout_s:.0f} s how the update ended; it goes "
                    "on: see its events with quaver monitor"
                )
            self._listen(min(left, 0.25))
        return self._updates.pop(0)

    def _unanswered(self, verb: str, identity: int) -> UnansweredError:
        presence = self.presence
        late = self._expires_s > self.timeout_s
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + self._expires_s - self.timeout_s))
        state = presence.state if presence else ""
        keeper = "its gateway or the broker" if state == "via gateway" else "the broker"
        then = f"{keeper} keeps it, and the node obeys it until {until}" if late else "it has expired"
        if self._refusals:
            said = ", ".join(f"{count} {why}" for why, count in sorted(self._refusals.items()))
            return UnansweredError(
                f"node {self.node.name}: refused messages meanwhile ({said}); {verb} was not done, try again"
            )
        ways = {"offline": "is offline", "via gateway": "did not answer through its gateway"}
        where = ways.get(state, "did not answer")
        return UnansweredError(
            f"node {self.node.name}: {where} ({self.timeout_s:.0f} s); command {identity} ({verb}): {then}"
        )
