"""Two watchdogs, of which the first is fed for a while."""

import machine
import time

if machine.reset_cause() == 1:
    dog = machine.WDT(timeout=1000)
    for _ in range(5):
        time.sleep_ms(900)
        dog.feed()
    print("fed")
    time.sleep(2)
    print("never")
elif "mark" not in __import__("os").listdir():
    open("mark", "w").close()
    print("bitten", machine.reset_cause())
    dog = machine.WDT(timeout=100)
    while True:
        pass
else:
    print("bitten again", machine.reset_cause())
