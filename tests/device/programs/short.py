"""Before main.py: in as many starts as /short has bytes the link finds no memory."""

import os


def short(mqtt, *values, **named):
    raise MemoryError


try:
    left = os.stat("/short")[6] - 1
    os.remove("/short")
    if left:
        with open("/short", "w") as file:
            file.write("-" * left)
    from links import mqtt

    mqtt.Mqtt.__init__ = short
except OSError:
    pass
