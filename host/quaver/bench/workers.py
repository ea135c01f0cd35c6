"""How fast one worker and two put sealed records into one store in PostgreSQL, one after the other in one run.

As bench.ingest measures: the broker holds the load before the clock starts, here for a group of sessions that shares
it. Each worker is a process; the server flushes each commit to the disk. Neither is kept on a core: worker and server
work in turns, so one worker with its server takes about one core of the machine, and two take two. What the broker
takes besides, and whether all cores were busy, tells what bounds the two: cores, or waiting for each other.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from quaver.bench import Figure
from quaver.bench.ingest import NODES, publish_load, sealed_records
from quaver.bench.mosquitto import Mosquitto
from quaver.bench.postgresql import SAFE, Postgresql
from quaver.broker.address import BrokerUrl
from quaver.broker.link import LinkLost
from quaver.broker.reader import MqttSession
from quaver.errors import BrokerError, StoreError
from quaver.fleet.keys import KeyStore
from quaver.ingest.run import batches, names, session_of
from quaver.ingest.shared import SharedIntake
from quaver.messages.sealing import Opener
from quaver.store.ledger import ledger
from quaver.store.postgresql import PostgresqlStore
from quaver.system.processor import busy_s, processor_s

_GOAL = 1.7
_PATIENCE_S = 600.0


def run_workers(records: int, step: Callable[[str], None]) -> list[Figure]:
    """step(words) is told what is being done. Raises BrokerError, StoreError, KeyStoreError."""
    figures, rates = [], []
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as folder, Postgresql(SAFE) as server:
        for count in (1, 2):
            step(f"PostgreSQL, {count} {'worker' if count == 1 else 'workers'}")
            with Mosquitto(Path(folder) / f"broker-{count}") as broker:
                spent = measure(broker, server.create(), KeyStore(Path(folder) / f"keys-{count}"), count, records)
            rates.append(records / spent.seconds)
            figures += [
                Figure(f"PostgreSQL, workers: {count}", round(rates[-1]), "records/s"),
                Figure("  of which a worker's core works", round(1e6 * spent.workers_s / records), "us a record"),
                Figure("  and the server's", round(1e6 * spent.server_s / records), "us a record"),
                Figure("  and the broker's", round(1e6 * spent.broker_s / records), "us a record"),
                Figure(f"  busy, of this machine's {os.cpu_count()}", round(spent.busy_s / spent.seconds, 2), "cores"),
            ]
    return [*figures, Figure("two workers beside one", round(rates[1] / rates[0], 2), "times", _GOAL, at_least=True)]


class Spent(NamedTuple):
    """Seconds from the first read to the last acknowledgement, and of processors: of each part, of the machine."""

    seconds: float
    workers_s: float
    server_s: float
    broker_s: float
    busy_s: float


def measure(broker: Mosquitto, where: str, keys: KeyStore, count: int, records: int) -> Spent:
    """Have `count` workers take `records` into the place for a store at `where`. Raises BrokerError, StoreError."""
    url = broker.url
    makers = [sealed_records(keys, number) for number in range(NODES)]
    workers = [f"worker-{number}" for number in range(count)]
    for worker in workers:
        with PostgresqlStore(where, worker=worker) as store, MqttSession(url, *session_of(store)) as session:
            session.connect()  # the broker keeps the session, and its share of all that comes now
    publish_load(url, makers, records)
    loaded_s = broker.processor_s()
    context = multiprocessing.get_context("spawn")
    done, answers, start = context.Value("q", 0), context.SimpleQueue(), context.Barrier(count)
    processes = [
        context.Process(target=_work, args=(url, where, keys.folder, worker, records, done, answers, start))
        for worker in workers
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(_PATIENCE_S)
            if process.exitcode:
                raise BrokerError(f"broker {url}: a worker ended with {process.exitcode}")
    finally:
        for process in processes:
            process.kill()
    told: list[_Worked] = [answers.get() for _ in processes]
    broker_s = broker.processor_s() - loaded_s
    with PostgresqlStore(where, write=False) as store:
        accounts, _ = ledger(store)
        held = sum(account.received for account in accounts)
    if held != records or any(account.unexplained or account.refused for account in accounts):
        raise StoreError(f"{where}: {held} of {records} records came; the figures would mean nothing")
    first, last = min(told, key=lambda one: one.begin), max(told, key=lambda one: one.end)
    return Spent(
        last.end - first.begin,
        sum(one.core_s for one in told),
        sum(one.server_s for one in told),
        broker_s,
        last.busy_end_s - first.busy_begin_s,
    )


class _Worked(NamedTuple):
    """When a worker began and ended, and what its core and the server's had done then; the machine's at both times."""

    begin: float
    end: float
    core_s: float
    server_s: float
    busy_begin_s: float
    busy_end_s: float


def _work(
    url: BrokerUrl, where: str, folder: Path, worker: str, records: int, done: Any, answers: Any, start: Any
) -> None:
    """One worker, until all have `records` together; answers what it did, as _Worked."""
    keys = KeyStore(folder)
    with PostgresqlStore(where, worker=worker) as store, MqttSession(url, *session_of(store)) as session:
        intake = SharedIntake(store, Opener(keys), names(keys), lambda line: None)
        backend = int(store.query("SELECT pg_backend_pid()")[0][0])
        start.wait(_PATIENCE_S)
        begin, core, server, busy = time.monotonic(), time.process_time(), processor_s(backend), busy_s()
        end, busy_end, had = begin, busy, 0
        try:
            session.connect()
            for _ in batches(session, intake):
                came = intake.tally.received - had
                if came:
                    had, end, busy_end = intake.tally.received, time.monotonic(), busy_s()
                    with done:
                        done.value += came
                if done.value >= records:
                    break
        except LinkLost as lost:
            raise BrokerError(f"broker {url}: {lost}") from lost
        core, server = time.process_time() - core, processor_s(backend) - server
        answers.put(_Worked(begin, end, core, server, busy, busy_end))
