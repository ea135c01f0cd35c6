"""Several workers on one store: each record once, whoever took it and whoever was killed meanwhile."""

import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from fleet import Node, publish
from test_ingest import FAN, PUMP, WAIT_S, said_by, start

from quaver.bench.postgresql import Postgresql
from quaver.fleet.keys import KeyStore
from quaver.store.ledger import ledger
from quaver.store.location import PostgresqlUrl, open_records
from tests.waiting import wait_until


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        _, said = process.communicate(timeout=WAIT_S)
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
