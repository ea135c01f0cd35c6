"""InvenSense MPU-6050 (and MPU-6000, MPU-9150: the same id), 1,000 samples/s of 16 bits, on I2C (to 400 kHz).

Register map RM-MPU-6000A rev 4.2. The FIFO holds 1,024 bytes, big-endian samples of 6: a full one loses bytes, so it is
emptied then. The gyroscope stays off, so the clock is the part's own oscillator.
"""

ROW = (
    (0x75, (0x68,)),
    b"\x23\x00\x6a\x04\x6b\x40",  # nothing to the FIFO, FIFO off and empty, sleep
    (30, b"\x23\x00\x6a\x00\x6a\x04\x6a\x40\x23\x08", True),  # FIFO off, empty, on; acceleration to it
    (0x72, 2, 1, 0, 0x1FFF, 6, 0),  # FIFO_COUNTH and L, in bytes
    (0x74, 6, 5, -1),  # FIFO_R_W
    (0, 0, 0),
    (170, 32767),
    (0x80, 0, 0),
)
ON = b"\x6b\x00\x6c\x07\x19\x07\x1a\x00\x1c\x00\x38\x00"  # awake, gyroscope off; an eighth of 8 kHz; 260 Hz
RANGE = (0x1C, {16: (0x18, 488.28), 2: (0x00, 61.035), 4: (0x08, 122.07), 8: (0x10, 244.14)})
RATES = {1000: b""}
