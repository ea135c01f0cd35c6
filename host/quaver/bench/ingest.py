"""How fast records go from a broker into the store: sealed ones, and the same as JSON without a seal.

The broker is a real Mosquitto that holds the whole load for ingest's session before the clock starts, so what is
measured is ingest alone: read, open, verify, decode, date, commit with a flush to the disk, acknowledge. It is kept
on one core. The JSON load goes the same way through the same session and store; only the opening differs.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.bench import Figure
from quaver.bench.mosquitto import Mosquitto
from quaver.broker.address import BrokerUrl
from quaver.broker.client import connect, mqtt_client
from quaver.broker.link import LinkLost
from quaver.broker.reader import MqttSession
from quaver.errors import BrokerError
from quaver.fleet.keys import KeyStore
from quaver.ingest.intake import Intake, Reader
from quaver.ingest.run import TOPICS, batches, names
from quaver.messages.sealing import Malformed, Opened, Opener, Sealer
from quaver.store.ledger import ledger
from quaver.store.store import Store
from quaver_wire import cbor
from quaver_wire.fields import VERSION

NODES = 16
_GOAL = 20_000  # records/s
_WINDOW = 500  # messages that the load's publisher has under way
_START_S = 10.0
_BOOTED_MS = time.time_ns() // 1_000_000 - 300 * 86_400_000  # so long ago that no record comes from the future
_RECORD = {  # 17 features and the node's marks, as a measurement has them
    "uptime_ms": 86_400_000,
    "time_ms": 0,
    "level": 0,
    "quality": 0,
    "rms_g": 0.1234,
    "peak_g": 0.52115,
    "crest": 4.22,
    "kurtosis": 3.06,
    "skew": 0.04,
    "velocity_mm_s": 1.27,
    "zone": 1,
    "envelope_g": 0.0211,
    "temperature_c": 41.125,
    "shaft_hz": 29.93,
    "shaft_confidence": 0.94,
    "energy": [230.1, 2.03, 414.2, 460.1, 0.9, 50.01, 12.5],
}


@dataclass(frozen=True)
class Result:
    """One load's outcome: seconds from the first read to the last acknowledgement, by wall clock and by the core."""

    records: int
    message_bytes: int
    seconds: float
    core_seconds: float

    def figures(self, name: str, goal: float | None = None) -> list[Figure]:
        rate = round(self.records / self.seconds)
        return [
            Figure(name, rate, "records/s", goal, at_least=True),
            Figure("  of which the core works", round(1e6 * self.core_seconds / self.records), "us a record"),
            Figure("  on the wire", self.message_bytes, "bytes a record"),
        ]


def run_ingest(records: int, step: Callable[[str], None]) -> list[Figure]:
    """Both loads of `records` records; step(words) is told what is being done.

    Raises BrokerError where there is no Mosquitto, or where records went missing; StoreError; KeyStoreError.
    """
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as folder, Mosquitto(Path(folder)) as broker:
        url = broker.url
        keys = KeyStore(Path(folder) / "keys")
        sealed = [sealed_records(keys, number) for number in range(NODES)]
        plain = [_json(number) for number in range(NODES)]
        step("sealed records")
        figures = measure(
            url, keys, reader=Opener(keys), makers=sealed, records=records, path=Path(folder) / "sealed"
        ).figures("sealed: opened, verified, stored", _GOAL)
        step("the same as JSON")
        return figures + measure(
            url, keys, reader=_Json(), makers=plain, records=records, path=Path(folder) / "plain"
        ).figures("JSON that nobody sealed")


def measure(
    url: BrokerUrl,
    keys: KeyStore,
    reader: Reader,
    makers: Sequence[Iterator[tuple[str, bytes]]],
    records: int,
    path: Path,
) -> Result:
    with Store(path) as store, MqttSession(url, store.client_id, TOPICS) as session:
        session.connect()
        session.close()  # the broker keeps the session, and for it all that comes now
        size = publish_load(url, makers, records)
        intake = Intake(store, reader, names(keys), lambda line: None)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(before)})
        try:
            began, core = time.perf_counter(), time.process_time()
            session.connect()
            for _ in batches(session, intake):
                if intake.tally.received >= records:
                    break
            seconds, core = time.perf_counter() - began, time.process_time() - core
        except LinkLost as lost:
            raise BrokerError(f"broker {url}: {lost}") from lost
        finally:
            os.sched_setaffinity(0, before)
        accounts, _ = ledger(store)
        missing = sum(account.unexplained for account in accounts)
        if missing or intake.tally.refused or intake.tally.duplicates:
            raise BrokerError(
                f"broker {url}: {missing} records missing, {intake.tally}; the figures would mean nothing"
            )
    return Result(records, size, seconds, core)


