"""A hundred edges with the heap locked."""

import json

import micropython

from drivers.tachometer import Tachometer


class Pin:
    def attach(self, handler):
        self.handler = handler
        return self

    def trigger(self, edges=None):
        return 8


pin = Pin()
driver = Tachometer(pin.attach, 2)


def work():
    driver.begin()
    edge = pin.handler
    micropython.heap_lock()
    for _ in range(100):
        edge(None)
    micropython.heap_unlock()
    driver.turns_hz()
    return driver._intervals


print(json.dumps(work()))
