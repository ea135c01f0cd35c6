"""The accelerometer on SPI."""

from build import config, sensors

sensor = sensors.sensor("vibration", port, config.parse({})[0]["vibration"])
