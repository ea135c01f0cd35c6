"""Room for the samples of a measurement, which are put into it from outside. Given: count."""

import gc
import uctypes
from array import array


class Held:
    def __init__(self, count):
        self.samples = array("h", bytes(2 * count))
        self.address = uctypes.addressof(self.samples)

    def readinto(self, view):
        view[:] = memoryview(self.samples)[self.at : self.at + len(view)]
        self.at += len(view)


held = Held(count)
gc.collect()
print(held.address)
