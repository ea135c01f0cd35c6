"""Runs a built node until the power goes; a Ctrl-C leaves a REPL with every task gone."""

import asyncio
import gc
import os
import sys


def run(supervisor, watchdog):
    try:
        os.remove("/memory.short")  # this start has found what it needs
    except OSError:
        pass
    # What working out a measurement leaves behind; it begins with a clean heap, and no collection is to delay it. An
    # ESP32 takes 8 ms for one, and what is strewn over its heap would have that grow into the network's memory.
    gc.threshold(4096 if sys.platform == "esp32" else 16384)
    try:
        asyncio.run(supervisor.run())
    finally:
        if supervisor.ended:
            supervisor.ended()
        if watchdog:
            watchdog.hand_over()
        asyncio.new_event_loop()
