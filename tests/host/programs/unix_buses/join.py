"""The board joins the Wi-Fi."""

import network
import time
import asyncio
import socket

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("net", "key")
while not wlan.isconnected():
    time.sleep_ms(100)
