"""A plant's records for tests of reports, put into a store as an ingest would: a mill with a meter and vibration."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson

from quaver.store.rows import Clock, Node, Row
from quaver.store.store import Store

MILL = "works/hall/line-2/mill/mill"
MINUTE = 60_000
MONDAY = 1_772_406_000_000  # 2026-03-02T00:00 in Berlin


def put(store: Store, topic: str, records: Iterable[tuple[int, str, Mapping[str, Any]]], boot: int = 1) -> None:
    """records: (time in ms, message class, the fields as they are on the wire), numbered in turn."""
    number = len(store.nodes()) + 1
    name = topic.rpartition("/")[2]
    rows = [
        Row(number, boot, seq, kind, seq, b"", at, at - MONDAY, at, None, orjson.dumps(body).decode())
        for seq, (at, kind, body) in enumerate(records)
    ]
    with store.transaction():
        store.put_nodes([Node(number, name.encode(), topic, arrivals=len(rows), received=len(rows))])
        store.put_clocks([Clock(number, boot, MONDAY, None)])
        store.add(rows)


def mill(days: int = 7, seed: int = 1, every: int = 1, rises: bool = True) -> list[tuple[int, str, Mapping[str, Any]]]:
    """A record every `every` minutes. Two shifts on working days, two failures, a night without records, slow wear."""
    random = np.random.default_rng(seed)
    found: list[tuple[int, str, Mapping[str, Any]]] = []
    kwh, wander = 1234.0, 0.0
    total = days * 1440
    for minute in range(0, total, every):
        day, of_day = divmod(minute, 1440)
        failed = any(begin <= minute < begin + length for begin, length in ((2000, 95), (5300, 160)))
        warned = any(begin - 40 <= minute < begin for begin in (2000, 5300))
        runs = day % 7 < 5 and 360 <= of_day < 1320 and not failed
        kw = float(6.2 + 1.4 * np.sin(minute / 37) + random.normal(0, 0.3)) if runs else 0.35
        if runs and 720 <= of_day < 750:
            kw = 0.8  # the break: it turns without load
        wander = float(0.98 * wander + random.normal(0, 0.02))
        worn = max(0.0, minute / total - 0.45) * 2.2 if rises else 0.0
        velocity = float((1.9 + wander + random.normal(0, 0.06)) * np.exp(worn)) if runs else 0.02
        if not 1500 <= minute < 1620:  # two hours without records
            level = 2 if warned else 1 if worn > 0.6 and runs else 0
            state = 0 if not runs else 1 if minute < 400 else 2
            body = {
                "level": level, "quality": 0, "velocity_mm_s": round(velocity, 2), "machine": state,
                "rms_g": round(velocity / 9, 4),
                "energy": [230.0, 0.0, round(kw * 1000, 1), 0.0, 0.9, 50.0, round(kwh, 2)],
            }  # fmt: skip
            found.append((MONDAY + minute * MINUTE, "telemetry", body))
            if warned and minute in (1960, 5260):
                event = {"code": 1, "event_level": 2, "subject": "velocity", "value": 4.9, "limit": 4.5}
                found.append((MONDAY + minute * MINUTE + 1, "event", event))
        kwh += kw * every / 60
    return found
