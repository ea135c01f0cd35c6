"""The accelerometer on I2C."""

from drivers import adxl345, registers

sensor = adxl345.ADXL345(registers.I2cAccess(port.bus("i2c0"), 0x53), rate_hz=1600)
