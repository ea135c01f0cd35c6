"""The driver takes the FIFO level and samples with the heap locked."""

import json

import micropython

from drivers.adxl345 import ADXL345, SPI_READ
from drivers.registers import I2cAccess, SpiAccess


class Bus:
    def write(self, data):
        pass

    def readinto(self, buffer):
        buffer[0] = 32

    def readfrom_mem_into(self, address, register, buffer):
        buffer[0] = 32


def cs(value):
    pass


def work(access):
    driver = ADXL345(access)
    micropython.heap_lock()
    level = driver.level()
    driver.read(33)
    micropython.heap_unlock()
    return level, driver.overrun


print(json.dumps([work(I2cAccess(Bus(), 0x53)), work(SpiAccess(Bus(), cs, SPI_READ))]))
