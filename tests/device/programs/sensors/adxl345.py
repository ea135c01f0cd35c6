"""The accelerometer on I2C."""

from drivers import adxl345

sensor = adxl345.ADXL345(adxl345.I2cAccess(port.bus("i2c0")), rate_hz=1600)
