"""The sensors that a node can have: a row a driver, under what it measures.

A maker takes the port (of hal) and the sensor's section of the configuration. What it raises, ValueError or OSError, is
a problem of that sensor alone. The rest of a row says what the driver takes for a setting, the default first; of a bus
it is the kind that counts, and its number is the board's. Settings that a row does not name are as build.config has
them. "rate_hz" is no setting: the samples a second, bus by bus.

A driver of one's own is a module in /own that says the same of itself: MEASURES, SETTINGS, and make(port, given).
"""

import sys

if False:  # types alone: never compiled
    from collections.abc import Iterator
    from typing import Any

    from hal.chip.common import Hal


def _select(port: "Hal", given: dict) -> "Any":
    pin = given["cs"]
    return port.output(port.board.PINS[given["bus"] + "_cs"] if pin < 0 else pin, 1)


def _iis3dwb(port: "Hal", given: dict) -> "Any":
    from drivers.iis3dwb import IIS3DWB

    bus = port.bus(given["bus"], "spi")
    return IIS3DWB(bus, _select(port, given), given["range_g"])


def _adxl345(port: "Hal", given: dict) -> "Any":
    from drivers import adxl345

    access: adxl345.I2cAccess | adxl345.SpiAccess
    if given["bus"].startswith("i2c"):
        access = adxl345.I2cAccess(port.bus(given["bus"], "i2c"), given["address"])
    else:
        access = adxl345.SpiAccess(port.bus(given["bus"], "spi"), _select(port, given))
    return adxl345.ADXL345(access, given["range_g"], rate_hz(given))


def _tmp117(port: "Hal", given: dict) -> "Any":
    from drivers.tmp117 import TMP117

    return TMP117(port.bus(given["bus"], "i2c"), given["address"])


def _sdm120(port: "Hal", given: dict) -> "Any":
    from drivers.sdm120 import SDM120

    # first, so that a transceiver lets go of the line
    direction = port.output(given["de_pin"], 0) if given["de_pin"] >= 0 else None
    uart = port.uart(given["bus"], given["baudrate"], given["parity"])
    return SDM120(uart, given["address"], direction)


# The settings in one text, a line each: less heap than tuples, for a node that checks a change while it runs.
DRIVERS: dict = {
    "vibration": {
        "iis3dwb": (_iis3dwb, "bus spi0\nrate_hz 26667\nrange_g 16 2 4 8"),
        # 3,200 samples/s fill a wire of 400 kHz to 85 %: a Pico W can't empty the FIFO as fast as it fills
        "adxl345": (_adxl345, "bus spi0 i2c0\nrate_hz 3200 1600\naddress 83 29\nrange_g 16 2 4 8"),  # 0x53, 0x1D
    },
    "temperature": {"tmp117": (_tmp117, "bus i2c0\naddress 72 73 74 75")},  # 0x48 to 0x4B
    "energy": {
        # baudrate 0: as the board file has it
        "sdm120": (
            _sdm120,
            "bus uart1\nbaudrate 0 1200 2400 4800 9600 19200 38400 57600 115200\nparity none even odd",
        ),
    },
}


def _row(measures: str, driver: str, problems: list[str]) -> "tuple | None":
    """(maker, settings) of a driver, or None; why one's own can't be used is a line in `problems`."""
    row = DRIVERS[measures].get(driver)
    if row:
        return row
    name = "own." + driver
    try:
        __import__(name)
        own = sys.modules[name]
        if own.MEASURES == measures:
            return own.make, own.SETTINGS
    except ImportError:
        pass
    except Exception as error:  # whatever it is that somebody else's module does
        problems.append("{}: {}: {}".format(name, type(error).__name__, error))
    return None


def _fields(measures: str, driver: str) -> "Iterator[tuple[str, list[str]]]":
    for line in _row(measures, driver, [])[1].split("\n"):
        words = line.split(" ")
        yield words[0], words[1:]


def check(measures: str, given: dict, problems: list[str]) -> bool:
    """Hold the section `measures` of a configuration, `given`, against the row of its driver.

    A setting that is 0 or "" becomes the row's default; so does one that the driver does not take, which is a line in
    `problems`. False for a driver that there is none of, which is a line too.
    """
    message = "{}.{}: expected one of {}"
    if not _row(measures, given["driver"], problems):
        problems.append(message.format(measures, "driver", ", ".join(sorted(DRIVERS[measures]))))
        return False
    for key, values in _fields(measures, given["driver"]):
        if key not in given:
            continue
        kind = type(given[key])
        default = values[0]
        value = str(given[key] or default)
        asked = value
        if key == "bus":
            values = [bus[:-1] for bus in values]
            asked = value[:-1]
        if asked not in values:
            value = default
            if kind is int:
                values = sorted(values, key=int)
            problems.append(message.format(measures, key, ", ".join(values)))
        given[key] = kind(value)
    return True


def classes(given: "Any", config: dict, problems: list[str]) -> "tuple[str, list[float]] | None":
    """What tells a machine's classes apart, "rpm" or "power_w", and where one ends and the next begins; None for one.

    given: {"rpm": [1200, 1800]}. What is wrong with it, or can't be measured, is a line in `problems`.
    """
    if given is None:
        return None
    why = 'expected {"rpm": […]} or {"power_w": […]}, 1 to 3 rising numbers'
    try:
        ((kind, bounds),) = given.items()
        last = 0
        for bound in bounds:
            if type(bound) not in (int, float) or not last < bound < 1e6:
                raise ValueError
            last = bound
        if kind in ("rpm", "power_w") and 1 <= len(bounds) <= 3:
            why = ""
            if kind == "power_w" and not config["energy"]:
                why = "power_w: needs the energy meter"
            elif kind == "rpm" and config["machine"]["rpm"] and config["machine"]["tachometer_pin"] < 0:
                why = "rpm: needs machine.tachometer_pin, or machine.rpm 0: no other speed is seen"
    except (ValueError, TypeError, AttributeError):
        pass
    if why:
        problems.append("machine.classes: " + why)
        return None
    return kind, bounds


def rate_hz(given: dict) -> int:
    """The samples a second of the sensor that the checked section "vibration" asks for."""
    row = dict(_fields("vibration", given["driver"]))
    return int(row["rate_hz"][[bus[:-1] for bus in row["bus"]].index(given["bus"][:-1])])


def sensor(measures: str, port: "Hal", given: dict) -> "Any":
    """The sensor that the checked section `measures` of a configuration asks for. Raises ValueError, OSError, and what
    one's own raises."""
    return _row(measures, given["driver"], [])[0](port, given)


def read(config: dict) -> None:
    """Import the drivers of the sensors that a checked configuration asks for."""
    for name in DRIVERS:
        if config[name] and config[name]["driver"] in DRIVERS[name]:
            __import__("drivers." + config[name]["driver"])
