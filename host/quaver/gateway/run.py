"""A host's gateway: collects over Bluetooth or serial lines, stores, forwards to a broker, publishes its health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from quaver.broker.address import BrokerUrl
from quaver.gateway.collector import Collector, Radio
from quaver.gateway.contents import Contents
from quaver.gateway.forward import Forward, Presence
from quaver.gateway.health import Health
from quaver.gateway.line import Line, collect_line
from quaver.gateway.links import Links
from quaver.gateway.machines import machine_nodes
from quaver.gateway.own import Identity
from quaver.gateway.spool import Spool
from quaver.modbus.spec import Machine


async def gateway(
    url: BrokerUrl,
    prefixes: Mapping[bytes, str],
    links: Links,
    spool: Spool,
    say: Callable[[str], None],
    *,
    ca: Path | None = None,
    identity: Identity | None = None,
    machines: Sequence[tuple[Machine, Identity]] = (),
    lines: Sequence[Line] = (),
    radio: Radio | None = None,
    unix_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    old_links: bool = False,
) -> None:
    """Be the gateway of the nodes in `prefixes` ({id: topic prefix}) until it is cancelled.

    links: this gateway's link keys; old_links: as of Collector. unix_ms: what nodes are told as the date, 0 for none.
    identity: whose health record it makes; None makes none. machines: asked by Modbus, each a node. lines: to
    a node of `prefixes` each. With lines, and without nodes in `prefixes`, there is no Bluetooth. Raises BrokerError,
    RadioError, StoreError.
    """
    contents = Contents(spool, prefixes)
    collector = Collector(prefixes, links, spool, unix_ms, say, radio, contents, old_links)
    known = {**prefixes, **({identity.node_id: identity.prefix} if identity else {})}
    known |= {machine.node_id: machine.prefix for _, machine in machines}
    work = [collector.run] if prefixes and not lines else []
    work += [partial(collect_line, line, collector, say) for line in lines]
    work += [node.run for node in machine_nodes(machines, spool, unix_ms, say)]
    presence = None
    if identity is not None:
        health = Health(identity, collector, spool, unix_ms)
        work.append(health.run)
        presence = Presence(f"{identity.prefix}/status", health.status("offline"), health.status("online"))
    with Forward(url, spool, prefixes=known, say=say, ca=ca, presence=presence) as forward:
        contents.ask = forward.retained
        async with asyncio.TaskGroup() as tasks:
            for run in work:
                tasks.create_task(run())
