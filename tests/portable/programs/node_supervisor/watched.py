"""A supervisor runs for some seconds; the deaths of its tasks are written down."""

import asyncio
import time


class Watchdog:
    fed = 0
    last = 0
    kept = 0

    def feed(self):
        self.fed += 1
        self.last = time.ticks_ms()

    def mark(self, number):
        self.kept = number


deaths = []


def report(name, error):
    deaths.append((name, time.ticks_ms() // 1000, repr(error)))


async def run_for(supervisor, seconds):
    main = asyncio.create_task(supervisor.run())
    await asyncio.sleep(seconds)
    main.cancel()
