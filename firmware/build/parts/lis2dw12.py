"""ST LIS2DW12, 1,600 samples/s of 14 bits, on I2C (to 400 kHz) or SPI (mode 3, to 10 MHz).

Datasheet DocID029682 Rev 3, register description, and AN5038, wake-up and FIFO. Noise is lowest with LOW_NOISE. It
watches in low-power mode 1, by the difference from a sample to the next.
"""

ROW = (
    (0x0F, (0x44,)),
    b"\x20\x00\x2e\x00\x3f\x00\x23\x00\x22\x00",  # power-down, FIFO to bypass; no interrupts
    (10, b"\x2e\xc0", False),  # FIFO to continuous
    (0x2F, 1, 0, 1, 0x3F, 1, 0x40),  # FIFO_SAMPLES
    (0x28, 6, 4, 1),  # OUT_X_L; left-aligned
    (0, 0, 0),
    (32, 32764),
    (0x80, 0, 0),  # IF_ADD_INC counts up
)
ON = b"\x21\x0c\x25\x04"  # BDU, IF_ADD_INC; LOW_NOISE, bandwidth of half the rate
RANGE = (0x25, {2: (0x00, 61), 4: (0x10, 122), 8: (0x20, 244), 16: (0x30, 488)})
RATES = {1600: b"\x20\x94"}  # high performance
WAKE = (
    b"\x21\x0c\x22\x10\x35\x00\x23\x20\x20\x50",  # latched, at once, to INT1; 100 samples/s in low-power mode 1
    (0x25, ((0x00, 31250), (0x10, 62500), (0x20, 125000), (0x30, 250000))),
    (0x34, 63, (0x38,)),  # WAKE_UP_THS in 1/64 of the scale; WAKE_UP_SRC
    b"\x3f\x20",
)
