"""Lets the watchdog bite, once."""

import machine
import time

if machine.reset_cause() != machine.WDT_RESET:
    machine.WDT(timeout=300)
    while True:
        time.sleep(1)
print("after the watchdog")
