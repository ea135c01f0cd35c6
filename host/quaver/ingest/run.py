"""From the broker to the store: batches are received, committed, and only then acknowledged; with reconnection.

The order is the promise: a message is acknowledged after the transaction that holds it is on the disk, or that counts
its refusal. Killed in between, the broker sends it again, and the store knows it. A batch is what has arrived until
the broker has nothing more to hand, at most _BATCH messages or _BATCH_S.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from quaver.broker.address import BrokerUrl, NatsUrl, node_topics
from quaver.broker.client import Silence
from quaver.broker.link import LinkLost
from quaver.broker.reader import Feed, MqttSession
from quaver.broker.rivalry import Rivalry
from quaver.errors import BrokerError, InventoryError
from quaver.fleet.inventory import Inventory
from quaver.fleet.keys import KeyStore
from quaver.ingest.intake import RECORD_CLASSES, Intake, PlainToo, Reader, Tally
from quaver.ingest.timeline import Timeline
from quaver.messages.sealing import Opener
from quaver.store.store import Store

TOPICS = node_topics(RECORD_CLASSES)
_BATCH = 4096  # messages
_BATCH_S = 0.25
_SIGHTINGS_S = 10.0  # between two writes into the inventory
_RETRY_S = (1.0, 30.0)  # between attempts to reconnect: the first, and the most
_WAIT_S = 1.0
_DAY_S = 86_400.0
_LOOK_S = 600.0  # between looks at whose keys expire
_GROUP = "group"  # in the store's `meta`, once workers share what comes


def ingest(
    url: BrokerUrl | NatsUrl,
    store: Store,
    keys: KeyStore | None,
    *,
    ca: Path | None = None,
    plain: bool = False,
    inventory: Path | None = None,
    moved: bool = False,
    leave: bool = False,
    say: Callable[[str], None],
) -> Iterator[Tally]:
    """Take what nodes publish at `url` into `store`, opened with `keys` (None knows no node), until the caller stops.

    Yields after every batch, and each second. `say` hears of reconnections and of security events.
    inventory: is told when nodes were heard of, if it exists. moved: as in `Store.settle`.
    leave: take what waits for this worker, leave the group, and end; of MQTT alone.
    Raises BrokerError when the broker can't be reached at first, or refuses; afterwards it is reconnected.
    Raises StoreError and KeyStoreError, with nothing lost: what was not acknowledged stays at the broker.
    """
    reader: Reader = Opener(keys or _NoKeys())
    intake = intake_of(store, PlainToo(reader) if plain else reader, names(keys) if keys else lambda _: None, say)
    former, given_up = store.settle(moved)
    timeline = Timeline(store, intake, say)
    feed = feed_of(url, store, ca)
    with _Sightings(intake, inventory, say) as sightings, feed as session:
        try:
            session.connect(forget=given_up)
        except LinkLost as lost:
            raise BrokerError(f"broker {url}: {lost}") from lost
        say(f"storing the messages from {url} in {store.name}")
        if session.remark:
            say(f"broker {url}: {session.remark}")
        if former:
            say(
                f"{store.name} is a copy, so it listens as {store.client_id}; what the broker keeps for {former} goes "
                "to the original store: if that no longer exists, start this one once with --moved"
            )
        if store.wait is not None:
            store.wait = _staying(session, store.wait)
        intake.stale = session.stale
        if isinstance(session, MqttSession):
            if leave:
                _empty(session, intake, timeline)
                say(f"worker {store.worker} has left the group")
                yield intake.tally
                return
            if store.worker and not store.meta(_GROUP) and store.elected():
                # The group has all that comes from now on; what came before waits where the one ingest left it.
                with MqttSession(session.url, store.client_id, TOPICS, ca) as before:
                    before.connect()
                    _empty(before, intake, timeline)
                with store.transaction():
                    store.put_meta({_GROUP: "1"})
        rivalry = Rivalry(session_of(store)[0])
        yield intake.tally
        silence = Silence(url)
        endings = Endings(keys, say, lambda found: store.put_expiring(found, timeline.now_ms()))
        while True:
            try:
                for _ in batches(session, intake, timeline.now_ms):
                    told = silence.tell(intake.tally != Tally())
                    if told:
                        say(told)
                    yield intake.tally
                    sightings.tell(_SIGHTINGS_S)
                    if keys:
                        keys.refresh()  # who was enrolled since is known from here on
                    endings.tell()
            except LinkLost as lost:
                away = rivalry.lost() if session.greeted else 0
                why = rivalry.line("ingest", away) if away else f"connection lost ({lost}); reconnecting"
                say(f"broker {url}: {why}")
                # Taken, and not yet committed: the broker sends it again, and then it is a resend.
                intake.commit(timeline.now_ms())
            for _ in _reconnecting(session, away or _RETRY_S[0], rivalry, say):
                yield intake.tally
            if not rivalry.seen:
                say(f"broker {url}: connected again")


def intake_of(
    store: Store, reader: Reader, name_of: Callable[[bytes], str | None], alarm: Callable[[str], None]
) -> Intake:
    """The intake that fits a store."""
    if not store.shared:
        return Intake(store, reader, name_of, alarm)
    from quaver.ingest.shared import SharedIntake  # with the library of its engine, which not everybody has
    from quaver.store.postgresql import PostgresqlStore

    assert isinstance(store, PostgresqlStore)
    return SharedIntake(store, reader, name_of, alarm)


def feed_of(url: BrokerUrl | NatsUrl, store: Store, ca: Path | None) -> Feed:
    """The session at the broker that feeds a store, or one of its workers. Raises BrokerError."""
    if isinstance(url, BrokerUrl):
        return MqttSession(url, *session_of(store), ca)
    try:
        from quaver.broker.jetstream import JetStreamSession
    except ImportError as error:
        raise BrokerError("nats: needs the library nats-py; run: pip install 'quaver[nats]'") from error
    return JetStreamSession(url, store.client_id, TOPICS, ca)


def session_of(store: Store) -> tuple[str, list[str]]:
    """(client id, topics) of the session at the broker that feeds a store, or one of its workers.

    Workers subscribe as one group (MQTT 5, section 4.8.2), which takes each message once; the store's id names it.
    """
    if not store.worker:
        return store.client_id, list(TOPICS)
    return f"{store.client_id}-{store.worker}", [f"$share/{store.client_id}/{topic}" for topic in TOPICS]


def _empty(session: MqttSession, intake: Intake, timeline: Timeline) -> None:
    """Take all that waits in a session, to which the broker then adds nothing more. Raises BrokerError."""
    try:
        session.unsubscribe()
        heard = time.monotonic()
        while time.monotonic() - heard < _WAIT_S:
            messages = session.receive(_WAIT_S)
            if not messages:  # its answer alone, or a part of a message: more may follow
                continue
            # The group may have been handed the last ones too.
            intake.take([message._replace(again=True) for message in messages], timeline.now_ms())
            intake.commit(timeline.now_ms())
            session.acknowledge([message.packet for message in messages])
            heard = time.monotonic()
    except LinkLost as lost:
        raise BrokerError(f"broker {session.url}: {lost}; start it again") from lost


def _staying(session: Feed, say: Callable[[str], None]) -> Callable[[str], None]:
    """`say`, that keeps the connection too."""

    def wait(line: str) -> None:
        say(line)
        with contextlib.suppress(LinkLost):  # found out at the next read
            session.stay()

    return wait


class _Sightings:
    """Tells the inventory, now and then, which nodes were heard of; what goes wrong there stops no record."""

    def __init__(self, intake: Intake, path: Path | None, say: Callable[[str], None]) -> None:
        self._intake = intake
        self._path = path
        self._say = say
        self._told = time.monotonic()
        self._failure = ""

    def tell(self, after_s: float) -> None:
        """What was gathered since, when the last time is `after_s` ago."""
        now = time.monotonic()
        if now - self._told < after_s:
            return
        self._told = now
        heard = [(node, when / 1000, firmware) for node, (when, firmware) in self._intake.heard.items()]
        if self._path is not None and heard and self._path.exists():
            try:
                with Inventory(self._path) as inventory:
                    inventory.saw(heard)
            except InventoryError as error:  # locked, perhaps, by another program: what was heard is told later
                if str(error) != self._failure:
                    self._failure = str(error)
                    self._say(f"{error}; until then it does not show when nodes were last heard")
                return
        self._failure = ""
        self._intake.heard.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tell(0)


class Endings:
    """Tells, at first and once a day, whose keys expire soon; and has them written down for who reads the store.

    put: takes the days, by node id in hexadecimal.
    """

    def __init__(
        self, keys: KeyStore | None, say: Callable[[str], None], put: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._keys = keys
        self._say = say
        self._put = put
        self._told = -math.inf
        self._looked = -math.inf
        self._written: dict[str, str] | None = None
        self.tell()

    def tell(self) -> None:
        now = time.monotonic()
        if self._keys is None or now - self._looked < _LOOK_S:
            return
        self._looked = now
        found = {
            node_id.hex(): datetime.fromtimestamp(until, UTC).date().isoformat()
            for node_id, until in self._keys.ending().items()
        }
        if found != self._written:
            self._put(found)
            self._written = found
        if now - self._told < _DAY_S:
            return
        self._told = now
        warning = self._keys.warning()
        if warning:
            self._say(warning)


class _NoKeys:
    def device_keys(self, _node_id: bytes) -> dict[int, bytes]:
        return {}


def names(keys: KeyStore) -> Callable[[bytes], str | None]:
    """What a node's topics must carry, by the key store."""

    def name_of(node_id: bytes) -> str | None:
        node = keys.get(node_id)
        return node.name if node else None

    return name_of


def batches(session: Feed, intake: Intake, now_ms: Callable[[], int] | None = None) -> Iterator[None]:
    """Take, commit and acknowledge batch after batch; yields after each, and every second without one."""
    now_ms = now_ms or _now_ms
    while True:
        messages = session.receive(_WAIT_S)
        packets = []
        began = time.monotonic()
        while messages:
            intake.take(messages, now_ms())
            packets += [message.packet for message in messages]
            if len(packets) >= _BATCH or time.monotonic() - began > _BATCH_S:
                break
            messages = session.receive(0)
        intake.commit(now_ms())
        session.acknowledge(packets)
        yield


def _reconnecting(session: Feed, pause: float, rivalry: Rivalry, say: Callable[[str], None]) -> Iterator[None]:
    """Yields each second until the session is up again, at first after `pause` seconds."""
    while True:
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            yield
            time.sleep(min(left, 1.0))
        try:
            session.connect()
            rivalry.connected()
            return
        except LinkLost:
            if session.greeted:
                rivalry.connected()
                if away := rivalry.lost():
                    say(f"broker {session.url}: {rivalry.line('ingest', away)}")
                    pause = float(away)
                    continue
            pause = min(2 * pause, max(pause, _RETRY_S[1]))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
