"""The composition root: reads the board and the configuration, builds every part, and runs them."""

import asyncio
import gc

import board
from micropython import const

import hal
from build import wiring
from node import measure, room, store
from node.alarm_waveform import AlarmWaveform
from node.capture import Capture
from node.condition import Condition
from node.log import ConsoleLog
from node.mailbox import Mailbox
from node.trial import Trial
from node.vibration import Vibration

if False:  # types alone: never compiled
    from collections.abc import Callable

    from drivers.tachometer import Tachometer
    from hal.chip.common import Hal
    from hal.watchdog import Watchdog
    from links.tls import Tls
    from node.record import Recorder
    from node.supervisor import Supervisor

_TRIAL_S = const(300)  # in which a new configuration brings the node online, or is rejected
_OBEY = ("service.obey", "service.downlink", "service.replay", "service.runner", "quaver_wire.decoder")
# In the order of a measurement: a clamp uses the room of vibration's.
_SENSORS = ("vibration", "temperature", "pulses", "energy", "current")
_LOW_MEMORY = const(16384)  # below this a fragmented heap may not give the next buffer


# What is needed for a while only is imported in functions: a name of this module would keep it.


def _load(path: str) -> tuple[dict, list[str]]:
    """(the checked configuration, its problems)"""
    from build import config

    return config.load(path)


def _import(config: dict, linked: bool, measures: bool, stays: bool) -> "Tls | None":
    """Have all modules that this configuration takes, while what is read is used in flash; returns `wiring.tls`.

    linked: whether this start has a link; measures: sensors. stays: what obeys commands, too: read for each command,
    its small pieces would have the heap grow.
    """
    from build import sensors

    if measures:
        wiring.read("build.engine", *(("dsp.classes",) if config["machine"]["classes"] else ()))
        sensors.read(config)
        if config["machine"]["tachometer_pin"] >= 0:
            wiring.read("drivers.tachometer", "dsp.tracking")
    if not linked:
        return None
    if config["link"] != "wifi":
        if config["link"] == "uart":
            from build import uart

            uart.read()
        else:
            wiring.read("links.ble_sleep" if config["power"]["sleep"] else "links.ble", "quaver_wire.chunks")
        wiring.read("quaver_wire.gatt", "quaver_wire.link_session", "node.gateways")
        return None
    wiring.read("node.publish_sleep" if config["power"]["sleep"] else "node.publish")
    wiring.read_links(config)
    if stays:
        wiring.read(*_OBEY)
        room.stay(*_OBEY, "quaver_wire.items")
    return wiring.tls(config["broker"])


def _believed(config: dict) -> "tuple | None":
    """(device keys, of which gateways' link keys follow, what was revoked); None on a node that no gateway visits."""
    if config["link"] == "wifi":
        return None
    from build import keys

    revoked = keys.load_revoked()
    if revoked is None:
        print("node: {} is corrupt: no gateway is believed; re-enrol the node".format(keys.REVOKED))
    return keys.load_keys(), revoked


def _tachometer(port: "Hal", machine: dict, problems: list) -> "Tachometer | None":
    if machine["tachometer_pin"] < 0:
        return None
    from drivers.tachometer import Tachometer

    def attach(handler: "Callable") -> object:
        return port.at_once(machine["tachometer_pin"], handler)

    try:
        return Tachometer(attach, machine["tachometer_pulses"])
    except ValueError as error:
        problems.append("machine.tachometer_pin: {}".format(error))
        return None


def _measuring(port: "Hal", config: dict, quiet: asyncio.Lock, recorder: "Recorder", problems: list[str]) -> Vibration:
    """All that one measurement of vibration needs, from the sensor to the verdict."""
    from build import sensors
    from build.engine import band, engine

    given = config["vibration"]
    sensor = sensors.sensor("vibration", port, given)
    path = engine(sensor.ODR_HZ, config, problems)
    m = path.measurement
    ratios = path.lines and path.lines.ratios
    comparable: tuple = (sensor.ODR_HZ, sensor.UG_PER_LSB, m.n, band(given), config["machine"]["rpm"], ratios)
    if config["machine"]["classes"]:
        comparable += (config["machine"]["classes"],)
    condition = Condition(path.diagnosis, mark=repr(comparable), classes=path.classes)
    problem = condition.restore()
    if problem:
        problems.append(problem)
    tachometer = _tachometer(port, config["machine"], problems)
    return Vibration(Capture(sensor, m), path, condition, quiet, AlarmWaveform(recorder.moment), tachometer)


