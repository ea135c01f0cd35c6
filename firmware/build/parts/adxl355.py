"""Analog Devices ADXL355, 4,000 samples/s of 20 bits, on SPI (mode 0, to 10 MHz) or I2C (to 3.4 MHz).

Datasheet ADXL354/ADXL355 Rev. B, register map, FIFO and serial communications. The FIFO holds 96 numbers of 3 bytes,
big-endian, left-aligned: the lowest 4 of 24 bits say whether it is x, and whether there was none. The upper 16 bits are
used: a count of them is a tenth of the part's noise at this rate. An ADXL357 has the same identity.
"""

ROW = (
    (0x02, (0xED,)),  # PARTID
    b"\x2d\x01",  # standby
    (10, b"", False),  # nothing clears the FIFO: it is read empty
    (0x05, 1, 0, 1, 0x7F, 3, 0),  # FIFO_ENTRIES
    (0x11, 9, 7, -1),  # FIFO_DATA
    (2, 0x03, 0x01),  # x, and not empty
    (32, 32767),
    (0x01, 1, 0),
)
ON = b"\x29\x60\x2c\x00"  # FIFO_SAMPLES 96
RANGE = (0x2C, {8: (0x03, 250), 2: (0x01, 62.5), 4: (0x02, 125)})
RATES = {4000: b"\x28\x00\x2d\x00", 2000: b"\x28\x01\x2d\x00"}  # bandwidth of a quarter of it
