"""Follows the bus: the time of a read of six bytes."""

import time

b = bytearray(6)
t = time.ticks_us()
for _ in range(10):
    i2c.readfrom_mem_into(0x50, 0, b)
print(time.ticks_diff(time.ticks_us(), t) // 10)
