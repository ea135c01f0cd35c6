"""What a record costs on the way through NATS: three servers on this machine, and ingest with a core of its own.

As bench.ingest measures: the servers hold the whole load before the clock starts. Time is that of the processes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from quaver.bench import Figure
from quaver.bench.ingest import NODES, publish_load, sealed_records
from quaver.bench.nats import Nats
from quaver.broker.link import LinkLost
from quaver.errors import BrokerError
from quaver.fleet.keys import KeyStore
from quaver.ingest.intake import Intake
from quaver.ingest.run import batches, feed_of, names
from quaver.messages.sealing import Opener
from quaver.store.ledger import ledger
from quaver.store.store import Store


def run_nats(records: int, step: Callable[[str], None]) -> list[Figure]:
    """step(words) is told what is being done. Raises BrokerError, StoreError, KeyStoreError, ArtifactError."""
    step("NATS")
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as name, Nats(Path(name) / "nats") as cluster:
        keys = KeyStore(Path(name) / "keys")
        makers = [sealed_records(keys, number) for number in range(NODES)]
        with Store(Path(name) / "store") as store, feed_of(cluster.url, store, None) as session:
            try:
                session.connect()
                start_s = cluster.processor_s()
                publish_load(cluster.mqtt_url(), makers, records)
                in_s = cluster.processor_s()
                session.connect()  # the loop stood still meanwhile
                intake = Intake(store, Opener(keys), names(keys), lambda line: None)
                began, core = time.perf_counter(), time.process_time()
                for _ in batches(session, intake):
                    if intake.tally.received >= records:
                        break
                seconds, core = time.perf_counter() - began, time.process_time() - core
            except LinkLost as lost:
                raise BrokerError(f"broker {cluster.url}: {lost}") from lost
            out_s = cluster.processor_s()
            accounts, _ = ledger(store)
            if any(account.unexplained or account.refused for account in accounts):
                raise BrokerError(f"broker {cluster.url}: records are missing; the figures would mean nothing")
    return [
        Figure("from three NATS servers", round(records / seconds), "records/s"),
        Figure("  of which the core of ingest works", round(1e6 * core / records), "us a record"),
        Figure("  the three servers: in at QoS 1", round(1e6 * (in_s - start_s) / records), "us a record"),
        Figure("  the three servers: out", round(1e6 * (out_s - in_s) / records), "us a record"),
    ]