def _current(port: "Hal", given: dict, quiet: asyncio.Lock, vibration: Vibration | None) -> measure.Sensor:
    """The clamp, which uses the room of the vibration's measurement where there is one."""
    from build import sensors
    from dsp.current import Current
    from dsp.measurement import Measurement
    from node.current import current

    sensor = sensors.sensor("current", port, given)
    room_for_it = vibration.measurement if vibration else Measurement(sensor.ODR_HZ)
    return current(Capture(sensor, Current(room_for_it, given["line_hz"])), quiet)


def _sensors(
    port: "Hal", config: dict, quiet: asyncio.Lock, recorder: "Recorder", problems: list[str]
) -> list[measure.Sensor]:
    """The sensors that the configuration asks for; one that can't be built is a problem, and the rest go on."""
    from build import sensors

    found: list[measure.Sensor] = []
    for name in _SENSORS:
        if config[name] is None:
            continue
        try:
            if name == "current":
                found.append(_current(port, config[name], quiet, found[0].part if found else None))
                continue
            if name == "vibration":
                part = _measuring(port, config, quiet, recorder, problems)
            else:
                part = sensors.sensor(name, port, config[name])
            found.append(getattr(measure, name)(part))
        except Exception as error:  # a driver may be somebody's own
            problems.append("{}: {}".format(name, error))
    if (config["machine"]["classes"] or ("",))[0] == "power_w":
        found.sort(key=lambda sensor: sensor.part is not None)  # vibration last, so that the power is known
    return found


def _judge(config: dict) -> measure.Judge:
    from build.engine import thresholds

    return measure.Judge(thresholds(config))


def _over_wifi(port: "Hal", config: dict, parts: dict, quiet: asyncio.Lock) -> "tuple[str, Callable]":
    """Records go to the broker by Wi-Fi and MQTT; returns the link's name and task."""
    root, wifi, mqtt, timekeeper = wiring.to_broker(port, config, parts["recorder"], parts["uptime"], parts["tls"])
    given = dict(
        wifi=wifi,
        mqtt=mqtt,
        outbox=parts["outbox"],
        root=root,
        recorder=parts["recorder"],
        quiet=quiet,
        progress=parts["supervisor"].progress,
        timekeeper=timekeeper,
        mailbox=parts["mailbox"],
    )
    power = parts.get("power")
    if power:
        from node.publish_sleep import SleepyPublish

        return "publish", power.linked("publish", SleepyPublish(power, **given).run)
    from node.publish import Publish

    return "publish", Publish(**given).run


def _over_gateway(port: "Hal", config: dict, parts: dict, quiet: asyncio.Lock) -> "tuple[str, Callable]":
    """Records wait for a gateway that fetches them by Bluetooth or wire, and brings the time; returns as above."""
    from node.gateways import Gateways
    from quaver_wire import gatt
    from quaver_wire.cose import node_id

    own = node_id(bytes.fromhex(port.unique_id()))
    keys, revoked = parts.pop("believed")
    recorder = parts["recorder"]
    parts["gateways"] = Gateways(own, keys, recorder.moment()[0], revoked, recorder.event)
    if not parts["recorder"].seals:
        print("node: not enrolled: no gateway gets its records")
    given = dict(
        gatt=gatt,
        gateways=parts["gateways"],
        outbox=parts["outbox"],
        node_id=own,
        clock=parts["uptime"],
        recorder=parts["recorder"],
        mailbox=parts["mailbox"],
        progress=parts["supervisor"].progress,
    )
    if config["link"] == "uart":
        from build import uart

        return uart.link(port, config["uart"], given)
    from quaver_wire import chunks

    given.update(chunks=chunks, uuid=port.uuid, about=(board.NAME, board.VERSION), timing=config["ble"])
    power = parts.get("power")
    if power:
        from links.ble_sleep import SleepyBle

        parts["link"] = SleepyBle(power, **given)
        return "ble", power.linked("ble", parts["link"].run)
    from links.ble import Ble

    return "ble", Ble(**given).run


