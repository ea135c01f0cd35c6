"""The sensors that a node can have: a row a driver, under what it measures.

A maker takes the port (of hal) and the sensor's section of the configuration. What it raises, ValueError or OSError, is
a problem of that sensor alone. The rest of a row says what the driver takes for a setting, the default first; of a bus
it is the kind that counts, and its number is the board's; "gpio22" is a pin. A setting without values has to be given.
Those that a row does not name are as build.config has them. Two are no settings: "rate_hz", the samples a second, bus
by bus, and "module", the driver's file where that has another name.

A driver of one's own is a module in /own that says the same of itself: MEASURES, one or more with spaces between,
SETTINGS, and make(port, given).
"""

import sys

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


def _sht4x(port: "Hal", given: dict) -> "Any":
    from drivers.sht4x import SHT4x

    return SHT4x(port.bus(given["bus"], "i2c"), given["address"])


def _ds18b20(port: "Hal", given: dict) -> "Any":
    from drivers.ds18b20 import DS18B20

    return DS18B20(port.one_wire(int(given["bus"][4:])))


def _max31865(port: "Hal", given: dict) -> "Any":
    from drivers.max31865 import MAX31865

    bus = port.bus(given["bus"], "spi")
    baudrate = port.board.BUSES[given["bus"]][-1]
    return MAX31865(bus, _select(port, given), given["wires"], given["reference_ohm"], baudrate)


# The values of a record, and the input registers of a meter that hold them (SDM120 and SDM630 Modbus protocol: floats,
# high word first). Of the SDM630's three phases: the mean voltage to neutral, the sum of the currents, the totals, and
# in one request, which may have 40 values, those of the record's `phases`: V, A and W of L1 to L3.
VALUES = ("voltage_v", "current_a", "power_w", "apparent_va", "power_factor", "frequency_hz", "energy_kwh")
_METERS = {"sdm120": (0x0000, 0x0006, 0x000C, 0x0012, 0x001E, 0x0046, 0x0156)}
_METERS["sdm630"] = (0x002A, 0x0030, 0x0034, 0x0038, 0x003E, 0x0046, 0x0156)
_PHASES = (4, 0x0000, "f", "ABCD", 1_000_000, 9)
_FUNCTIONS = {"holding": 3, "input": 4}
_BITS = {"float32": 32, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32}


def register(words: list) -> tuple:
    """A register as drivers.modbus_meter has it, of ["input", "12", "float32"], perhaps with an order and a scale.

    Raises ValueError, IndexError, KeyError for what is none.
    """
    table, address, kind = words[:3]
    order = words[3] if len(words) > 3 else "ABCD"
    micro = round(float(words[4]) * 1e6) if len(words) > 4 else 1_000_000
    if len(words) > 5 or not 0 <= int(address) <= 0xFFFE or not 0 < abs(micro) <= 1_000_000_000_000:
        raise ValueError
    if order not in ("ABCD", "CDAB", "BADC", "DCBA"):
        raise ValueError
    if _BITS[kind] == 16:
        order = "AB" if order in ("ABCD", "CDAB") else "BA"
    return _FUNCTIONS[table], int(address), kind[0], order, micro, 1


def registers(given: "Any", problems: list[str]) -> list:
    """The registers of a meter that the configuration describes, `given`: {"power_w": "input 12 float32 ABCD 1"}.

    One that can't be read is left out, and a line in `problems`.
    """
    rows: list = [None] * len(VALUES)
    if not isinstance(given, dict) or not given:
        problems.append('energy.registers: expected {"power_w": "input 12 float32"} and the like')
        return rows
    for name, text in given.items():
        try:
            rows[VALUES.index(name)] = register(text.split(" "))
        except (ValueError, IndexError, KeyError, TypeError, AttributeError):
            why = 'energy.registers.{}: expected "input" or "holding", a register, a type, an order, a scale'
            problems.append(why.format(str(name)[:16]))
    return rows


def _modbus(port: "Hal", given: dict) -> "Any":
    from drivers.modbus_meter import ModbusMeter

    rows = given["registers"]
    if given["driver"] in _METERS:
        rows = [(4, at, "f", "ABCD", 1_000_000, 1) for at in _METERS[given["driver"]]]
        if given["driver"] == "sdm630":
            rows.append(_PHASES)
    elif not any(rows):
        raise ValueError("no registers: nothing is read")

    # first, so that a transceiver lets go of the line
    direction = port.output(given["de_pin"], 0) if given["de_pin"] >= 0 else None
    uart = port.uart(given["bus"], given["baudrate"], given["parity"])
    return ModbusMeter(uart, rows, given["address"], direction)


def _counted(port: "Hal", given: dict) -> "tuple[Any, Any, Any, Any]":
    """What drivers.pulses takes first, and the count on flash that it goes on from."""
    from node.tally import Tally

    tally = Tally("/pulses")
    pin = int(given["bus"][4:])
    return lambda handler: port.on_edge(pin, handler), given["width_ms"], tally.count, tally.keep


def _pulses(port: "Hal", given: dict) -> "Any":
    from drivers.pulses import PulseCounter

    return PulseCounter(*_counted(port, given))


def _energy_pulses(port: "Hal", given: dict) -> "Any":
    from drivers.pulses import EnergyPulses

    return EnergyPulses(*_counted(port, given), given["pulses_per_kwh"])


# baudrate 0: as the board file has it
_MODBUS = (
    "module modbus_meter\nbus uart1\nbaudrate 0 1200 2400 4800 9600 19200 38400 57600 115200\nparity none even odd"
)

