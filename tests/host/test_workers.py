"""Several workers on one store: each record once, whoever took it and whoever was killed meanwhile."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet import Node, publish
from test_ingest import FAN, PUMP, said_by, start

from quaver.bench.postgresql import QUICK, Postgresql
from quaver.bench.workers import run_workers
from quaver.cli.ingest import command
from quaver.fleet.keys import KeyStore
from quaver.store.ledger import ledger
from quaver.store.location import PostgresqlUrl, open_records
from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, said


def test_a_worker_that_is_killed_loses_nothing_and_stores_nothing_twice(
    start_mosquitto: Callable[..., Any], postgresql: Postgresql, keys: KeyStore
) -> None:
    mosquitto = start_mosquitto("allow_anonymous true\nmax_queued_messages 0")
    where = PostgresqlUrl(postgresql.create())
    # By round robin each worker would see one node alone.
    pump, fan = Node(keys, PUMP, "pump-7"), Node(keys, FAN, "fan-1")
    a, b = (start(mosquitto.port, where, keys, "--worker", name) for name in "ab")
    for process in (a, b):
        said_by(process, "storing the messages from")
    total = 0
    with open_records(where, write=False) as store:

        def count() -> int:
            return int(store.query("SELECT count(*) FROM record")[0][0])

        for _ in range(3):
            load = [(node.topic("telemetry"), node.seal()) for _ in range(200) for node in (pump, fan, pump)]
            publishing = threading.Thread(target=publish, args=(mosquitto.port, load))
            publishing.start()
            some = total + 100
            wait_until(lambda some=some: count() > some)
            b.kill()  # somewhere between taking, committing and acknowledging
            b.communicate()
            publishing.join()
            total += len(load)
            b = start(mosquitto.port, where, keys, "--worker", "b")
            said_by(b, "storing the messages from")
        wait_until(lambda: count() == total)
        accounts, strangers = ledger(store)
        assert [(one.received, one.unexplained, one.waiting, one.refused) for one in accounts] == [
            (600, 0, 0, {}),
            (1200, 0, 0, {}),
        ]
        assert strangers == []
        keyed = store.query("SELECT count(*) FROM record_key")[0][0]
        once = store.query("SELECT count(*) FROM (SELECT DISTINCT node, boot, seq FROM record) AS these")[0][0]
        assert keyed == once == count()
    end(a, b)


def test_one_ingest_becomes_several_and_they_become_fewer(
    mosquitto: Any, postgresql: Postgresql, keys: KeyStore
) -> None:
    """What waited for the one, and for one that leaves, is not lost; nothing waits for them any more."""
    where, pump = PostgresqlUrl(postgresql.create()), Node(keys, PUMP, "pump-7")

    def send(count: int) -> None:
        publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(count)])

    one = start(mosquitto.port, where, keys)
    said_by(one, "storing the messages from")
    end(one)
    send(30)  # waits for the one
    a, b = (start(mosquitto.port, where, keys, "--worker", name) for name in "ab")
    for process in (a, b):
        said_by(process, "storing the messages from")
    with open_records(where, write=False) as store:
        wait_until(lambda: store.query("SELECT count(*) FROM record")[0][0] == 30)
        send(30)
        wait_until(lambda: store.query("SELECT count(*) FROM record")[0][0] == 60)
        end(a, b)
        send(30)  # waits for both
        b = start(mosquitto.port, where, keys, "--worker", "b", "--leave")
        _, said = b.communicate(timeout=PATIENCE_S)
        assert b.returncode == 0 and "worker b has left the group" in said, said
        send(30)
        a = start(mosquitto.port, where, keys, "--worker", "a")
        said_by(a, "storing the messages from")
        wait_until(lambda: store.query("SELECT count(*) FROM record")[0][0] == 120)
        end(a)
        (account,), _ = ledger(store)
        assert (account.received, account.unexplained, account.refused) == (120, 0, {})


def test_a_database_that_is_away_leaves_everything_at_the_broker(mosquitto: Any, keys: KeyStore) -> None:
    pump = Node(keys, PUMP, "pump-7")
    with Postgresql(QUICK) as server:
        where = PostgresqlUrl(server.create())
        worker = start(mosquitto.port, where, keys, "--worker", "a")
        said_by(worker, "storing the messages from")
        server.stop()
        publish(mosquitto.port, [(pump.topic("telemetry"), pump.seal()) for _ in range(50)])
        line = said_by(worker, "waiting until it is back; the broker keeps new messages")
        assert line.startswith("quaver: ") and "Traceback" not in line
        server.start()
        said_by(worker, "the store is free again")
        with open_records(where, write=False) as store:
            wait_until(lambda: store.query("SELECT count(*) FROM record")[0][0] == 50)
            (account,), _ = ledger(store)
            assert (account.received, account.unexplained, account.refused) == (50, 0, {})
        end(worker)


@pytest.mark.parametrize("page", ["compose.yaml", "compose-nats.yaml"])
def test_the_example_for_compose_starts_workers_as_the_command_takes_them(page: str) -> None:
    services = yaml.safe_load((ROOT / "docs" / page).read_text())["services"]
    workers = [service["command"] for name, service in services.items() if name.startswith("worker")]
    named = []
    for program, verb, *words in workers:
        assert (program, verb) == ("quaver", "ingest")
        named.append(command.make_context(verb, ["--broker", "mqtt://broker:1883", *words]).params)
    assert [str(given["path"]) for given in named] == ["postgresql://quaver@database/plant"] * 2
    assert [given["worker"] for given in named] == ["a", "b"]


def test_the_bench_counts_what_one_worker_and_two_did() -> None:
    figures = run_workers(200, lambda words: None)
    each = ["records/s", "us a record", "us a record", "us a record", "cores"]
    assert [figure.unit for figure in figures] == [*each, *each, "times"]
    assert all(figure.value > 0 for figure in figures if figure.unit in ("records/s", "times"))
    assert all(figure.value <= (os.cpu_count() or 1) * 1.2 for figure in figures if figure.unit == "cores")
