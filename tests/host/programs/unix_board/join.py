"""Joins a network that is not there, with a wrong password, and with the right one."""

import network
import time

wlan = network.WLAN(network.WLAN.IF_STA)
wlan.active(True)
print([found[0] for found in wlan.scan()])
for ssid, password in (("shed", "x"), ("plant", "wrong horse"), ("plant", "correct horse")):
    wlan.connect(ssid, password)
    while wlan.status() == network.STAT_CONNECTING:
        time.sleep_ms(100)
    print(wlan.status(), wlan.isconnected())
