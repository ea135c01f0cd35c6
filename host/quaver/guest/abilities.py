"""What a board can do: the names of its radios, and the free bytes of its flash; printed as a literal."""

import os

radios = []
try:
    import network

    if hasattr(network, "WLAN"):
        radios.append("wifi")
except ImportError:
    pass
try:
    import bluetooth

    radios.append("ble")
except ImportError:
    pass
try:
    sizes = os.statvfs("/")
    room = sizes[0] * sizes[3]
except (OSError, AttributeError):
    room = 0
print((tuple(radios), room))
