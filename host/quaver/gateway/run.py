"""A host's gateway put together: collects over Bluetooth, keeps in a file, hands on to a broker, tells of itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from quaver.broker import BrokerUrl
from quaver.gateway.collector import Collector, Radio
from quaver.gateway.forward import Forward
from quaver.gateway.health import Health, Identity
from quaver.gateway.spool import Spool


async def gateway(
    url: BrokerUrl,
    places: Mapping[bytes, str],
    spool: Spool,
    say: Callable[[str], None],
    *,
    ca: Path | None = None,
    identity: Identity | None = None,
    radio: Radio | None = None,
    unix_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> None:
    """Be the gateway of the nodes in `places` ({id: place}) until it is cancelled.

    identity: whose health record it makes; None makes none. Raises BrokerError, RadioError, StoreError.
    """
    collector = Collector(places, spool, unix_ms, say, radio)
    known = {**places, **({identity.node_id: identity.place} if identity else {})}
    with Forward(url, spool, known, say, ca):
        work = [collector.run()]
        if identity is not None:
            work.append(Health(identity, collector, spool).run())
        async with asyncio.TaskGroup() as tasks:
            for coroutine in work:
                tasks.create_task(coroutine)
