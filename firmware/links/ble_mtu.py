"""How large a packet a connected central takes, also where it said so before aioble knew of the connection.

NimBLE tells of a connection once both controllers have told their versions. A central that asks at once for a larger
MTU is answered before that, and aioble forgets what it hears of a connection that it does not know: every packet would
have the 23 bytes that a connection begins with.
"""

import aioble
from micropython import const

_CENTRAL_DISCONNECT = const(2)  # interrupts of bluetooth.BLE
_MTU_EXCHANGED = const(21)

_agreed: dict = {}  # by the connection's handle


def _irq(event, data):
    if event == _MTU_EXCHANGED:
        _agreed[data[0]] = data[1]
    elif event == _CENTRAL_DISCONNECT:
        _agreed.pop(data[0], None)


def of(connection):
    """The connection's MTU in bytes."""
    return connection.mtu or _agreed.get(connection._conn_handle, 23)


aioble.core.register_irq_handler(_irq, None)
