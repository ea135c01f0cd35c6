"""A LED that notes when it changes, blinked while something else happens."""

import asyncio
import time

from command.identify import blink


class Board:
    LED = 25


class Port:
    pins = []
    seen = []

    def output(self, pin, value):
        self.pins.append((pin, value))
        return self

    def value(self, value):
        self.seen.append((time.ticks_ms(), value))


async def main(meanwhile):
    began = time.ticks_ms()
    blinking = blink(Port(), Board, None)
    await asyncio.sleep_ms(1000)
    meanwhile(blinking)
    await asyncio.sleep_ms(9000)
    return [at - began for at, _ in Port.seen], [value for _, value in Port.seen]
