"""The times of rising edges between other work."""

import machine
import time

seen = []
machine.Pin(15).irq(lambda p: seen.append(time.ticks_us()), machine.Pin.IRQ_RISING)
for _ in range(20):
    seen.append(time.ticks_us())
    time.sleep_ms(7)
    seen.append(time.ticks_us())
print(seen)
