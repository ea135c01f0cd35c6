"""The provisioning session over Bluetooth: its GATT service, and the advertisement of a node that waits for one.

The host writes messages to TO_NODE, the node notifies its own on TO_HOST, both in chunks (chunks.py); what they say
is session.py's. The advertisement holds flags and service data of 128 bits (Core Specification Supplement, part A,
1.11): the state, as HERE has it, and the node's id. It proves nothing.
"""

from quaver_wire.session import LENGTHS, PLAIN_MAX, SEALED

SERVICE = "2d2d0011-bbd6-4cd0-b14f-e0c40a69431c"
TO_NODE = "2d2d0012-bbd6-4cd0-b14f-e0c40a69431c"
TO_HOST = "2d2d0013-bbd6-4cd0-b14f-e0c40a69431c"

MTU = 247
MESSAGE_MAX = LENGTHS[SEALED] + PLAIN_MAX

ENROLLED = 1  # bits of the state
HAS_CODE = 2
_FLAGS = b"\x02\x01\x06"  # generally discoverable, Bluetooth Low Energy alone


def service_data(identity: bytes, state: int) -> bytes:
    """The advertisement's field (27 bytes) of the node with this 8-byte id."""
    digits = SERVICE.replace("-", "")
    uuid = bytes([int(digits[at : at + 2], 16) for at in range(30, -2, -2)])
    return b"\x1a\x21" + uuid + bytes((state,)) + identity


def advertisement(identity: bytes, state: int) -> bytes:
    """The whole advertisement, 30 bytes."""
    return _FLAGS + service_data(identity, state)


def parse_service_data(data: bytes) -> "tuple[bytes, int] | None":
    """(id, state) of the service's data, as a host's Bluetooth stack hands it over; None when it is not that."""
    return (bytes(data[1:]), data[0]) if len(data) == 9 else None
