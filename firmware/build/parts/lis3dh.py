"""ST LIS3DH, 1,344 samples/s of 10 bits, on I2C (to 400 kHz) or SPI (mode 3, to 10 MHz).

Datasheet Doc ID 17530 Rev 2, register description, and AN3308, FIFO and inertial wake-up. In normal mode: the 12 bits
of the high-resolution mode go with a bandwidth of a ninth of the rate (table "operating mode selection"), the 5,376
samples/s of the low-power mode with 8 bits. There is no +-16 g: its step of 48 mg is eight times the part's noise, and
a machine at rest would look like a dead part. It watches in low-power mode, behind its high-pass.
"""

ROW = (
    (0x0F, (0x33,)),
    b"\x20\x00\x2e\x00\x30\x00\x24\x00\x22\x00\x21\x00",  # power-down, FIFO to bypass; no interrupts, no high-pass
    (10, b"\x2e\x80", False),  # FIFO to stream
    (0x2F, 1, 0, 1, 0x1F, 1, 0x40),  # FIFO_SRC_REG
    (0x28, 6, 4, 1),  # OUT_X_L; left-aligned
    (0, 0, 0),
    (32, 32704),
    (0xC0, 0, 0x80),
)
ON = b"\x23\x80\x24\x40"  # BDU; FIFO_EN
RANGE = (0x23, {2: (0x00, 62.5), 4: (0x10, 125), 8: (0x20, 250)})
RATES = {1344: b"\x20\x97"}
WAKE = (
    b"\x21\x01\x22\x40\x24\x08\x33\x00\x20\x5f",  # high-pass for INT1, latched, at once; 100 samples/s at low power
    (0x23, ((0x80, 16000), (0x90, 32000), (0xA0, 62000), (0xB0, 186000))),
    (0x32, 127, (0x26, 0x31)),  # INT1_THS; REFERENCE, whose reading resets the high-pass, and INT1_SRC
    b"\x30\x2a",  # X, Y or Z above the level
)
