# Two starts of the board's random numbers, from its own noise.
import sys

from hal import noise
from node.entropy import Random

told = []


def event(name, subject, text):
    told.append((name, subject, text))


def start():
    made = Random(noise, b"this board", event, "/random.test")
    return made.draw(32), made.draw(32)


numbers = start() + start()
radio = None
if sys.platform == "esp32":
    import network

    radio = network.WLAN(network.WLAN.IF_STA).active()
print([len(set(numbers)), [name for name, _ in noise.sources()], told, radio])
