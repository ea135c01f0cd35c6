"""A big-endian accelerometer of 3 bytes an axis, on I2C."""

from build import config, sensors

settings = config.parse({"vibration": {"driver": "adxl355", "bus": "i2c0"}})[0]["vibration"]
sensor = sensors.sensor("vibration", port, settings)
