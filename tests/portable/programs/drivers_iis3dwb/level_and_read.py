"""The driver takes the FIFO level and samples with the heap locked."""

import json

import micropython

from drivers.iis3dwb import IIS3DWB


class Spi:
    def write(self, data):
        pass

    def readinto(self, buffer):
        buffer[0] = 0x10
        buffer[len(buffer) - 7 if len(buffer) > 7 else 0] = 0x10
        if len(buffer) == 2:
            buffer[1] = 0x48


def cs(value):
    pass


driver = IIS3DWB(Spi(), cs)


def work():
    micropython.heap_lock()
    level = driver.level()
    for n in (1, 7, 16, 100, 159, 160):
        driver.read(n)
    micropython.heap_unlock()
    return level


level = work()
print(json.dumps([level, driver.overrun]))