def _topic(number: int) -> str:
    return f"plant/hall/line-2/pump/node-{number}/telemetry"


def sealed_records(keys: KeyStore, number: int) -> Iterator[tuple[str, bytes]]:
    """The messages of one node, without end."""
    node_id = number.to_bytes(8, "big")
    sealer = Sealer(keys.create(node_id, f"node-{number}").keys[1], node_id, 1, "uplink")
    buffer, seq = bytearray(400), 0
    while True:
        end = cbor.encode(buffer, {"version": VERSION, **_values(number, seq)}, "telemetry")
        yield _topic(number), sealer.seal("telemetry", 3, seq, bytes(buffer[:end]))
        seq += 1


def _json(number: int) -> Iterator[tuple[str, bytes]]:
    seq = 0
    while True:
        record = {"node": f"node-{number}", "boot": 3, "seq": seq, **_values(number, seq)}
        yield _topic(number), json.dumps(record, separators=(",", ":")).encode()
        seq += 1


def _values(number: int, seq: int) -> dict[str, Any]:
    """The fields of a record of node `number`: as a machine's that runs, never twice the same."""
    chance = random.Random(number << 32 | seq)  # noqa: S311  no secret
    rms_g = 0.12 * (1 + number / 16) * chance.lognormvariate(0, 0.1)
    volts, amperes = chance.gauss(230, 1.5), 2 * chance.lognormvariate(0, 0.05)
    return _RECORD | {
        "uptime_ms": 60_000 * seq,
        "time_ms": _BOOTED_MS + 60_000 * seq,
        "rms_g": rms_g,
        "peak_g": rms_g * chance.gauss(4.2, 0.3),
        "crest": chance.gauss(4.2, 0.3),
        "kurtosis": chance.gauss(3.05, 0.08),
        "skew": chance.gauss(0, 0.03),
        "velocity_mm_s": 1.3 * chance.lognormvariate(0, 0.08),
        "envelope_g": rms_g * chance.gauss(0.17, 0.01),
        "temperature_c": 41 + chance.gauss(0, 0.3),
        "shaft_hz": chance.gauss(29.9, 0.05),
        "shaft_confidence": chance.uniform(0.9, 1),
        "energy": [volts, amperes, 0.9 * volts * amperes, volts * amperes, 0.9, chance.gauss(50, 0.01), 12 + seq / 500],
    }


class _Json:
    """Reads the plain load: the numbers by name, and nothing that could vouch for them."""

    def open(self, message_class: str, message: bytes) -> Opened:
        try:
            record = json.loads(message)
            node = int(record.pop("node").rpartition("-")[2]).to_bytes(8, "big")
            return Opened(node, 0, record.pop("boot"), record.pop("seq"), record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Malformed(f"no record: {error}") from error


def publish_load(url: BrokerUrl, makers: Sequence[Iterator[tuple[str, bytes]]], records: int) -> int:
    """Publish `records` messages at QoS 1, acknowledged all; the length of one."""
    client = mqtt_client(url)
    client.max_inflight_messages_set(_WINDOW)
    connect(client, url)
    try:
        waiting, size = [], 0
        for number in range(records):
            topic, payload = next(makers[number % len(makers)])
            size = len(payload)
            waiting.append(client.publish(topic, payload, qos=1))
            if len(waiting) >= _WINDOW:
                waiting.pop(0).wait_for_publish(_START_S)
        for one in waiting:
            one.wait_for_publish(_START_S)
            if not one.is_published():
                raise BrokerError(f"broker {url}: does not keep up with the load; check what else runs on this machine")
        return size
    finally:
        client.disconnect()
        client.loop_stop()
