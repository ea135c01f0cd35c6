"""The accelerometer on SPI."""

from drivers.iis3dwb import IIS3DWB

sensor = IIS3DWB(port.bus("spi0"), port.output(board.PINS["spi0_cs"], 1))
