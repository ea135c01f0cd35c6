"""The checksum of memory from `start` to `end`."""

import uctypes
import binascii

c = 0
for at in range(start, end, 65536):
    c = binascii.crc32(uctypes.bytearray_at(at, min(65536, end - at)), c)
print(c)
