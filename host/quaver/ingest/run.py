"""The way from the broker to the store: batches taken, committed, and only then acknowledged; and taken up again.

The order is the promise: a message is acknowledged after the transaction that holds it is on the disk, or that counts
its refusal. Killed in between, the broker sends it again, and the store knows it. A batch is what has arrived until
the broker has nothing more to hand, at most _BATCH messages or _BATCH_S.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from quaver.broker.address import BrokerUrl, node_topics
from quaver.broker.client import Silence
from quaver.broker.reader import LinkLost, Session
from quaver.errors import BrokerError, InventoryError
from quaver.fleet.inventory import Inventory
from quaver.fleet.keys import KeyStore
from quaver.ingest.intake import LEAVES, Intake, PlainToo, Reader, Tally
from quaver.messages.sealing import Opener
from quaver.store.store import Store

TOPICS = node_topics(LEAVES)
_BATCH = 4096  # messages
_BATCH_S = 0.25
_SIGHTINGS_S = 10.0  # between two writes into the inventory
_RETRY_S = (1.0, 30.0)  # between attempts to reconnect: the first, and the most


def ingest(
    url: BrokerUrl,
    store: Store,
    keys: KeyStore | None,
    *,
    ca: Path | None = None,
    plain: bool = False,
    inventory: Path | None = None,
    say: Callable[[str], None],
) -> Iterator[Tally]:
    """Take what nodes publish at `url` into `store`, opened with `keys` (None knows no node), until the caller stops.

    Yields after every batch, and each second. `say` hears of reconnections and of security events.
    inventory: is told when nodes were heard of, if it exists.
    Raises BrokerError when the broker can't be reached at first, or refuses; afterwards it is reconnected.
    Raises StoreError and KeyStoreError, with nothing lost: what was not acknowledged stays at the broker.
    """
    reader: Reader = Opener(keys or _NoKeys())
    intake = Intake(store, PlainToo(reader) if plain else reader, names(keys) if keys else lambda _: None, say)
    with _Sightings(intake, inventory, say) as sightings, Session(url, store.client_id, TOPICS, ca) as session:
        try:
            session.connect()
        except LinkLost as lost:
            raise BrokerError(f"broker {url}: {lost}") from lost
        say(f"storing what comes from {url} in {store.path}")
        yield intake.tally
        silence = Silence(url)
        while True:
            try:
                for _ in batches(session, intake):
                    told = silence.tell(intake.tally != Tally())
                    if told:
                        say(told)
                    yield intake.tally
                    sightings.tell(_SIGHTINGS_S)
                    if keys:
                        keys.refresh()  # who was enrolled since is known from here on
            except LinkLost as lost:
                say(f"broker {url}: connection lost ({lost}); reconnecting")
                # Taken, and not yet committed: the broker sends it again, and then it is a resend.
                intake.commit(_now_ms())
            for _ in _reconnecting(session):
                yield intake.tally
            say(f"broker {url}: connected again")


class _Sightings:
    """Tells the inventory, now and then, which nodes were heard of; what goes wrong there stops no record."""

    def __init__(self, intake: Intake, path: Path | None, say: Callable[[str], None]) -> None:
        self._intake = intake
        self._path = path
        self._say = say
        self._told = time.monotonic()

    def tell(self, after_s: float) -> None:
        """What was gathered since, when the last time is `after_s` ago."""
        now = time.monotonic()
        if now - self._told < after_s:
            return
        self._told = now
        heard = [(node, when / 1000, firmware) for node, (when, firmware) in self._intake.heard.items()]
        self._intake.heard.clear()
        if self._path is None or not heard or not self._path.exists():
            return
        try:
            with Inventory(self._path) as inventory:
                inventory.saw(heard)
        except InventoryError as error:
            self._say(f"{error}; it is not told what is heard of nodes")
            self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tell(0)


class _NoKeys:
    def device_keys(self, _node_id: bytes) -> dict[int, bytes]:
        return {}


def names(keys: KeyStore) -> Callable[[bytes], str | None]:
    """What a node's topics must carry, by the key store."""

    def name_of(node_id: bytes) -> str | None:
        node = keys.get(node_id)
        return node.name if node else None

    return name_of


def batches(session: Session, intake: Intake, wait_s: float = 1.0) -> Iterator[None]:
    """Take, commit and acknowledge batch after batch; yields after each, and every `wait_s` without one."""
    while True:
        messages = session.receive(wait_s)
        packets = []
        began = time.monotonic()
        while messages:
            intake.take(messages, _now_ms())
            packets += [message.packet for message in messages]
            if len(packets) >= _BATCH or time.monotonic() - began > _BATCH_S:
                break
            messages = session.receive(0)
        intake.commit(_now_ms())
        session.acknowledge(packets)
        yield


def _reconnecting(session: Session) -> Iterator[None]:
    """Yields each second until the session is up again."""
    pause = _RETRY_S[0]
    while True:
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            yield
            time.sleep(min(left, 1.0))
        try:
            session.connect()
            return
        except LinkLost:
            pause = min(2 * pause, _RETRY_S[1])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
