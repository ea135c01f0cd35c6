"""The level after each edge."""

import machine
import time

pin = machine.Pin(15, machine.Pin.IN)
levels = []


def note(p):
    levels.append((time.ticks_us(), p()))


pin.irq(note, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
time.sleep_ms(52)
print(levels)
