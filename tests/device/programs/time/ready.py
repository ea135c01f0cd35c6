"""A board on the Wi-Fi that asks the time server at `port`."""

import asyncio
import network
import time
from links.errors import LinkError
from links.ntp import ask
from node.clock import Uptime
from node.timekeeper import Timekeeper
from hal.date import set_date

wlan = network.WLAN(network.WLAN.IF_STA)
wlan.active(True)
wlan.connect("quaver", "emulated")
while not wlan.isconnected():
    time.sleep_ms(50)


async def here(host, limit_ms):
    return await ask(host, limit_ms, port)


def say(limit_ms):
    try:
        print(asyncio.run(here(host, limit_ms)))
    except LinkError as error:
        print(error)
