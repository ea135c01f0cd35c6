import machine
import network
import os
import socket
import time

first = "been" not in os.listdir()
wlan = network.WLAN(0)
wlan.active(True)
wlan.connect("x", "y")
while not wlan.isconnected():
    time.sleep_ms(100)
link = socket.socket()
link.connect(("10.0.0.1", 7))
if first:
    with open("been", "w") as file:
        file.write("1")
    print("ready")
    link.recv(10)
print("reset cause", machine.reset_cause())
print("ready")
print("done")
