"""A session over TLS, first with little memory left."""

import asyncio
import gc
import machine
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
machine.RTC().datetime((2030, 1, 1, 1, 0, 0, 0, 0))
config = {"host": host, "port": 1883, "user": "pump-7", "password": "secret", "keepalive_s": 60}
link = Mqtt(config, "pump-7-x", "s/a/l/x/pump-7/status", b"gone", Tls("/ca.pem", host, memory))
held = []
gc.collect()
before = gc.mem_free()
for size in (32000, 8000, 1000):
    try:
        while gc.mem_free() > 28000 + size:
            held.append(bytearray(size))
    except MemoryError:
        pass  # no room of this size in one piece
try:
    link.up()
except LinkError as error:
    print(error)
restarts = []


class Chip:
    def reset():
        restarts.append(1)


memory.machine = Chip
for _ in range(19):
    memory.fits()
print(len(restarts))
held = None
gc.collect()
began = time.ticks_ms()
link.up()
asyncio.run(link.publish("s/a/l/x/pump-7/event", b"sealed", 5000))
print("up")
print(time.ticks_diff(time.ticks_ms(), began))
gc.collect()
print(before - gc.mem_free())
link.down()
