"""The node's configuration: defaults, what the file on flash changes, and what is wrong with it."""

import json

from quaver_wire.fields import LIMITED

if False:  # types alone: never compiled
    from collections.abc import Iterator
    from typing import Any

# path, kind, default, lowest, highest (of a text: its length). A section whose value is null is switched off.
# What depends on a sensor's driver has 0 or "" for its default here: build.sensors has the driver's own.
# One text, and no tuples: it is 2 kB less for a node that checks a change while everything else runs.
_FIELDS = (
    "site t site 1 24\n"
    "area t area 1 24\n"
    "line t line 1 24\n"
    "asset t asset 1 24\n"
    "node t node 1 24\n"
    "interval_s f 60 0 86400\n"
    "role t node 4 7\n"  # or "gateway"
    "link t  0 4\n"  # "wifi", or "ble" or "uart": a gateway fetches the records; "": the first of the board's
    "ble.interval_ms i 250 20 10000\n"  # between advertisements
    "ble.window_s i 10 1 3600\n"  # of advertising
    "ble.rest_s i 50 0 86400\n"  # after each window or connection, while no event waits
    "ble.visit_s i 30 5 600\n"
    "time_server t  0 64\n"  # "": the date stays unknown, and the reader's is taken
    "wifi.ssid t  0 32\n"
    "wifi.password t  0 63\n"
    "broker.host t  0 64\n"
    "broker.port i 1883 1 65535\n"
    "broker.user t  0 64\n"
    "broker.password t  0 64\n"
    "broker.ca t  0 32\n"  # the pinned CA's file on flash, and TLS with it; "": none
    "broker.keepalive_s i 60 5 3600\n"
    "vibration.driver t iis3dwb 1 16\n"
    "vibration.bus t  0 8\n"
    "vibration.cs i -1 -1 64\n"  # -1: the pin that the board's file names for the bus
    "vibration.address i 0 0 127\n"
    "vibration.range_g i 0 0 1000\n"
    "vibration.sensitivity_mv_g f 0 0 10000\n"  # of an analog accelerometer, at the ADC's input
    "vibration.drdy_pin i -1 -1 64\n"  # where that ADC says that it has a sample
    "vibration.samples i 0 0 32768\n"  # 0: as many as the part's rate is worth
    "vibration.band_low_hz f 0 0 40000\n"  # 0: by the part's rate
    "vibration.band_high_hz f 0 0 40000\n"
    "vibration.spectrum_every i 60 0 10000\n"  # measurements from one to the next; 0: when the machine turns alone
    "machine.rpm f 0 0 60000\n"  # 0: unknown
    "machine.group i 0 0 2\n"  # of ISO 20816-3; 0: no zones
    "machine.mounting t rigid 5 8\n"
    "machine.learn i 10 2 100\n"
    "machine.running_g f 0.02 0 16\n"
    "machine.tachometer_pin i -1 -1 64\n"
    "machine.tachometer_pulses i 1 1 1000\n"
    "temperature.driver t tmp117 1 16\n"
    "temperature.bus t  0 8\n"
    "temperature.address i 0 0 127\n"
    "temperature.cs i -1 -1 64\n"
    "temperature.wires i 0 0 4\n"
    "temperature.reference_ohm i 0 0 1000\n"
    "energy.driver t sdm120 1 16\n"
    "energy.bus t  0 8\n"
    "energy.address i 1 1 247\n"
    "energy.baudrate i 0 0 115200\n"
    "energy.parity t  0 8\n"
    "energy.de_pin i -1 -1 64\n"  # high while an RS-485 transceiver is to send; -1: it turns round by itself
    "energy.pulses_per_kwh i 1000 1 100000\n"
    "energy.width_ms i 20 0 1000\n"  # the least that a pulse lasts
    "pulses.driver t pulses 1 16\n"
    "pulses.bus t  0 8\n"
    "pulses.width_ms i 20 0 1000\n"
    "current.driver t ads131m02 1 16\n"
    "current.bus t  0 8\n"
    "current.cs i -1 -1 64\n"
    "current.drdy_pin i -1 -1 64\n"
    "current.a_per_v f 0 0 100000\n"  # of the clamp, at the ADC's input
    "current.line_hz i 0 0 60\n"
    "alarm.hysteresis f 0.1 0 0.9\n"
    "alarm.count i 2 1 15\n"
    "alarm.of i 3 1 15\n"
    "outbox.length i 16 4 64\n"
    "outbox.flash_kb i 180 32 1024\n"
    "outbox.durable b 0 0 1\n"
    "power.sleep b 0 0 1\n"  # whether the node sleeps between measurements
    "power.records i 8 1 16\n"  # that are gathered before they are sent
    "power.wake_pin i -1 -1 64\n"  # high: the node wakes and measures
    "power.wake_g f 0 0 16\n"  # at which the accelerometer raises that pin; 0: something else does
    "power.battery_pin i -1 -1 64\n"  # with an ADC
    "power.battery_ratio f 2 1 20\n"  # of the divider before it
    "power.battery_mah f 0 0 100000\n"  # 0: what is left is not estimated
    "power.low_v f 0 0 60\n"  # below it the node says so and measures a quarter as often
    "improv i 0 0 1\n"  # whether a blank node takes a network by Improv; read by enrol.onboard
    "watchdog_s i 120 0 3600\n"
)
_OTHERS = ("machine.bearing", "machine.classes", "energy.registers")  # which are checked by themselves
_KINDS = {"t": str, "i": int, "f": float, "b": bool}
_SECTIONS: tuple = ("wifi", "broker", "ble", "machine", "vibration", "temperature", "energy", "pulses", "alarm")
_SECTIONS += ("outbox", "power", "current")