def build() -> "tuple[Supervisor, Watchdog | None]":
    """Everything that runs, wired together; returns (supervisor, watchdog) for start.run.

    Nothing that lives on may hold a function of this folder: main.py drops it.
    """
    log = ConsoleLog()
    log.install()
    trial = Trial()
    config, problems = _load(trial.begin())
    port = hal.port(board)
    acting = None
    if config["outputs"] or config["rules"]:
        from build import rules

        acting = rules.build(port, config)  # before all else: each output is in its safe state from here on
    quiet = asyncio.Lock()
    power = None
    if config["power"]["sleep"]:
        from build import power as sleeping

        power = sleeping.begin(config)
    # a gateway comes now and then: RAM is no place to wait for it, but for a node that writes no flash each time
    always = config["outbox"]["durable"] or (config["link"] != "wifi" and not power)
    boot = power.boot if power and power.awoken else store.next_boot()
    outbox, uptime, recorder, mute = wiring.recording("node", port, config, boot, always, power)
    linked = not power or power.sends or trial.running
    measures = not power or power.measures  # else a wake that sends alone
    if not measures:
        for name in _SENSORS:
            config[name] = None
    believed = _believed(config) if linked else None
    short = wiring.was_short("node", recorder)
    for name in _SENSORS[: short if short < 2 else None]:
        if config[name]:
            config[name] = None
            problems.append("{}: not measured until the next start, for memory is short with it".format(name))
    room.drop("build.config", "build.keys", "build.rules", "quaver_wire.hkdf")  # a measurement needs their room
    running, rejected = trial.running, trial.rejected
    if not (running or rejected):
        room.drop("node.trial")
    stays = bool(recorder.seals and port.short and config["link"] == "wifi" and config["broker"]["ca"])
    tls = _import(config, linked, measures, stays)
    wiring.imported()
    found = _sensors(port, config, quiet, recorder, problems)
    if power and measures:
        cell = sleeping.battery(config["power"], power, problems)
        if cell:
            found.append(cell)
    judge = _judge(config) if measures else None
    room.drop("build.engine", "build.zones", "build.bearings", "quaver_wire.bearings", "build.sensors", "build.parts")
    if not (power and power.awoken):  # told at the boot
        wiring.tell("node", problems, recorder)
    if rejected:
        print("node: config rejected: not online with it; the old one is back")
        recorder.event("config_rejected", text="the node did not come online with it")
        trial.told()

    updating = wiring.updating("node", port, recorder)
    supervisor, watchdog, limit_s = wiring.supervision(port, config, recorder)
    every = config["vibration"]["spectrum_every"] if config["vibration"] else 0
    interval_s, progress = config["interval_s"], supervisor.progress
    if power and not measures:
        measuring = power.resting()
    else:
        measuring = measure.Measure(found, judge, recorder, interval_s, progress, spectrum_every=every)
        supervisor.add("measure", measuring.run, limit_s)
    if acting:
        part = measuring.part("vibration")
        acting.attach(recorder, uptime, progress, part and part.keep)
        measuring.rules = acting
        supervisor.ended = acting.lose
        supervisor.add("rules", acting.run, limit_s)
    if power:
        power.attach(outbox, uptime, recorder, measuring, judge, supervisor, trial=trial if running else None)
        supervisor.add("power", power.run, limit_s)

    if mute:
        print("node: {}: nothing is sent".format(mute))
    if mute or not linked:
        return supervisor, watchdog
    parts = {"name": config["node"], "recorder": recorder, "uptime": uptime, "outbox": outbox, "log": log}
    parts.update({"measuring": measuring, "supervisor": supervisor, "trial": trial if running else None})
    parts["tls"], parts["mailbox"], parts["rules"] = tls, None, acting
    if believed:
        parts["believed"] = believed
    if recorder.seals:
        parts["quiet"] = quiet
        parts["reset"] = port.reset
        parts["short"], parts["stays"] = port.short, stays
        parts["mailbox"] = mailbox = Mailbox(parts, updating)
        supervisor.add("commands", mailbox.run, max(limit_s, 90))
    if running:
        supervisor.add("trial", trial.task(_TRIAL_S, port.reset, supervisor.progress), limit_s)
    over = _over_wifi if config["link"] == "wifi" else _over_gateway
    room.tidy()
    if power:
        parts["power"] = power
    name, task = over(port, config, parts, quiet)
    supervisor.add(name, task, limit_s)
    if power:
        power.join(parts.get("mailbox"), parts.get("gateways"), parts.get("link"))
    gc.collect()
    free = gc.mem_free()
    if free < _LOW_MEMORY:
        recorder.event("low_memory", value=float(free))
    return supervisor, watchdog
