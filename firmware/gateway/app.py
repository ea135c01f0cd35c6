"""The gateway's composition root: reads the board and the configuration, builds every part, and runs them."""

import gc

import board

import hal
from gateway import config as gateway_configuration
from gateway.collector import Collector
from gateway.commands import Commands
from gateway.forward import Forward
from gateway.health import Health
from gateway.relay import Relay
from links.ble_central import Central
from links.mqtt import Mqtt
from links.wifi import Wifi
from node import config as configuration
from node import store, wiring
from node.clock import Uptime
from node.outbox import Outbox
from node.record import Recorder
from node.supervisor import Supervisor
from quaver_wire import chunks, gatt

VERSION = "0.1.0"

# What is needed to build a gateway and not to run it
SCAFFOLD = (
    ("board", "hal.common", "hal.rp2", "hal.esp32", "hal.unix") + ("node.config", "gateway.config") + ("gateway.app",)
)


def build():
    """Everything that runs, wired together; returns (supervisor, watchdog) for start.run.

    Nothing that lives on may hold a function of the modules in SCAFFOLD: main.py drops them.
    """
    config, problems = configuration.load()
    branch = "/".join(config[key] for key in ("site", "area", "line", "asset")) + "/"
    settings, places, more = gateway_configuration.parse(config["gateway"], branch)
    problems += more
    port = hal.port(board)
    print("gateway: quaver {} on {}, {}, chip {}".format(VERSION, board.NAME, config["node"], port.unique_id()))
    boot = store.next_boot()
    kept = config["outbox"]
    outbox = Outbox(boot, "/journal", kept["length"], kept["flash_kb"] * 1024, kept["durable"])
    uptime = Uptime()
    recorder = Recorder(config["node"], boot, uptime, outbox, wiring.uplink(port))
    mute = wiring.mute(recorder)
    outbox.report = recorder.event
    recorder.introduce(VERSION, board.NAME, config["interval_s"])
    told = {"oldest_boot": outbox.oldest_boot, "lost_from": outbox.lost_from or None}
    recorder.event("boot", text=port.reset_cause(), **told)  # the first record: what it tells, nothing else repeats
    for problem in problems:
        print("gateway: config:", problem)
        recorder.event("config_invalid", text=problem)
    relay = Relay(boot, recorder.event, "/relay", settings["flash_kb"] * 1024)
    commands = Commands()

    watchdog_s = config["watchdog_s"]
    watchdog = port.watchdog() if watchdog_s else None
    supervisor = Supervisor(recorder.death, watchdog)
    if mute:
        print("gateway: {}: nothing is collected".format(mute))
        return supervisor, watchdog
    limit_s = watchdog_s or 120
    progress = supervisor.progress
    central = Central(gatt, chunks, port.uuid, settings["visit_s"], settings["records"])
    collector = Collector(central, places, relay, commands, uptime, progress)
    supervisor.add("collect", collector.run, limit_s)
    root = branch + config["node"] + "/"
    client_id = config["node"] + "-" + port.unique_id()[-8:]
    broker = config["broker"]
    mqtt = Mqtt(broker, client_id, root + "status", recorder.status(0), wiring.tls(broker))
    wifi = Wifi(port.radio(), config["wifi"]["ssid"], config["wifi"]["password"])
    timekeeper = wiring.timekeeper(config, uptime)
    forward = Forward(wifi, mqtt, outbox, relay, commands, root, places, branch, recorder, timekeeper, progress)
    supervisor.add("forward", forward.run, limit_s)
    health = Health(collector, relay, commands, recorder, uptime, config["interval_s"], progress)
    supervisor.add("health", health.run, limit_s)
    gc.collect()
    return supervisor, watchdog
