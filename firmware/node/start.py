"""Runs a built node until the power goes; a Ctrl-C leaves a REPL with every task gone."""

import asyncio
import gc


def run(supervisor, watchdog):
    # What working out a measurement leaves behind; it begins with a clean heap, and no collection is to delay it.
    gc.threshold(16384)
    try:
        asyncio.run(supervisor.run())
    finally:
        if watchdog:
            watchdog.hand_over()
        asyncio.new_event_loop()