# The settings in one text, a line each: less heap than tuples, for a node that checks a change while it runs.
DRIVERS: dict = {
    "vibration": {
        # 3,200 samples/s fill a wire of 400 kHz to 85 %: a Pico W can't empty the FIFO as fast as it fills
        "adxl345": (_adxl345, "bus spi0 i2c0\nrate_hz 3200 1600\naddress 83 29\nrange_g 16 2 4 8"),  # 0x53, 0x1D
    },
    "temperature": {
        "tmp117": (_tmp117, "bus i2c0\naddress 72 73 74 75"),  # 0x48 to 0x4B
        "sht4x": (_sht4x, "bus i2c0\naddress 68 69 70"),  # 0x44 to 0x46
        "ds18b20": (_ds18b20, "bus gpio22"),
        "max31865": (_max31865, "bus spi0\nwires 3 2 4\nreference_ohm 430 400"),
    },
    "energy": {
        "pulses": (_energy_pulses, "bus gpio15"),
        "sdm120": (_modbus, _MODBUS),
        "sdm630": (_modbus, _MODBUS),
        "modbus": (_modbus, _MODBUS),
    },
    "pulses": {"pulses": (_pulses, "bus gpio15")},
    "current": {},  # few nodes have a clamp: extra/ads131m02.py is there to be taken
}


# Those of build.parts, a line each: as keys of a table their names would stay in memory. On I2C the addresses are, in
# hexadecimal: 19 18 (LIS2DW12), 18 19 (LIS3DH), 6A 6B (LSM6DSOX), 68 69 (ICM, MPU), 1E 1F (KX134), 1D 53 (ADXL355).
_PARTS = (
    "\niis3dwb;bus spi0;rate_hz 26667;range_g 16 2 4 8"
    "\nlis2dw12;bus spi0 i2c0;rate_hz 1600 1600;address 25 24;range_g 16 2 4 8"
    "\nlis3dh;bus spi0 i2c0;rate_hz 1344 1344;address 24 25;range_g 2 4 8"
    "\nlsm6dsox;bus spi0 i2c0;rate_hz 6667 3333;address 106 107;range_g 16 2 4 8"
    "\nicm42688;bus spi0 i2c0;rate_hz 16000 4000;address 104 105;range_g 16 2 4 8"
    "\nmpu6050;bus i2c0;rate_hz 1000;address 104 105;range_g 16 2 4 8"
    "\nmpu6500;bus i2c0;rate_hz 1000;address 104 105;range_g 16 2 4 8"
    "\nkx134;bus spi0 i2c0;rate_hz 12800 3200;address 30 31;range_g 16 8 32 64"
    "\nadxl355;bus spi0 i2c0;rate_hz 4000 2000;address 29 83;range_g 8 2 4"
    "\nadxl357;bus spi0 i2c0;rate_hz 4000 2000;address 29 83;range_g 40 10 20\n"
)


def names(measures: str) -> list[str]:
    """The drivers that the firmware has, in order."""
    found = list(DRIVERS[measures])
    if measures == "vibration":
        found += [line.split(";")[0] for line in _PARTS.split("\n")[1:-1]]
    return sorted(found)


def _row(measures: str, driver: str, problems: list[str]) -> "tuple | None":
    """(maker, settings) of a driver, or None; why one's own can't be used is a line in `problems`."""
    row = DRIVERS[measures].get(driver)
    if row:
        return row
    at = _PARTS.find("\n" + driver + ";") if measures == "vibration" else -1
    if at >= 0:
        return _fifo, _PARTS[at + len(driver) + 2 : _PARTS.find("\n", at + 1)].replace(";", "\n")
    name = "own." + driver
    try:
        __import__(name)
        own = sys.modules[name]
        if measures in own.MEASURES.split(" "):
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


def _kind(bus: str) -> str:
    """ "spi" of "spi0"; "" of a name without a number."""
    kind = bus.rstrip("0123456789")
    return kind if kind != bus else ""


def check(measures: str, given: dict, problems: list[str]) -> bool:
    """Hold the section `measures` of a configuration, `given`, against the row of its driver.

    A setting that is 0 or "" becomes the row's default; so does one that the driver does not take, which is a line in
    `problems`. False for a driver that there is none of, or that lacks what it needs, which is a line too.
    """
    message = "{}.{}: expected one of {}"
    if not _row(measures, given["driver"], problems):
        found = ", ".join(names(measures)) or "your own: quaver new sensor ads131m02"
        problems.append(message.format(measures, "driver", found))
        return False
    for key, values in _fields(measures, given["driver"]):
        if key not in given:
            continue
        kind = type(given[key])
        if not values:
            if str(given[key]) in ("-1", "0.0", ""):  # a pin, a quantity, a text that was not given
                problems.append("{}.{}: {} needs it".format(measures, key, given["driver"]))
                return False
            continue
        default = values[0]
        value = str(given[key] or default)
        asked = value
        if key == "bus":
            values = [_kind(bus) for bus in values]
            asked = _kind(value)
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
    return int(row["rate_hz"][[_kind(bus) for bus in row["bus"]].index(_kind(given["bus"]))])


def sensor(measures: str, port: "Hal", given: dict) -> "Any":
    """The sensor that the checked section `measures` of a configuration asks for. Raises ValueError, OSError, and what
    one's own raises."""
    return _row(measures, given["driver"], [])[0](port, given)


def read(config: dict) -> None:
    """Import the drivers of the sensors that a checked configuration asks for."""
    for name in DRIVERS:
        if config[name]:
            if name == "vibration":
                __import__("drivers.registers")
            elif name == "current":
                __import__("node.current")
                __import__("dsp.current")
            driver = config[name]["driver"]
            if driver == "pulses":
                __import__("node.tally")
            if driver in DRIVERS[name]:
                __import__("drivers." + dict(_fields(name, driver)).get("module", (driver,))[0])
            elif driver in names(name):
                __import__("build.parts." + driver)
