"""TDK ICM-42688-P, up to 32,000 samples/s of 16 bits, on SPI (mode 3, to 24 MHz) or I2C (to 1 MHz).

Datasheet DS-000347 v1.7, sections 5 (filters) and 6 (FIFO), and register map, banks 0 and 2. The FIFO holds 2 kB of
packets of 8 bytes: a header, three int16, a temperature. Its byte order is set to the controller's (INTF_CONFIG0). The
anti-alias filter is at its widest, 3,979 Hz, and so is the filter behind it. Its gyroscope stays off.
"""

ROW = (
    (0x75, (0x47,)),
    b"\x76\x00\x4e\x00\x16\x00",  # bank 0; both sensors off, FIFO to bypass
    (20, b"\x16\x40\x4b\x02", False),  # FIFO to stream, flush
    (0x2E, 2, 0, 1, 0x0FFF, 1, 0),  # FIFO_COUNTH and L, in packets
    (0x30, 8, 5, 1),  # FIFO_DATA
    (0, 0xE0, 0x40),  # the header of an acceleration alone
    (256, 32767),
    (0x80, 0, 0),
)
ON = (
    b"\x76\x02\x03\x7e\x04\x80\x05\x3f\x76\x00"  # bank 2: ACCEL_AAF_DELT 63, its square 3968, shift 3
    b"\x4c\x40\x52\x01\x5f\x05"  # little-endian, count in packets; bandwidth; acceleration and temperature to the FIFO
)
RANGE = (0x50, {16: (0x00, 488.28), 2: (0x60, 61.035), 4: (0x40, 122.07), 8: (0x20, 244.14)})
RATES = {16000: b"\x50\x02\x4e\x03", 4000: b"\x50\x04\x4e\x03"}  # low-noise mode
