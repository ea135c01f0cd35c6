"""The board joins the Wi-Fi of the emulator."""

import asyncio
import board
import hal
from links.wifi import Wifi

radio = hal.port(board).radio()
asyncio.run(Wifi(radio, "quaver", "emulated").up(20_000))
print(radio.isconnected())
