"""The composition root: reads the board and the configuration, builds every part, and runs them."""

import asyncio
import gc

import board

import hal
from dsp.alarm import Threshold
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp.lines import Lines
from dsp.measurement import Measurement
from node import config as configuration
from node import measure, store, wiring
from node.capture import Capture
from node.condition import Condition
from node.log import Log
from node.mailbox import Mailbox
from node.trial import Trial
from node.vibration import Vibration

# What is needed to build a node and not to run it
SCAFFOLD = wiring.SCAFFOLD + ("dsp.bearings", "dsp.zones", "quaver_wire.bearings", "node.app")

_TRIAL_S = 300  # in which a new configuration brings the node online, or is rejected
_LOW_MEMORY = 16384  # below this a fragmented heap may not give the next buffer


def _select(port, config):
    pin = config["cs"]
    return port.output(port.board.PINS[config["bus"] + "_cs"] if pin < 0 else pin, 1)


def _vibration(port, config):
    bus = port.bus(config["bus"])
    if config["driver"] == "iis3dwb":
        from drivers.iis3dwb import IIS3DWB

        return IIS3DWB(bus, _select(port, config), config["range_g"])
    if config["driver"] == "adxl345":
        from drivers import adxl345

        if config["bus"].startswith("i2c"):
            # 3,200 samples/s fill a wire of 400 kHz to 85 %: a Pico W can't empty the FIFO as fast as it fills
            return adxl345.ADXL345(adxl345.I2cAccess(bus, config["address"]), config["range_g"], 1600)
        return adxl345.ADXL345(adxl345.SpiAccess(bus, _select(port, config)), config["range_g"])
    raise ValueError("no driver " + config["driver"])


def _temperature(port, config):
    if config["driver"] == "tmp117":
        from drivers.tmp117 import TMP117

        return TMP117(port.bus(config["bus"]), config["address"])
    raise ValueError("no driver " + config["driver"])


def _energy(port, config):
    if config["driver"] == "sdm120":
        from drivers.sdm120 import SDM120

        return SDM120(port.bus(config["bus"]), config["address"])
    raise ValueError("no driver " + config["driver"])


def _lines(machine, problems):
    """The bearing's lines; a bearing with a mistake is a problem, and none is looked for."""
    if machine["bearing"] is None:
        return None
    from dsp import bearings

    try:
        return Lines(bearings.ratios(machine["bearing"]))
    except ValueError as error:
        problems.append("machine.{}".format(error))
        return None


def _zones(machine, problems):
    if not machine["group"]:
        return None
    from dsp import zones

    try:
        return zones.limits(machine["group"], machine["mounting"])
    except ValueError as error:
        problems.append(str(error))
        return None


def _tachometer(port, machine):
    if machine["tachometer_pin"] < 0:
        return None
    from drivers.tachometer import Tachometer

    def attach(handler):
        return port.on_rising(machine["tachometer_pin"], handler)

    return Tachometer(attach, machine["tachometer_pulses"])


def _measuring(port, config, recorder, quiet, problems):
    """All that one measurement of vibration needs, from the sensor to the verdict."""
    machine = config["machine"]
    given = config["vibration"]
    sensor = _vibration(port, given)
    band = (given["band_low_hz"], given["band_high_hz"]) if given["band_high_hz"] else None
    rpm = machine["rpm"]
    measurement = Measurement(
        sensor.ODR_HZ, band, given["samples"] or None, rpm / 60 or None, 2 if 0 < rpm < 600 else 10
    )
    rule = config["alarm"]
    diagnosis = Diagnosis(
        Baseline(machine["learn"]),
        _zones(machine, problems),
        rule["count"],
        rule["of"],
        rule["hysteresis"],
        machine["running_g"],
    )
    lines = _lines(machine, problems)
    comparable = (sensor.ODR_HZ, sensor.UG_PER_LSB, measurement.n, band, rpm, lines and lines.ratios)
    condition = Condition(diagnosis, mark=repr(comparable))
    problem = condition.restore()
    if problem:
        problems.append(problem)
    tachometer = _tachometer(port, machine)
    return Vibration(Capture(sensor, measurement), lines, diagnosis, condition, recorder, quiet, tachometer)


