"""What a record costs on its whole way, in time of a core and in bytes: the figures that docs/scale.md reckons with.

Measured in one run, with the same records, on a real Mosquitto: ingest as in bench.ingest, then what is made of the
store. Time is that of the process alone (user and system), not the clock's: a machine that does other things too gives
nearly the same figures.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from quaver.bench import Figure
from quaver.bench.ingest import NODES, measure, sealed_records
from quaver.bench.mosquitto import Mosquitto
from quaver.bench.ports import free_port
from quaver.bench.postgresql import SAFE, Postgresql
from quaver.bridge.open_messages import OpenMessages
from quaver.bridge.run import expect_many_objects
from quaver.bridge.sink import Sink
from quaver.bridge.sparkplug import SparkplugNode
from quaver.bridge.spec import Mqtt, OpcUa, Sparkplug
from quaver.fleet.keys import KeyStore
from quaver.messages.sealing import Opener
from quaver.query.source import Place, Source
from quaver.store.location import PostgresqlUrl, open_records
from quaver.store.store import Store
from quaver.upkeep.backup import back_up

_SINK_GOAL = 30  # us a record
_INGEST_GOAL = 20_000  # records a second of a core


def run_scale(records: int, step: Callable[[str], None]) -> list[Figure]:
    """The figures of `records` records; step(words) is told what is being done.

    Raises BrokerError where there is no Mosquitto, StoreError where there is no PostgreSQL or no library for it,
    KeyStoreError, LakeError, BackupError.
    """
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as name, Mosquitto(Path(name)) as broker:
        folder = Path(name)
        keys = KeyStore(folder / "keys")
        store = folder / "store"
        step("broker and ingest")
        makers = [sealed_records(keys, number) for number in range(NODES)]
        began = broker.processor_s()
        found = measure(broker.url, keys, reader=Opener(keys), makers=makers, records=records, path=store)
        core = 1e6 * found.core_seconds / records
        figures = [
            Figure("a record on the wire, sealed", found.message_bytes, "bytes"),
            Figure(
                "Mosquitto, in and out, QoS 1", round(1e6 * (broker.processor_s() - began) / records, 1), "us a message"
            ),
            Figure("ingest into SQLite", round(core, 1), "us a record"),
            Figure("  so many on a core", round(1e6 / core), "records/s", _INGEST_GOAL, at_least=True),
            Figure("a record in SQLite", round(store.stat().st_size / records), "bytes"),
        ]
        step("bridge")
        expect_many_objects()
        url = str(broker.url)
        figures += [
            _sink("bridge to JSON", OpenMessages(Mqtt(broker=url), "bench"), store, records),
            _sink("bridge to Sparkplug B", _sparkplug(url, folder), store, records),
            *([_sink("bridge to OPC UA", _opcua(folder), store, records)] if find_spec("asyncua") else ()),
        ]
        step("lake and backup")
        figures += [*_lake(store, folder / "lake", records), _backup(store, folder / "backup", records)]
        step("PostgreSQL")
        return [*figures, *_postgresql(folder / "postgresql", records)]


def _postgresql(folder: Path, records: int) -> list[Figure]:
    """The same records by one worker into a server of its own."""
    with Postgresql(SAFE) as server, Mosquitto(folder / "broker") as broker:
        place = server.create()
        open_records(PostgresqlUrl(place)).close()
        from quaver.bench.workers import measure as measure_workers  # with the library, which is there

        spent = measure_workers(broker, place, KeyStore(folder / "keys"), 1, records)
        with open_records(PostgresqlUrl(place), write=False) as store:
            size = store.query(
                "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
                "AND relkind IN ('r', 'i')"
            )[0][0]
    return [
        Figure("ingest into PostgreSQL, a worker", round(1e6 * spent.workers_s / records, 1), "us a record"),
        Figure("  and its server", round(1e6 * spent.server_s / records, 1), "us a record"),
        Figure("a record in PostgreSQL", round(int(size) / records), "bytes"),
    ]


def _sparkplug(url: str, folder: Path) -> Sink:
    """One whose birth knows of no record, so that all of them are new to it."""
    Store(folder / "empty").close()
    return SparkplugNode(Sparkplug(broker=url), folder / "empty", folder / "sparkplug.state")


def _opcua(folder: Path) -> Sink:
    """One whose server no client has asked for anything."""
    from quaver.bridge.opcua import OpcUaNodes

    return OpcUaNodes(
        OpcUa(listen=f"127.0.0.1:{free_port()}", anonymous=True), folder / "empty", folder / "opcua.state"
    )


def _sink(name: str, sink: Sink, path: Path, records: int) -> Figure:
    """What handing all records to a sink takes, reading the store included; as records that came a moment ago."""
    place, done = Place(), 0

    def note(count: int) -> None:
        nonlocal done
        done = count

    with Source(path) as source:
        sink.connect(0)
        began = time.process_time()
        while readings := source.after(place, sink.batch, now_ms=0):
            sink.put(readings, done, note)
            place = readings[-1].place
        spent = time.process_time() - began
        sink.close()
    return Figure(name, round(1e6 * spent / records, 1), "us a record", _SINK_GOAL)


def _lake(path: Path, folder: Path, records: int) -> list[Figure]:
    from quaver.lake.export import export

    began = time.process_time()
    with Source(path) as source:
        done = export(source, folder)
    spent = time.process_time() - began
    return [
        Figure("export to Parquet", round(1e6 * spent / records, 1), "us a record"),
        Figure("a record in Parquet", round(done.bytes / records), "bytes"),
    ]


def _backup(path: Path, backup: Path, records: int) -> Figure:
    began = time.process_time()
    back_up(path, backup)
    return Figure("backup, checked", round(1e6 * (time.process_time() - began) / records, 1), "us a record")
