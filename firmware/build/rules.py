"""The sections "outputs" and "rules" of a configuration: what may stand in them, and what is made of them.

    "outputs": {"motor": {"pin": 15, "normal": "on", "min_off_s": 60}}
    "rules": {"hot": {"feature": "temperature_c", "above": 80, "hysteresis": 5, "output": "motor", "to": "off"}}

Each rule has one of `_WHEN` and one of `_DO`. With a mistake anywhere in them no rule acts, and each output that can be
made out stays in its safe state: half of the rules may be the half that does harm.
"""

from quaver_wire.fields import FAULTS, LEVELS, LIMITED

if False:  # types alone: never compiled
    from collections.abc import Callable
    from typing import Any

    from hal.chip.common import Hal
    from node.rules import Rules

RULES = 8
OUTPUTS = 4
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
_DAY = 86400
_INPUT = "another input"

# The features, by the sensor that has them; of the meter in the order of the record's list.
_FEATURES = (
    ("vibration", "rms_g peak_g crest kurtosis skew velocity_mm_s envelope_g zone shaft_hz margin_db"),
    ("temperature", "temperature_c"),
    ("current", "current_a line_hz"),
    ("energy", "voltage_v current_a power_w apparent_va power_factor frequency_hz energy_kwh"),
)
_WHEN = ("feature", "level", "fault", "input", "hours", "uptime_s")
_DO = ("output", "waveform", "interval_s", "event")
_OUTPUT = ("pin", "active", "safe", "normal", "min_on_s", "min_off_s", "unknown_s", "not_with")
_RULE = _WHEN + _DO + ("above", "below", "hysteresis", "of", "is", "for_s", "to", "until")


class _Wrong(ValueError):
    """Says what was expected."""


