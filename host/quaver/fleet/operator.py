"""Field operations over a broker: a command is sealed and sent, its answer found by its id, opened and read.

The broker keeps a command for a node that is away (the node's session there outlives its connection); the command's
expiry says until when the node may still obey it. What a node has last said of itself, its retained status, tells its
topic prefix, whether it is online, and which generation of its key it seals with: commands are sealed with that one.
A node behind a gateway is never online: it gets a command when the gateway connects to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaver.broker.address import BrokerUrl, node_topics
from quaver.broker.session import Heard, Session
from quaver.errors import KeyStoreError, OperationError, UnansweredError
from quaver.fleet.keys import KeyStore, NodeKeys
from quaver.fleet.refusals import in_words
from quaver.fleet.sealed_command import Commands, draw_id
from quaver.messages.sealing import Opened, Opener, SealError, UnknownNode, WrongKey
from quaver_wire.fields import EVENTS
from quaver_wire.names import HOST, ROLES, STATES

_CLASSES = ("status", "answer", "event")
_QUIET_S = 0.3  # retained messages come at once, one behind the other
_SENT_S = 10.0
_SETTLED_S = 3.0  # in which a node that is back has told what it had to tell
_UPDATE_S = 900.0  # at least: a release is fetched, and on trial for three to five minutes (firmware/update/run.py)
_LEAVE_S = 15.0  # firmware/service/obey.py gives it ten


def check_name(keys: KeyStore, name: str) -> NodeKeys:
    """The key store's entry of the node that a person calls `name`, by name or id. Raises KeyStoreError."""
    for node in keys.nodes():
        if name in (node.name, node.node_id.hex()):
            return node
    raise KeyStoreError(f"node {name!r}: has no key in {keys.path}; quaver keys list shows the nodes that have one")


def is_host_gateway(status: Mapping[str, Any]) -> bool:
    """Whether a status is that of a Linux machine as gateway (quaver.gateway.health): it takes no commands."""
    return bool(status.get("role") == ROLES.index("gateway") and status.get("board") == HOST)


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
        super().__init__(f"node {name} does not {verb}: {in_words(reason)}")
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
        self._ca = ca
        self.timeout_s = timeout_s
        self._expires_s = timeout_s if expires_s is None else expires_s
        self._say = say or (lambda words: None)
        self._commands = Commands(keys)
        self._opener = Opener(keys)
        self._answers: dict[int, Mapping[str, Any]] = {}
        self._refusals: dict[str, int] = {}
        self._rejected: set[int] = set()
        self._updates: list[tuple[str, Mapping[str, Any]]] = []
        self._closed: SealError | None = None
        self.gone = False  # the broker keeps no status of it any more: the node has taken it back
        self.presence: Presence | None = None
        topics = [(topic, 1) for topic in node_topics(_CLASSES, f"+/+/+/+/{self.node.name}")]
        self._session = Session(url, topics, ca, may="read status, answer and event")

    def __enter__(self) -> Self:
        self._session.__enter__()
        try:
            self._find()
        except BaseException:
            self._session.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, value, trace)

    def another(self, name: str) -> Operator:
        """The operator of another node in the same way, not entered yet."""
        return Operator(self.url, self.keys, name, self._ca, self.timeout_s, self._expires_s, self._say)

    def _find(self) -> None:
        """Learn where the node is from its retained status, or from what it publishes within the time-out."""
        self._say(f"looking for {self.node.name}")
        deadline = time.monotonic() + self.timeout_s
        while True:
            heard = self._listen(_QUIET_S)
            # What the broker retained comes first: for what a node says meanwhile nobody waits.
            more = heard is not None and heard.retained
            if ((self.presence or self._closed) and not more) or time.monotonic() > deadline:
                break
        if self.presence is not None:
            if is_host_gateway(self.presence.values):
                raise OperationError(
                    f"node {self.node.name}: is a gateway on a Linux machine, and accepts no commands itself; command "
                    "the nodes behind it"
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

    def _listen(self, seconds: float) -> Heard | None:
        """Take in the next message, waiting at most so long; None where there was none."""
        heard = self._session.get(seconds)
        if heard is not None:
            self._read(heard)
        return heard

    def _read(self, heard: Heard) -> None:
        topic, payload = heard.topic, heard.payload
        prefix, _, message_class = topic.rpartition("/")
        if message_class == "status" and not payload:
            self.gone = self.gone or (self.presence is not None and prefix == self.presence.prefix)
            return
        try:
            opened = self._opener.open(message_class, payload)
        except (UnknownNode, WrongKey) as error:
            self._closed = error
            return
        except SealError:
            return
        if opened.node_id == self.node.node_id:
            self._take(prefix, message_class, opened)

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
        identity = draw_id() if identity is None else identity
        message = self._commands.seal(
            self.node, presence.generation, verb, args or {}, identity=identity, expires_s=self._expires_s
        )
        self._session.put(f"{presence.prefix}/command", message, "the command", within_s=_SENT_S)
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
        limit_s = max(self.timeout_s, _UPDATE_S)
        deadline = time.monotonic() + limit_s
        while not self._updates:
            left = deadline - time.monotonic()
            if left <= 0:
                raise UnansweredError(
                    f"node {self.node.name}: has not said within {limit_s:.0f} s how the update ended; it goes "
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
