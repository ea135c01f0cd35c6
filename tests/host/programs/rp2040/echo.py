"""Sends to the server `host` and reads it back, over Wi-Fi."""

import network
import socket
import time

w = network.WLAN(network.STA_IF)
w.active(True)
w.connect("plant", "password")
while not w.isconnected():
    time.sleep_ms(10)
s = socket.socket()
s.settimeout(5)
s.connect((host, 1883))
s.send(b"hello " * 300)
n = 0
while n < 1800:
    n += len(s.recv(600))
print(w.ifconfig()[0], w.config("mac").hex(), n)
s.close()
