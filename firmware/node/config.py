"""The node's configuration: defaults, what the file on flash changes, and what is wrong with it."""

import json

# path, type, default, lowest, highest (of a text: its length). A section whose value is null is switched off.
_FIELDS = (
    ("site", str, "site", 1, 24),
    ("area", str, "area", 1, 24),
    ("line", str, "line", 1, 24),
    ("asset", str, "asset", 1, 24),
    ("node", str, "node", 1, 24),
    ("interval_s", float, 60.0, 0.0, 86400.0),
    ("role", str, "node", 4, 7),  # or "gateway"
    ("link", str, "wifi", 3, 4),  # or "ble": a gateway fetches the records
    ("ble.interval_ms", int, 250, 20, 10000),  # between advertisements
    ("ble.window_s", int, 10, 1, 3600),  # of advertising
    ("ble.rest_s", int, 50, 0, 86400),  # behind each window or visit, while no event waits
    ("ble.visit_s", int, 30, 5, 600),
    ("time_server", str, "", 0, 64),  # "": the date stays unknown, and the reader's is taken
    ("wifi.ssid", str, "", 0, 32),
    ("wifi.password", str, "", 0, 63),
    ("broker.host", str, "", 0, 64),
    ("broker.port", int, 1883, 1, 65535),
    ("broker.user", str, "", 0, 64),
    ("broker.password", str, "", 0, 64),
    ("broker.ca", str, "", 0, 32),  # the pinned CA's file on flash, and TLS with it; "": none
    ("broker.keepalive_s", int, 60, 5, 3600),
    ("vibration.driver", str, "iis3dwb", 1, 16),
    ("vibration.bus", str, "spi0", 1, 8),
    ("vibration.cs", int, 17, 0, 64),
    ("vibration.address", int, 0x53, 1, 127),
    ("vibration.range_g", int, 16, 2, 16),
    ("vibration.samples", int, 0, 0, 32768),  # 0: as many as the part's rate is worth
    ("vibration.band_low_hz", float, 0.0, 0.0, 40000.0),  # 0: by the part's rate
    ("vibration.band_high_hz", float, 0.0, 0.0, 40000.0),
    ("machine.rpm", float, 0.0, 0.0, 60000.0),  # 0: unknown
    ("machine.group", int, 0, 0, 2),  # of ISO 20816-3; 0: no zones
    ("machine.mounting", str, "rigid", 5, 8),
    ("machine.learn", int, 10, 2, 100),
    ("machine.running_g", float, 0.02, 0.0, 16.0),
    ("machine.tachometer_pin", int, -1, -1, 64),
    ("machine.tachometer_pulses", int, 1, 1, 1000),
    ("temperature.driver", str, "tmp117", 1, 16),
    ("temperature.bus", str, "i2c0", 1, 8),
    ("temperature.address", int, 0x48, 1, 127),
    ("energy.driver", str, "sdm120", 1, 16),
    ("energy.bus", str, "uart1", 1, 8),
    ("energy.address", int, 1, 1, 247),
    ("alarm.hysteresis", float, 0.1, 0.0, 0.9),
    ("alarm.count", int, 2, 1, 15),
    ("alarm.of", int, 3, 1, 15),
    ("outbox.length", int, 16, 4, 64),
    ("outbox.flash_kb", int, 256, 32, 1024),
    ("outbox.durable", bool, False, False, True),
    ("improv", int, 0, 0, 1),  # whether a blank node takes a network by Improv; read by node.onboard
    ("watchdog_s", int, 120, 0, 3600),
)
_SECTIONS = ("wifi", "broker", "ble", "machine", "vibration", "temperature", "energy", "alarm", "outbox")
_SENSORS = ("vibration", "temperature", "energy")

# What a limit can be set on. None has one by itself: the diagnosis has those that hold for any machine, and learns
# the others.
FEATURES = ("rms", "peak", "crest", "kurtosis", "velocity", "envelope", "temperature")


def _typed(value, kind):
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError
    return value


def _set(config, path, value):
    section, _, key = path.rpartition(".")
    (config[section] if section else config)[key] = value


def _limits(given, problems):
    limits = {}
    if not isinstance(given, dict):
        problems.append("limits: expected {feature: [warning, alarm]}")
        return limits
    for feature, pair in given.items():
        if pair is None:
            continue
        try:
            warning, alarm = (_typed(v, float) for v in pair)
            if feature not in FEATURES or not 0 < warning <= alarm < 1e9:
                raise ValueError
            limits[feature] = (warning, alarm)
        except (ValueError, TypeError):
            problems.append("limits.{}: expected [warning, alarm], 0 < warning <= alarm".format(str(feature)[:16]))
    return limits


def parse(given):
    """Check `given`, the decoded file, against the table; return (config, problems).

    Never raises: a value that is missing, of the wrong type or out of range is replaced by its default, and
    each such replacement but a missing value is one line in `problems`.
    """
    problems = []
    config = {}
    if not isinstance(given, dict):
        given = {}
        problems.append("config: expected an object")
    for section in _SECTIONS:
        config[section] = {}
    for path, kind, default, low, high in _FIELDS:
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
        source = given.get(section, {})
        if source is None and section in _SENSORS:
            config[section] = None
        elif not isinstance(source, dict):
            problems.append("{}: expected an object".format(section))
    known = [path for path, *_ in _FIELDS]
    for key, value in given.items():
        if key in ("limits", "gateway"):
            continue
        if key not in _SECTIONS:
            if key not in known:
                problems.append("{}: unknown key".format(str(key)[:24]))
        elif isinstance(value, dict):
            for inner in value:
                if key + "." + inner not in known and (key, inner) != ("machine", "bearing"):
                    problems.append("{}.{}: unknown key".format(key, str(inner)[:24]))
    vibration = config["vibration"]
    if vibration and vibration["samples"] & (vibration["samples"] - 1):
        vibration["samples"] = 0
        problems.append("vibration.samples: expected a power of two")
    machine = given.get("machine")
    # a name, a geometry or four ratios: dsp.bearings checks it
    config["machine"]["bearing"] = machine.get("bearing") if isinstance(machine, dict) else None
    if config["alarm"]["count"] > config["alarm"]["of"]:
        config["alarm"]["of"] = config["alarm"]["count"]
        problems.append("alarm.of: expected at least alarm.count")
    for key in ("site", "area", "line", "asset", "node"):
        for mark in "/+#\0":
            if mark in config[key]:  # they would move the node to another place of the namespace
                config[key] = key
                problems.append("{}: expected no / + # in a name".format(key))
                break
    for key, other in (("role", "gateway"), ("link", "ble")):
        if config[key] not in (other, "node" if key == "role" else "wifi"):
            config[key] = "node" if key == "role" else "wifi"
            problems.append("{}: expected {} or {}".format(key, config[key], other))
    config["gateway"] = given.get("gateway")  # gateway.config checks it
    config["limits"] = _limits(given.get("limits", {}), problems)
    return config, problems


def load(path="/config.json"):
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


def role(path="/config.json"):
    """What this board is: "gateway" where the file says so, else "node": which of the two composition roots runs."""
    try:
        with open(path) as file:
            return "gateway" if json.load(file).get("role") == "gateway" else "node"
    except (OSError, ValueError, AttributeError, MemoryError):
        return "node"