def _sensors(port, config, recorder, quiet, problems):
    """The sensors that the configuration asks for; one that can't be built is a problem, and the rest go on."""
    sensors = []
    for name, build in (("vibration", _vibration), ("temperature", _temperature), ("energy", _energy)):
        if config[name] is None:
            continue
        try:
            if name == "vibration":
                part = _measuring(port, config, recorder, quiet, problems)
            else:
                part = build(port, config[name])
            sensors.append(getattr(measure, name)(part))
        except (ValueError, OSError, MemoryError) as error:
            problems.append("{}: {}".format(name, error))
    return sensors


def _thresholds(config):
    rule = config["alarm"]
    return {
        feature: Threshold(warning, alarm, rule["hysteresis"], rule["count"], rule["of"])
        for feature, (warning, alarm) in config["limits"].items()
    }


def _over_wifi(port, config, outbox, recorder, uptime, quiet, supervisor, limit_s, mailbox):
    """Records go to the broker by Wi-Fi and MQTT."""
    from node.publish import Publish

    root, wifi, mqtt, timekeeper = wiring.to_broker(port, config, recorder, uptime)
    publishing = Publish(wifi, mqtt, outbox, root, recorder, quiet, supervisor.progress, timekeeper, mailbox)
    supervisor.add("publish", publishing.run, limit_s)


def _over_bluetooth(port, config, outbox, recorder, uptime, quiet, supervisor, limit_s, mailbox):
    """Records wait for a gateway that fetches them by Bluetooth, and brings the time."""
    from links.ble import Ble
    from quaver_wire import chunks, gatt
    from quaver_wire.cose import node_id

    own = node_id(bytes.fromhex(port.unique_id()))
    about = (board.NAME, board.VERSION)
    parts = (gatt, chunks, port.uuid, outbox, own, about, config["ble"], uptime, recorder, mailbox)
    supervisor.add("ble", Ble(*parts, supervisor.progress).run, limit_s)


def build():
    """Everything that runs, wired together; returns (supervisor, watchdog) for start.run.

    Nothing that lives on may hold a function of the modules in SCAFFOLD: main.py drops them, for 8 kB of heap.
    """
    global SCAFFOLD
    log = Log()
    log.keep()
    trial = Trial()
    config, problems = configuration.load(trial.begin())
    port = hal.port(board)
    quiet = asyncio.Lock()
    # a gateway comes now and then: RAM is no place to wait for it
    always = config["outbox"]["durable"] or config["link"] == "ble"
    outbox, uptime, recorder, mute = wiring.recording("node", port, config, store.next_boot(), always)
    # early, while the heap has room for buffers in one piece
    sensors = _sensors(port, config, recorder, quiet, problems)
    wiring.tell("node", problems, recorder)
    if trial.rejected:
        print("node: config: did not bring the node online, so it is as before")
        recorder.event("config_rejected", text="it did not bring the node online")
        trial.told()

    supervisor, watchdog, limit_s = wiring.supervision(port, config, recorder)
    judge = measure.Judge(_thresholds(config), recorder)
    measuring = measure.Measure(sensors, judge, recorder, config["interval_s"], supervisor.progress)
    supervisor.add("measure", measuring.run, limit_s)

    if mute:
        print("node: {}: nothing is sent".format(mute))
        return supervisor, watchdog
    mailbox = None
    if recorder.seals:
        parts = {"name": config["node"], "recorder": recorder, "uptime": uptime, "outbox": outbox, "log": log}
        parts.update({"measuring": measuring, "supervisor": supervisor, "trial": trial if trial.running else None})
        mailbox = Mailbox(parts)
        supervisor.add("commands", mailbox.run, max(limit_s, 90))
    if trial.running:
        supervisor.add("trial", trial.task(_TRIAL_S, port.reset, supervisor.progress), limit_s)
    else:
        SCAFFOLD += ("node.trial",)
    over = _over_bluetooth if config["link"] == "ble" else _over_wifi
    over(port, config, outbox, recorder, uptime, quiet, supervisor, limit_s, mailbox)
    gc.collect()
    free = gc.mem_free()
    if free < _LOW_MEMORY:
        recorder.event("low_memory", value=float(free))
    return supervisor, watchdog
