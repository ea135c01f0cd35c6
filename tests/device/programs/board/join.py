"""The board joins the Wi-Fi of the emulator, or says why not."""

import asyncio
import board
import hal
from links.wifi import Wifi

radio = hal.port(board).radio()
radio.active(True)
radio.disconnect()
try:
    asyncio.run(Wifi(radio, "quaver", "emulated").up(20_000))
    print(radio.isconnected())
except OSError as error:
    print(error)
