"""An interrupt that allocates."""

import machine
import time

kept = []
machine.Pin(15).irq(lambda p: kept.append(bytearray(99)), machine.Pin.IRQ_RISING, hard=True)
time.sleep_ms(50)
print(len(kept))
