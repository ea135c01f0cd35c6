"""Prometheus metrics of fleet, ingest and bridge, put together from the store at each scrape.

Names follow Prometheus' own rules: base units in the name, `_total` for what only grows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIServer

from quaver.bridge.run import Progress
from quaver.errors import BridgeError, StoreError
from quaver.messages.quantities import OWN, QUANTITIES, numbers
from quaver.query.source import Source, at_once
from quaver.store.location import Location
from quaver.store.store import EXPIRES
from quaver_wire.fields import LEVELS

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily, Metric

_SCRAPE_S = 20.0  # within which who asks has to go on
_LABELS = ("site", "area", "line", "asset", "node")
# UCUM -> (the ending of a metric's name, what a value is multiplied by): base units, as Prometheus asks for
_BASE = {
    "[g]": ("_meters_per_second_squared", 9.80665),
    "mm/s": ("_meters_per_second", 1e-3),
    "Cel": ("_celsius", 1.0),
    "Hz": ("_hertz", 1.0),
    "V": ("_volts", 1.0),
    "A": ("_amperes", 1.0),
    "W": ("_watts", 1.0),
    "V.A": ("_voltamperes", 1.0),
    "kW.h": ("_joules", 3.6e6),
    "us": ("_seconds", 1e-6),
    "s": ("_seconds", 1.0),
    "h": ("_seconds", 3600.0),
    "d": ("_seconds", 86400.0),
    "By": ("_bytes", 1.0),
    "dB": ("_decibels", 1.0),
    "%": ("_ratio", 0.01),
    "1": ("", 1.0),
}
_UNITS = ("_g", "_mm_s", "_c", "_hz", "_v", "_a", "_w", "_va", "_kwh", "_us", "_s", "_h", "_days", "_db", "_pct")


def metric_name(field: str) -> str:
    """quaver_temperature_celsius for temperature_c: a field's name with the unit of Prometheus in place of its own."""
    quantity = QUANTITIES[field]
    stem = field.replace(".", "_").replace("energy_energy", "energy")
    ending = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if stem.endswith(unit)), "")
    base = _BASE[quantity.ucum][0]
    return f"quaver_{stem.removesuffix(ending)}{base}{'_total' if quantity.total else ''}"


class Collector:
    """Everything that is asked for, as prometheus_client takes it."""

    def __init__(self, store: Location, progress: Sequence[Progress]) -> None:
        self._store = store
        self._progress = progress

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        waits: dict[str, int] = {}  # which nobody knows while the store is away
        try:
            with Source(self._store, at_once) as source:
                read = [*self._nodes(source), *self._ingest(source)]
                waits = {one.name: source.waiting(one.place) for one in self._progress}
                readable = True
        except StoreError:
            readable, read = False, []
        yield from read
        words = "whether the store of quaver ingest can be read"
        yield GaugeMetricFamily("quaver_store_up", words, value=readable)
        labels = ("sink",)
        up = GaugeMetricFamily("quaver_bridge_sink_up", "whether the sink takes records", labels=labels)
        waiting = GaugeMetricFamily("quaver_bridge_sink_waiting", "records that it has not taken yet", labels=labels)
        records = CounterMetricFamily("quaver_bridge_sink_records", "records since the start", labels=labels)
        failures = CounterMetricFamily(
            "quaver_bridge_sink_failures", "how often it was down since the start", labels=labels
        )
        for one in self._progress:
            up.add_metric((one.name,), one.up)
            if one.name in waits:
                waiting.add_metric((one.name,), waits[one.name])
            records.add_metric((one.name,), one.handed)
            failures.add_metric((one.name,), one.failures)
        yield from (up, waiting, records, failures)

    def _nodes(self, source: Source) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        families: dict[str, GaugeMetricFamily] = {}

        def add(name: str, words: str, labels: Sequence[str], value: float, more: Sequence[str] = ()) -> None:
            family = families.get(name)
            if family is None:
                family = families[name] = GaugeMetricFamily(name, words, labels=(*_LABELS, *more))
            family.add_metric(labels, value)

        for reading in source.newest("telemetry"):
            labels = reading.topic.split("/")
            for field, quantity, value in numbers(reading.values):
                if field.startswith(OWN):
                    own = (*labels, field.removeprefix(OWN), quantity.ucum)
                    add("quaver_quantity", "what a machine says beside, in its unit", own, value, ("quantity", "unit"))
                else:
                    add(metric_name(field), quantity.title, labels, value * _BASE[quantity.ucum][1])
            level = reading.values.get("level", LEVELS[0])
            if level in LEVELS:
                add("quaver_level", "0 ok, 1 warning, 2 alarm", labels, LEVELS.index(level))
            if reading.time_ms is not None:
                add("quaver_measured_timestamp_seconds", "when it was measured", labels, reading.time_ms / 1000)
        for reading in source.newest("status"):
            online = reading.values.get("state") != "offline"
            add("quaver_online", "whether the node's last status says so", reading.topic.split("/"), float(online))
        yield from families.values()

    def _ingest(self, source: Source) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily

        received = CounterMetricFamily("quaver_ingest_records", "records in the store, by node", labels=_LABELS)
        copies = CounterMetricFamily("quaver_ingest_duplicates", "copies that came again, by node", labels=_LABELS)
        for node in source.store.nodes():
            labels = node.topic.split("/")
            received.add_metric(labels, node.received)
            copies.add_metric(labels, node.duplicates)
        refused = CounterMetricFamily("quaver_ingest_refused", "messages refused, by reason", labels=("reason",))
        sql = "SELECT reason, sum(count) FROM security_event WHERE reason <> ? GROUP BY reason"
        for reason, count in source.store.query(sql, (EXPIRES,)):
            refused.add_metric((reason,), count)
        yield from (received, copies, refused)


def serve(listen: str, collector: Collector) -> tuple[WSGIServer, threading.Thread]:
    """Answer at http://LISTEN/metrics until the server is shut down. Raises BridgeError."""
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise BridgeError(f"prometheus.listen: {listen}: {error.strerror}; name another address:port") from error
    # Each connection has a thread: one whose owner does not go on would keep it.
    handler: Any = server.RequestHandlerClass
    server.RequestHandlerClass = type("Handler", (handler,), {"timeout": _SCRAPE_S})
    return server, thread
