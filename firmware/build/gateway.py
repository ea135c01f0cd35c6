"""The gateway's composition root: reads the board and the configuration, builds every part, and runs them."""

import asyncio
import gc

import board

import hal
from build import config as configuration
from build import gateway_config as gateway_configuration
from build import keys, wiring
from gateway.collector import Collector
from gateway.commands import Commands
from gateway.contents import Contents
from gateway.forward import Forward
from gateway.health import Health
from gateway.link_keys import LinkKeys
from gateway.relay import Relay
from links.ble_central import Central
from node import store
from node.mailbox import Mailbox
from quaver_wire import chunks, gatt

if False:  # types alone: never compiled
    from hal.watchdog import Watchdog
    from node.supervisor import Supervisor

_COMMANDS = ("update", "reboot", "identify", "grant")  # that a gateway takes for itself


def build() -> "tuple[Supervisor, Watchdog | None]":
    """Everything that runs, wired together; returns (supervisor, watchdog) for start.run.

    Nothing that lives on may hold a function of this folder: main.py drops it.
    """
    config, problems = configuration.load()
    branch = "/".join(config[key] for key in ("site", "area", "line", "asset")) + "/"
    settings, prefixes, more = gateway_configuration.parse(config["gateway"], branch)
    problems += more
    port = hal.port(board)
    boot = store.next_boot()
    always = config["outbox"]["durable"]
    outbox, uptime, recorder, mute = wiring.recording("gateway", port, config, boot, always)
    wiring.was_short("gateway", recorder)
    wiring.tell("gateway", problems, recorder)
    relay = Relay(boot, recorder.event, "/relay", settings["flash_kb"] * 1024)
    commands = Commands()
    contents = Contents(prefixes, relay.filled.set)
    links = LinkKeys(wiring.random(port, keys.load_keys(), recorder))

    updating = wiring.updating("gateway", port, recorder)
    supervisor, watchdog, limit_s = wiring.supervision(port, config, recorder)
    if mute:
        print("gateway: {}: nothing is collected".format(mute))
        return supervisor, watchdog
    progress = supervisor.progress
    central = Central(gatt, chunks, port.uuid, settings["visit_s"], settings["records"], board.CONNECTIONS)
    collector = Collector(
        central,
        board.CONNECTIONS,
        node_ids=prefixes,
        relay=relay,
        commands=commands,
        contents=contents,
        links=links,
        clock=uptime,
        progress=progress,
        old_links=bool(settings["old_links"]),
    )
    supervisor.add("collect", collector.run, limit_s)
    mailbox = None
    if recorder.seals:
        parts = {"name": config["node"], "recorder": recorder, "uptime": uptime, "outbox": outbox, "trial": None}
        parts.update({"measuring": collector, "supervisor": supervisor, "quiet": asyncio.Lock(), "reset": port.reset})
        parts.update({"commands": _COMMANDS, "clear": contents.clear, "short": port.short, "links": links})
        mailbox = Mailbox(parts, updating)
        contents.working = mailbox.working
        supervisor.add("commands", mailbox.run, max(limit_s, 90))
    root, wifi, mqtt, timekeeper = wiring.to_broker(port, config, recorder, uptime, wiring.tls(config["broker"]))
    forward = Forward(
        wifi,
        mqtt,
        outbox=outbox,
        relay=relay,
        commands=commands,
        contents=contents,
        mailbox=mailbox,
        root=root,
        prefixes=prefixes,
        branch=branch,
        recorder=recorder,
        timekeeper=timekeeper,
        progress=progress,
    )
    supervisor.add("forward", forward.run, limit_s)
    health = Health(
        collector,
        relay,
        commands,
        contents,
        recorder=recorder,
        clock=uptime,
        interval_s=config["interval_s"],
        progress=progress,
    )
    supervisor.add("health", health.run, limit_s)
    gc.collect()
    return supervisor, watchdog
