"""Before main.py: once, and not again after the restart that it brings, the link finds no memory."""

import os


def short(mqtt, *values, **named):
    raise MemoryError


try:
    os.remove("/short")
    from links import mqtt

    mqtt.Mqtt.__init__ = short
except OSError:
    pass
