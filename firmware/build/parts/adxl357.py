"""Analog Devices ADXL357: an ADXL355 of five times the range. Datasheet ADXL356/ADXL357 Rev. A, table 2."""

from build.parts import adxl355

ROW = adxl355.ROW
ON = adxl355.ON
RANGE = (0x2C, {40: (0x03, 1250), 10: (0x01, 312.5), 20: (0x02, 625)})
RATES = adxl355.RATES
