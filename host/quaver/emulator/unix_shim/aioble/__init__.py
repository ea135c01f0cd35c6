"""The board's `aioble`: the interface of MicroPython's asyncio Bluetooth library, done by the host's virtual air.

What firmware uses is here, with aioble's names, defaults, limits and exceptions: advertise, scan, connect, GATT
server and client. Not here: pairing, L2CAP channels, descriptors of one's own. The radio's events come through
`select` (its `on_radio`), as they come by interrupt on a microcontroller.
"""

from micropython import const

from . import core  # noqa: F401
from .central import scan  # noqa: F401
from .core import DeviceDisconnectedError, GattError, config, stop  # noqa: F401
from .device import Device  # noqa: F401
from .peripheral import BufferedCharacteristic, Characteristic, Service, advertise, register_services  # noqa: F401

ADDR_PUBLIC = const(0)
ADDR_RANDOM = const(1)
