"""A transfer after one whose answer was never taken."""

import quaver_link as link

link._busy = True
link._send(link.SPI, 0, 1000000, 1, 999 << 8, 0)
link.stream.read(17)
print(i2c.readfrom_mem(0x48, 0x20, 2))
link._busy = True
link._send(link.WAIT, link.FOREVER, 0, 0, 0, 0)
print(i2c.readfrom_mem(0x48, 0x21, 1))