def _fields() -> "Iterator[tuple[str, type, Any, float, float]]":
    at = 0
    while at < len(_FIELDS):
        end = _FIELDS.find("\n", at)
        path, letter, default, low, high = _FIELDS[at:end].split(" ")
        kind = _KINDS[letter]
        number = float if kind is float else int
        yield path, kind, default if kind is str else kind(number(default)), number(low), number(high)
        at = end + 1


def _typed(value: "Any", kind: type) -> "Any":
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError
    return value


def _set(config: dict, path: str, value: object) -> None:
    section, _, key = path.rpartition(".")
    (config[section] if section else config)[key] = value


def _limits(given: object, problems: list[str]) -> dict:
    limits: dict = {}
    if not isinstance(given, dict):
        problems.append("limits: expected {feature: [warning, alarm]}")
        return limits
    for feature, pair in given.items():
        if pair is None:
            continue
        try:
            warning, alarm = (_typed(v, float) for v in pair)
            if feature not in LIMITED or not 0 < warning <= alarm < 1e9:
                raise ValueError
            limits[feature] = (warning, alarm)
        except (ValueError, TypeError):
            problems.append("limits.{}: expected [warning, alarm], 0 < warning <= alarm".format(str(feature)[:16]))
    return limits


def parse(given: "Any") -> tuple[dict, list[str]]:
    """Check `given`, the decoded file, against the table; return (config, problems).

    Never raises: a value that is missing, of the wrong type or out of range is replaced by its default, and
    each such replacement but a missing value is one line in `problems`.
    """
    from build import sensors  # not for role(), which a gateway asks alone

    problems = []
    config: dict = {}
    if not isinstance(given, dict):
        given = {}
        problems.append("config: expected an object")
    for section in _SECTIONS:
        config[section] = {}
    for path, kind, default, low, high in _fields():
        section, _, key = path.rpartition(".")
        source = given.get(section, {}) if section else given
        value = default
        if isinstance(source, dict) and key in source:
            try:
                value = _typed(source[key], kind)
                if not low <= (len(value) if kind is str else value) <= high:
                    raise ValueError
            except ValueError:
                value = default
                problems.append("{}: expected {} from {} to {}".format(path, kind.__name__, low, high))
        _set(config, path, value)
    for section in _SECTIONS:
        source = given.get(section, None if section in ("pulses", "current") else {})  # few nodes have these
        if source is None and section in sensors.DRIVERS:
            config[section] = None
        elif not isinstance(source, dict):
            problems.append("{}: expected an object".format(section))
    for key, value in given.items():
        if key in ("limits", "gateway", "outputs", "rules", "uart"):
            continue
        if key not in _SECTIONS:
            if key not in config:
                problems.append("{}: unknown key".format(str(key)[:24]))
        elif isinstance(value, dict):
            for inner in value:
                if inner not in config[key] and "{}.{}".format(key, inner) not in _OTHERS:
                    problems.append("{}.{}: unknown key".format(key, str(inner)[:24]))
    vibration = config["vibration"]
    if vibration and vibration["samples"] & (vibration["samples"] - 1):
        vibration["samples"] = 0
        problems.append("vibration.samples: expected a power of two")
    for measures in sensors.DRIVERS:
        if config[measures] and not sensors.check(measures, config[measures], problems):
            config[measures] = None
    clamp = config["current"]
    if clamp and vibration and clamp["bus"] == vibration["bus"]:
        if clamp["cs"] == vibration["cs"] or vibration["driver"].startswith("adxl35"):
            config["current"] = None
            problems.append("current: needs a cs of its own, and no ADXL355 or ADXL357 on its bus")
    if config["energy"]:
        modbus = config["energy"]["driver"] == "modbus"
        found = given["energy"].get("registers") if modbus else None
        config["energy"]["registers"] = sensors.registers(found, problems) if modbus else None
    machine = given.get("machine")
    if not isinstance(machine, dict):
        machine = {}
    # a name, a geometry or four ratios: dsp.bearings checks it
    config["machine"]["bearing"] = machine.get("bearing")
    config["machine"]["classes"] = sensors.classes(machine.get("classes"), config, problems)
    if config["alarm"]["count"] > config["alarm"]["of"]:
        config["alarm"]["of"] = config["alarm"]["count"]
        problems.append("alarm.of: expected at least alarm.count")
    for key in ("site", "area", "line", "asset", "node"):
        for mark in "/+#\0":
            if mark in config[key]:  # they would move the node to another place of the namespace
                config[key] = key
                problems.append("{}: expected no / + # in a name".format(key))
                break
    try:
        from board import LINKS as links
    except ImportError:  # of no board in particular
        links = ("wifi", "ble", "uart")
    for key, choices in (("role", ("node", "gateway")), ("link", links)):
        if config[key] not in choices:
            if config[key]:
                problems.append("{}: expected one of {}".format(key, ", ".join(choices)))
            config[key] = choices[0]
    power = config["power"]
    if power["sleep"] and config["machine"]["classes"]:
        power["sleep"] = False
        problems.append("power.sleep: not with machine.classes: what they learn does not live through sleep")
    if power["sleep"] and config["current"]:
        power["sleep"] = False
        problems.append("power.sleep: not with current, which takes 4 s a measurement")
    counts = config["pulses"] or config["energy"]
    if power["sleep"] and counts and counts["driver"] == "pulses":
        power["sleep"] = False
        problems.append("power.sleep: not with a pulse counter, which sees no pulse in a sleep")
    if config["pulses"] and config["energy"] and config["energy"]["driver"] == "pulses":
        config["pulses"] = None
        problems.append("pulses: not beside energy.driver pulses: a node counts on one pin")
    if power["wake_g"] and power["wake_pin"] < 0:
        power["wake_g"] = 0.0
        problems.append("power.wake_g: needs power.wake_pin, where the accelerometer's interrupt arrives")
    if config["link"] == "uart":
        from build import uart  # of boards without a radio

        uart.check(given.get("uart", {}), config, problems)
    config["gateway"] = given.get("gateway")  # gateway.config checks it
    config["limits"] = _limits(given.get("limits", {}), problems)
    config["outputs"], config["rules"] = [], []
    if given.get("outputs") or given.get("rules"):
        from build import rules  # few nodes act

        config["outputs"], config["rules"] = rules.check(given, config, problems)
    return config, problems


def load(path: str = "/config.json") -> tuple[dict, list[str]]:
    """Read and check the file; return (config, problems) as `parse` does. A missing file is all defaults."""
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError:
        return parse({})
    except (ValueError, MemoryError):
        config, _ = parse({})
        return config, ["{}: not JSON".format(path)]
    return parse(given)


def role(path: str = "/config.json") -> str:
    """What this board is: "gateway" where the file says so, else "node": which of the two composition roots runs."""
    try:
        with open(path) as file:
            return "gateway" if json.load(file).get("role") == "gateway" else "node"
    except (OSError, ValueError, AttributeError, MemoryError):
        return "node"
