"""The driver of each part takes the FIFO level and samples with the heap locked."""

import json

import micropython

from build import parts


class Access:
    def __init__(self, row):
        self.level_at, _, self.low, self.high, _, self.unit, _ = row[3]
        self.word = row[4][1]
        self.mark_at, _, self.mark = row[5]

    def read(self, register, buffer):
        if register == self.level_at:
            buffer[self.low] = 8 * self.unit
            if len(buffer) > 1:
                buffer[self.high] = 0
            return
        i = self.mark_at
        while i < len(buffer):
            buffer[i] = self.mark
            i += self.word

    def write(self, register, value):
        pass


def work(name):
    found = parts.part(name)
    driver = parts.accelerometer(found, Access(found.ROW), list(found.RANGE[1])[0], list(found.RATES)[0])
    micropython.heap_lock()
    level = driver.level()
    driver.read(1)
    driver.read(16)
    driver.read(driver.READ_MAX)
    micropython.heap_unlock()
    return level, driver.overrun


print(json.dumps([work(name) for name in argument]))
