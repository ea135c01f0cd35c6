"""Reads, writes, a scan, and an address where nobody is."""

i2c.writeto_mem(0x48, 0x10, b"\x01\x02")
b = bytearray(3)
i2c.readfrom_mem_into(0x48, 0x0F, b)
print(b)
print(i2c.writeto(0x48, b"\x11"), i2c.readfrom(0x48, 2), i2c.scan())
try:
    i2c.readfrom_mem(0x49, 0, 1)
except OSError as error:
    print(error)
