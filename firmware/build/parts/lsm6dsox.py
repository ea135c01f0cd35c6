"""ST LSM6DSOX, 6,667 samples/s of 16 bits, on SPI (mode 3, to 10 MHz); on I2C (400 kHz) half of it, for the wire.

Datasheet DS12814 Rev 4, register description, and AN5272, FIFO: the registers of an IIS3DWB. Its gyroscope stays off.
"""

from build.parts import iis3dwb

ROW = ((0x0F, (0x6C,)), b"\x10\x00\x11\x00\x0a\x00") + iis3dwb.ROW[2:]
ON = iis3dwb.ON
RANGE = iis3dwb.RANGE
RATES = {6667: b"\x10\xa0\x09\x0a", 3333: b"\x10\x90\x09\x09"}
