"""ST IIS3DWB, 26,667 samples/s of 16 bits, flat to 6 kHz, on SPI (mode 3, to 10 MHz).

Datasheet DS12569, register mapping and FIFO: 512 words of a tag and three int16, full 19 ms after it was last empty.
"""

ROW = (
    (0x0F, (0x7B,)),
    b"\x10\x00\x0a\x00",  # power-down, FIFO to bypass
    (10, b"\x0a\x06", False),  # FIFO to continuous
    (0x3A, 2, 0, 1, 0x03FF, 1, 0x4800),  # FIFO_STATUS1 and 2: an overrun, and one that a read has ended since
    (0x78, 7, 5, 1),  # FIFO_DATA_OUT_TAG
    (0, 0xF8, 0x10),  # the tag of an acceleration
    (512, 32767),
    (0x80, 0, 0),
)
ON = b"\x12\x44\x17\x00"  # BDU, IF_INC; no filter but the first
RANGE = (0x10, {16: (0x04, 488), 2: (0x00, 61), 4: (0x08, 122), 8: (0x0C, 244)})
RATES = {26667: b"\x10\xa0\x09\x0a"}
