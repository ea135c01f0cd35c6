"""The sensors that a node can have: a row a driver, under what it measures.

A maker takes the port (of hal) and the sensor's section of the configuration. What it raises, ValueError or OSError, is
a problem of that sensor alone. The rest of a row says what the driver takes for a setting, the default first; of a bus
it is the kind that counts, and its number is the board's. Settings that a row does not name are as build.config has
them. "rate_hz" is no setting: the samples a second, bus by bus.
"""

if False:  # types alone: never compiled
    from collections.abc import Iterator
    from typing import Any

    from drivers.registers import I2cAccess, SpiAccess
    from hal.chip.common import Hal


def _select(port: "Hal", given: dict) -> "Any":
    pin = given["cs"]
    return port.output(port.board.PINS[given["bus"] + "_cs"] if pin < 0 else pin, 1)


def _registers(port: "Hal", given: dict, read: int, shift: int = 0, step: int = 0) -> "I2cAccess | SpiAccess":
    from drivers import registers

    if given["bus"].startswith("i2c"):
        return registers.I2cAccess(port.bus(given["bus"], "i2c"), given["address"], step)
    bus = port.bus(given["bus"], "spi")
    if shift:  # such parts know mode 0 alone
        bus.init(polarity=0, phase=0)
    return registers.SpiAccess(bus, _select(port, given), read, shift)


def _adxl345(port: "Hal", given: dict) -> "Any":
    from drivers import adxl345

    return adxl345.ADXL345(_registers(port, given, adxl345.SPI_READ), given["range_g"], rate_hz(given))


def _fifo(port: "Hal", given: dict) -> "Any":
    from build import parts

    found = parts.part(given["driver"])
    access = _registers(port, given, *found.ROW[-1])
    return parts.accelerometer(found, access, given["range_g"], rate_hz(given))


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


# Those of build.parts, a line each: as keys of a table their names would stay in memory. On I2C the addresses are, in
# hexadecimal: 19 18 (LIS2DW12), 18 19 (LIS3DH), 6A 6B (LSM6DSOX), 68 69 (ICM, MPU), 1E 1F (KX134), 1D 53 (ADXL355).
_PARTS = (
    "iis3dwb;bus spi0;rate_hz 26667;range_g 16 2 4 8\n"
    "lis2dw12;bus spi0 i2c0;rate_hz 1600 1600;address 25 24;range_g 16 2 4 8\n"
    "lis3dh;bus spi0 i2c0;rate_hz 1344 1344;address 24 25;range_g 2 4 8\n"
    "lsm6dsox;bus spi0 i2c0;rate_hz 6667 3333;address 106 107;range_g 16 2 4 8\n"
    "icm42688;bus spi0 i2c0;rate_hz 16000 4000;address 104 105;range_g 16 2 4 8\n"
    "mpu6050;bus i2c0;rate_hz 1000;address 104 105;range_g 16 2 4 8\n"
    "mpu6500;bus i2c0;rate_hz 1000;address 104 105;range_g 16 2 4 8\n"
    "kx134;bus spi0 i2c0;rate_hz 12800 3200;address 30 31;range_g 16 8 32 64\n"
    "adxl355;bus spi0 i2c0;rate_hz 4000 2000;address 29 83;range_g 8 2 4\n"
    "adxl357;bus spi0 i2c0;rate_hz 4000 2000;address 29 83;range_g 40 10 20\n"
)


def names(measures: str) -> list[str]:
    """The drivers that there are, in order."""
    found = list(DRIVERS[measures])
    if measures == "vibration":
        found += [line.split(";")[0] for line in _PARTS.split("\n")[:-1]]
    return sorted(found)


def _fields(measures: str, driver: str) -> "Iterator[tuple[str, list[str]]]":
    if driver in DRIVERS[measures]:
        lines = DRIVERS[measures][driver][1].split("\n")
    else:
        at = ("\n" + _PARTS).find("\n" + driver + ";")
        lines = _PARTS[at : _PARTS.find("\n", at)].split(";")[1:]
    for line in lines:
        words = line.split(" ")
        yield words[0], words[1:]


def check(measures: str, given: dict, problems: list[str]) -> bool:
    """Hold the section `measures` of a configuration, `given`, against the row of its driver.

    A setting that is 0 or "" becomes the row's default; so does one that the driver does not take, which is a line in
    `problems`. False for a driver that there is none of, which is a line too.
    """
    message = "{}.{}: expected one of {}"
    if given["driver"] not in names(measures):
        problems.append(message.format(measures, "driver", ", ".join(names(measures))))
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
    """The sensor that the checked section `measures` of a configuration asks for. Raises ValueError, OSError."""
    return DRIVERS[measures].get(given["driver"], (_fifo,))[0](port, given)


def read(config: dict) -> None:
    """Import the drivers of the sensors that a checked configuration asks for."""
    for name in DRIVERS:
        if config[name]:
            if name == "vibration":
                __import__("drivers.registers")
            driver = config[name]["driver"]
            __import__(("drivers." if driver in DRIVERS[name] else "build.parts.") + driver)
