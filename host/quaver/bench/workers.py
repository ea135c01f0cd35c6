"""How fast one worker and two put sealed records into one store in PostgreSQL, one after the other in one run.

As bench.ingest measures: the broker holds the load before the clock starts, here for a group of sessions that shares
it. Each worker is a process; the server flushes each commit to the disk. Neither is kept on a core: worker and server
work in turns, so one worker with its server takes about one core of the machine, and two take two.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from quaver.system.processor import processor_s

_GOAL = 1.7
_PATIENCE_S = 600.0


def run_workers(records: int, step: Callable[[str], None]) -> list[Figure]:
    """step(words) is told what is being done. Raises BrokerError, StoreError, KeyStoreError."""
    figures, rates = [], []
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as folder, Postgresql(SAFE) as server:
        for count in (1, 2):
            step(f"PostgreSQL, {count} {'worker' if count == 1 else 'workers'}")
            with Mosquitto(Path(folder) / f"broker-{count}") as broker:
                seconds, core, server_core = _measure(
                    broker.url, server.create(), KeyStore(Path(folder) / f"keys-{count}"), count, records
                )
            rates.append(records / seconds)
            figures += [
                Figure(f"PostgreSQL, workers: {count}", round(rates[-1]), "records/s"),
                Figure("  of which a worker's core works", round(1e6 * core / records), "us a record"),
                Figure("  and the server's", round(1e6 * server_core / records), "us a record"),
            ]
    return [*figures, Figure("two workers beside one", round(rates[1] / rates[0], 2), "times", _GOAL, at_least=True)]


def _measure(url: BrokerUrl, where: str, keys: KeyStore, count: int, records: int) -> tuple[float, float, float]:
    """(seconds, of the workers' cores, of the server's) from the first read to the last acknowledgement."""
    makers = [sealed_records(keys, number) for number in range(NODES)]
    workers = [f"worker-{number}" for number in range(count)]
    for worker in workers:
        with PostgresqlStore(where, worker=worker) as store, MqttSession(url, *session_of(store)) as session:
            session.connect()  # the broker keeps the session, and its share of all that comes now
    publish_load(url, makers, records)
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
    told = [answers.get() for _ in processes]
    with PostgresqlStore(where, write=False) as store:
        accounts, _ = ledger(store)
        held = sum(account.received for account in accounts)
    if held != records or any(account.unexplained or account.refused for account in accounts):
        raise StoreError(f"{where}: {held} of {records} records came; the figures would mean nothing")
    seconds = max(end for _, end, _, _ in told) - min(begin for begin, _, _, _ in told)
    return seconds, sum(core for _, _, core, _ in told), sum(core for _, _, _, core in told)


def _work(
    url: BrokerUrl, where: str, folder: Path, worker: str, records: int, done: Any, answers: Any, start: Any
) -> None:
    """One worker, until all have `records` together; answers (begin, end, its core's seconds, the server's)."""
    keys = KeyStore(folder)
    with PostgresqlStore(where, worker=worker) as store, MqttSession(url, *session_of(store)) as session:
        intake = SharedIntake(store, Opener(keys), names(keys), lambda line: None)
        backend = int(store.query("SELECT pg_backend_pid()")[0][0])
        start.wait(_PATIENCE_S)
        begin, core, server = time.monotonic(), time.process_time(), processor_s(backend)
        end, had = begin, 0
        try:
            session.connect()
            for _ in batches(session, intake):
                came = intake.tally.received - had
                if came:
                    had, end = intake.tally.received, time.monotonic()
                    with done:
                        done.value += came
                if done.value >= records:
                    break
        except LinkLost as lost:
            raise BrokerError(f"broker {url}: {lost}") from lost
        answers.put((begin, end, time.process_time() - core, processor_s(backend) - server))
