"""Connects to `port`, where nobody listens."""

import network
import socket
import time

w = network.WLAN(network.STA_IF)
w.active(True)
w.connect("a", "b")
while not w.isconnected():
    time.sleep_ms(10)
s = socket.socket()
s.settimeout(5)
try:
    s.connect(("10.0.0.1", port))
except OSError as e:
    print("refused", e.errno > 0)
