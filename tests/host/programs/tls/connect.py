"""Connects over TLS, and says what came of it."""

import network
import time
from hal import memory
from links.errors import LinkError
from links.mqtt import Mqtt
from links.tls import Tls

wlan = network.WLAN(network.WLAN.IF_STA)
wlan.active(True)
wlan.connect("quaver", "emulated")
while not wlan.isconnected():
    time.sleep_ms(50)


def up(host, port, ca, user="pump-7", password="one secret"):
    config = {"host": host, "port": port, "user": user, "password": password, "keepalive_s": 60}
    link = Mqtt(config, "pump-7-x", "s/a/l/x/pump-7/status", b"gone", Tls(ca, host, memory))
    try:
        link.up()
        print("up")
    except LinkError as error:
        print(error)
    link.down()
