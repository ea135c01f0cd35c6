"""The driver reads with the heap locked."""

import json

import micropython

from drivers.tmp117 import TMP117


class Bus:
    def readfrom_mem_into(self, address, register, buffer):
        buffer[0] = 0xF3
        buffer[1] = 0x80


def work():
    driver = TMP117(Bus())
    micropython.heap_lock()
    milli = driver.read_milli()
    micropython.heap_unlock()
    return milli


print(json.dumps(work()))
