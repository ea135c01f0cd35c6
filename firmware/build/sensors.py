"""The sensors that a node can have: a row a driver, under what it measures.

A maker takes the port (of hal) and the sensor's section of the configuration. What it raises, ValueError or OSError, is
a problem of that sensor alone.
"""


def _select(port, given):
    pin = given["cs"]
    return port.output(port.board.PINS[given["bus"] + "_cs"] if pin < 0 else pin, 1)


def _iis3dwb(port, given):
    from drivers.iis3dwb import IIS3DWB

    bus = port.bus(given["bus"], "spi")
    return IIS3DWB(bus, _select(port, given), given["range_g"])


def _adxl345(port, given):
    from drivers import adxl345

    if given["bus"].startswith("i2c"):
        # 3,200 samples/s fill a wire of 400 kHz to 85 %: a Pico W can't empty the FIFO as fast as it fills
        wire = adxl345.I2cAccess(port.bus(given["bus"], "i2c"), given["address"])
        return adxl345.ADXL345(wire, given["range_g"], 1600)
    bus = port.bus(given["bus"], "spi")
    return adxl345.ADXL345(adxl345.SpiAccess(bus, _select(port, given)), given["range_g"])


def _tmp117(port, given):
    from drivers.tmp117 import TMP117

    return TMP117(port.bus(given["bus"], "i2c"), given["address"])


def _sdm120(port, given):
    from drivers.sdm120 import SDM120

    # first, so that a transceiver lets go of the line
    direction = port.output(given["de_pin"], 0) if given["de_pin"] >= 0 else None
    uart = port.uart(given["bus"], given["baudrate"], given["parity"])
    return SDM120(uart, given["address"], direction)


DRIVERS: dict = {
    "vibration": {"iis3dwb": _iis3dwb, "adxl345": _adxl345},
    "temperature": {"tmp117": _tmp117},
    "energy": {"sdm120": _sdm120},
}


def sensor(measures: str, port, given: dict):
    """The sensor that the section `measures` of a configuration, `given`, asks for. Raises ValueError, OSError."""
    make = DRIVERS[measures].get(given["driver"])
    if make is None:
        raise ValueError("no driver " + given["driver"])
    return make(port, given)
