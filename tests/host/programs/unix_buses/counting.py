"""The times of rising edges."""

import machine
import time

pin = machine.Pin(15, machine.Pin.IN)
times = []
pin.irq(lambda p: times.append(time.ticks_us()), machine.Pin.IRQ_RISING)