def _number(given: dict, key: str, default: "Any", low: float, high: float) -> "Any":
    value = given.get(key, default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise _Wrong("{}: expected a number from {} to {}".format(key, low, high))
    return value


def _choice(given: dict, key: str, choices: tuple, default: str = "") -> str:
    value = given.get(key, default)
    if value not in choices:
        raise _Wrong("{}: expected one of {}".format(key, ", ".join(choices)))
    return value


def _pin(given: dict, key: str, taken: dict[int, str]) -> int:
    pin = given.get(key)
    if type(pin) is not int or not 0 <= pin <= 48:
        raise _Wrong("{}: expected a GPIO".format(key))
    if pin in taken:
        raise _Wrong("{}: GPIO {} is taken by {}".format(key, pin, taken[pin]))
    try:
        import board
    except ImportError:  # of no board in particular
        return pin
    if pin not in board.GPIOS:
        raise _Wrong("{}: GPIO {} is none that rules may use on {}".format(key, pin, board.NAME))
    return pin


def _taken(config: dict) -> dict[int, str]:
    """The pins that the rest of a checked configuration uses: {pin: what for}."""
    found: dict[int, str] = {}
    for path in ("machine.tachometer_pin", "energy.de_pin", "vibration.cs", "current.cs", "current.drdy_pin"):
        section, key = path.split(".")
        if config[section]:
            found[config[section][key]] = path
    try:
        import board

        for section in ("vibration", "temperature", "energy", "current", "uart"):
            bus = config.get(section) and config[section]["bus"]
            if bus in board.BUSES:
                for pin in board.BUSES[bus][2:-1]:
                    found[pin] = "{} ({})".format(section, bus)
                if section in ("vibration", "current") and bus + "_cs" in board.PINS and config[section]["cs"] < 0:
                    found[board.PINS[bus + "_cs"]] = "{} ({})".format(section, bus)
    except ImportError:
        pass
    found.pop(-1, None)
    return found


def _object(given: "Any", keys: tuple) -> None:
    if not isinstance(given, dict):
        raise _Wrong("expected an object")
    for key in given:
        if key not in keys:
            raise _Wrong("{}: unknown key".format(str(key)[:16]))


def _output(name: str, given: "Any", config: dict, taken: dict[int, str]) -> dict:
    _object(given, _OUTPUT)
    row: dict = {"name": name, "pin": _pin(given, "pin", taken)}
    row["active"] = _choice(given, "active", ("high", "low"), "high")
    taken[row["pin"]] = "outputs." + name
    row["safe"] = _choice(given, "safe", ("off", "on"), "off")
    row["normal"] = _choice(given, "normal", ("off", "on"), row["safe"])
    for key in ("min_on_s", "min_off_s"):
        row[key] = _number(given, key, 0, 0, _DAY)
    least = max(10, 2 * config["interval_s"])
    row["unknown_s"] = _number(given, "unknown_s", max(30, 3 * config["interval_s"]), least, 3 * _DAY)
    others = given.get("not_with", [])
    if not isinstance(others, list) or not all(isinstance(other, str) and other != name for other in others):
        raise _Wrong("not_with: expected a list of other outputs")
    row["not_with"] = others
    return row


def _interlocks(outputs: dict) -> None:
    """Refuse what contradicts itself."""
    for name, row in outputs.items():
        for other in row["not_with"]:
            if other not in outputs:
                raise _Wrong("outputs.{}.not_with: no output {}".format(name, other[:12]))
            for one in (row, outputs[other]):
                if one["safe"] == "on":
                    raise _Wrong("outputs.{}.safe: expected off, for it is interlocked".format(one["name"]))
            if row["normal"] == outputs[other]["normal"] == "on":
                raise _Wrong("outputs.{}.normal: on, and so is {}, with which it must not be".format(name, other))


def _condition(row: dict, given: dict, config: dict, taken: dict[int, str]) -> None:
    kind = row["kind"]
    of: "Any" = given[kind]
    if kind == "feature":
        short = of[7:] if isinstance(of, str) and of.startswith("energy.") else of
        for sensor, names in _FEATURES:
            if short in names.split(" ") and (sensor == "energy") == (short != of):
                row["sensor"], row["of"] = sensor, sensor if sensor == "energy" else of
                if sensor == "energy":
                    row["at"] = names.split(" ").index(short)
        if not row["sensor"]:
            raise _Wrong("feature: expected one such as temperature_c, rms_g or energy.power_w")
        if ("above" in given) == ("below" in given):
            raise _Wrong("expected above or below, one of them")
        side = "above" if "above" in given else "below"
        row["high" if side == "above" else "low"] = float(_number(given, side, None, -1e6, 1e6))
        row["hysteresis"] = float(_number(given, "hysteresis", 0, 0, 1e6))
        row["text"] = "{} {} {}".format(of, side, given[side])
    elif kind == "level":
        row["at"] = LEVELS.index(_choice(given, "level", LEVELS[1:]))
        row["text"] = "level " + of
        if "of" in given:
            row["about"] = _choice(given, "of", tuple(LIMITED))
            row["of"] = LIMITED[row["about"]]
            row["sensor"] = row["about"] if row["about"] in ("temperature", "current") else "vibration"
            row["text"] = "{} {}".format(row["about"], of)
    elif kind == "fault":
        if of != "any":
            if of not in FAULTS:
                raise _Wrong("fault: expected any, or the name of one, such as inner race")
            row["at"] = FAULTS.index(of)
        row["sensor"], row["of"], row["text"] = "vibration", "fault", "fault " + of
    elif kind == "input":
        if type(of) is not int or taken.get(of) != _INPUT:  # several rules may look at one
            taken[_pin(given, "input", taken)] = _INPUT
        row["pin"] = of
        row["at"] = int(_choice(given, "is", ("low", "high")) == "high")
        row["text"] = "input {} {}".format(of, given["is"])
    elif kind == "hours":
        if not isinstance(of, list) or len(of) != 2 or not all(type(h) is int and 0 <= h <= 24 for h in of):
            raise _Wrong("hours: expected [from, to], hours of the day in UTC")
        if of[0] == of[1] or not config["time_server"]:
            raise _Wrong("hours: needs two different hours, and a time_server")
        row["low"], row["high"] = of
        row["text"] = "{} to {} h UTC".format(*of)
    else:
        row["at"] = _number(given, kind, None, 1, 31 * _DAY)
        row["text"] = "{} s after the start".format(of)
    if row["sensor"] and not config[row["sensor"]]:
        raise _Wrong("needs the sensor {}".format(row["sensor"]))
    allowed = {"feature": ("above", "below", "hysteresis"), "level": ("of",), "input": ("is",)}.get(kind, ())
    for key in ("above", "below", "hysteresis", "of", "is"):
        if key in given and key not in allowed:
            raise _Wrong("{}: not with {}".format(key, kind))


def _one(given: dict, keys: tuple) -> str:
    found = [key for key in keys if key in given]
    if len(found) != 1:
        raise _Wrong("expected one of {}".format(", ".join(keys)))
    return found[0]


def _rule(name: str, given: "Any", config: dict, outputs: dict, taken: dict[int, str]) -> dict:
    _object(given, _RULE)
    row: dict = {"name": name, "kind": _one(given, _WHEN), "does": _one(given, _DO)}
    row.update({"sensor": "", "of": "", "about": "", "at": -1, "low": None, "high": None, "hysteresis": 0.0, "pin": -1})
    _condition(row, given, config, taken)
    row["for_s"] = _number(given, "for_s", 0, 0, _DAY)
    row["interval_s"], row["output"], row["to"] = 0, None, "off"
    does, what = row["does"], given[row["does"]]
    safe = False
    if does == "output":
        if not isinstance(what, str) or what not in outputs:
            raise _Wrong("output: there is no such output, or it has a mistake")
        row["output"] = what
        row["to"] = _choice(given, "to", ("on", "off", "blink"))
        safe = (row["to"] != "off") == (outputs[what]["safe"] == "on")
    elif "to" in given:
        raise _Wrong("to: not with {}".format(does))
    elif does == "interval_s":
        row["interval_s"] = _number(given, does, None, 1, config["interval_s"])
    elif what is not True:
        raise _Wrong("{}: expected true".format(does))
    elif does == "waveform" and not config["vibration"]:
        raise _Wrong("waveform: needs the sensor vibration")
    row["trips"] = _choice(given, "until", ("clear", "reset"), "reset" if safe else "clear") == "reset"
    return row


def _each(section: str, given: "Any", most: int, problems: list[str], check: "Callable") -> dict:
    rows: dict = {}
    if not isinstance(given, dict) or len(given) > most:
        problems.append("{}: expected an object of at most {}".format(section, most))
        return rows
    for name in sorted(given, key=str):
        try:
            if not isinstance(name, str) or not 0 < len(name) <= 12 or not all(c in _LETTERS for c in name):
                raise _Wrong("expected a name of 1 to 12 of a-z 0-9 _ -")
            rows[name] = check(name, given[name])
        except _Wrong as error:
            problems.append("{}.{}: {}".format(section, str(name)[:12], error))
    return rows


def check(given: dict, config: dict, problems: list[str]) -> tuple[list[dict], list[dict]]:
    """The rows of outputs and rules, of a configuration `given`; config: the rest of it, checked.

    What is wrong is a line in `problems`; then there are no rules, and outputs have their safe state for their normal.
    """
    found: list[str] = []
    if config["role"] == "gateway":
        found.append("rules: not on a gateway")
    if config["power"]["sleep"]:
        found.append("rules: not with power.sleep: what they wait for does not live through sleep")
    taken = _taken(config)
    outputs = _each("outputs", given.get("outputs") or {}, OUTPUTS, found, lambda n, g: _output(n, g, config, taken))
    rules = _each("rules", given.get("rules") or {}, RULES, found, lambda n, g: _rule(n, g, config, outputs, taken))
    if outputs and not config["watchdog_s"]:
        found.append("outputs: need watchdog_s above 0, which resets a node that hangs")
    try:
        _interlocks(outputs)
    except _Wrong as error:
        found.append(str(error))
    for name in outputs:
        if not found and not any(row["output"] == name for row in rules.values()):
            found.append("outputs.{}: no rule has this output".format(name))
    if found:
        rules = {}
        for row in outputs.values():
            row["normal"], row["not_with"] = row["safe"], []
    problems.extend(found)
    return list(outputs.values()), list(rules.values())


def build(port: "Hal", config: dict, path: str = "/rules.tripped") -> "Rules":
    """The outputs of a checked configuration, in their safe state from now on, and what acts on them.

    path: where trips are kept.
    """
    from node.rules import Output, Rule, Rules

    outputs: dict = {}
    rules = []
    for row in config["outputs"]:
        outputs[row["name"]] = Output(port.output(row["pin"], (row["safe"] == "on") == (row["active"] == "high")), row)
    for row in config["outputs"]:
        for other in row["not_with"]:
            for one, two in ((row["name"], other), (other, row["name"])):
                if outputs[two] not in outputs[one].others:
                    outputs[one].others.append(outputs[two])
    for row in config["rules"]:
        rules.append(Rule(row, outputs.get(row["output"]), port.input(row["pin"]) if row["pin"] >= 0 else None))
    return Rules(list(outputs.values()), rules, path)
