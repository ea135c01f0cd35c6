"""Kionix (ROHM) KX134-1211, up to 25,600 samples/s of 16 bits to +-64 g, on SPI (mode 3, to 10 MHz) or I2C (400 kHz).

Technical reference manual KX134-1211 Rev. 1.0, registers and section "sample buffer": 512 bytes, 85 samples of 6 (86
in Linux's driver). High-performance mode, with a bandwidth of half the rate.
"""

ROW = (
    (0x13, (0x46,)),
    b"\x1b\x00\x5f\x00",  # standby, buffer off
    (10, b"\x62\x00", False),  # BUF_CLEAR
    (0x60, 2, 0, 1, 0x03FF, 6, 0),  # BUF_STATUS_1 and 2, in bytes
    (0x63, 6, 4, 1),  # BUF_READ
    (0, 0, 0),
    (85, 32767),
    (0x80, 0, 0),
)
ON = b"\x5f\xc1"  # buffer on, 16 bits, stream
RANGE = (0x1B, {16: (0x08, 488.28), 8: (0x00, 244.14), 32: (0x10, 976.56), 64: (0x18, 1953.1)})
RATES = {12800: b"\x21\x4e\x1b\xc0", 6400: b"\x21\x4d\x1b\xc0", 3200: b"\x21\x4c\x1b\xc0"}
