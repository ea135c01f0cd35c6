"""The Bluetooth link between a node and a gateway: its GATT service, its advertisement, its messages.

The service has two characteristics. The node notifies messages on UPLINK, the gateway writes messages to DOWNLINK,
both in chunks (chunks.py). A message is a kind, what belongs to it, and the tag of link.py, whose HELLO and CHALLENGE
begin a connection:

    uplink    CHALLENGE, 16 bytes         the node's nonce; its tag proves the link key
              REFUSED                     the gateway has none that this node takes
              END                         all that waited is sent
              record kind, number, bytes  a record as published, kind is its message class; number: 2 bytes, from 1 up
              WANT, number, 8 bytes       chunk `number` of the release's content whose SHA-256 begins so
    downlink  HELLO, …                    who the gateway is, and its nonce; has no tag
              TIME, 8 bytes               ms since 1970; also says: I listen, begin
              ACK, number                 record `number` is on the gateway's flash: it may leave the node's
              COMMAND, bytes              a command for the node
              CONTENT, number, bytes      the chunk that was wanted
              ABSENT, 1 byte              NONE: the broker has no such chunk; LATER: it can't be asked now

Numbers are big endian. They count within a connection; a record keeps its own identity under its seal. The node
sends one record and waits for its ACK before the next. After END the gateway may send commands, one at a time; the
node answers each with its records, if it has any, and END again.
"""

from struct import pack_into, unpack_from

from quaver_wire.fields import const

SERVICE = "2d2d0001-bbd6-4cd0-b14f-e0c40a69431c"
UPLINK = "2d2d0002-bbd6-4cd0-b14f-e0c40a69431c"
DOWNLINK = "2d2d0003-bbd6-4cd0-b14f-e0c40a69431c"
# Bluetooth's own (Assigned Numbers, 3.4 and 3.8): what the node is, readable by any tool
DEVICE_INFORMATION = 0x180A
MODEL = 0x2A24
SERIAL = 0x2A25
FIRMWARE = 0x2A26

MTU = 247

# Uplink: the position is the kind.
END = 0
RECORD_CLASSES = ("", "telemetry", "event", "status", "answer")
WANT = 5
CHALLENGE = 6
REFUSED = 7
# Downlink
TIME = 1
ACK = 2
COMMAND = 3
CONTENT = 4
ABSENT = 5
HELLO = 6
DOWNLINK_MAX = 656
CONTENT_MAX = 1035  # bytes of a CONTENT: a chunk of 1,024, and the tag
NONE = 0  # of an ABSENT
LATER = 1
DIGEST = 8  # bytes of a SHA-256 that name a content

# Advertisement: flags, then service data of 128 bits (Core Specification Supplement, part A, 1.11), 31 bytes in all:
# state, the node's id, how many records wait (255: or more)
PENDING = 1  # bits of the state
ALARM = 2
SECRET = 4  # the node answers nobody without a link key; an older one answers everybody
ADVERTISEMENT = 31
_SERVICE_DATA = const(0x21)
_HEAD = const(5)
_UUID = const(16)


def _uuid_bytes(text: str) -> bytes:
    """A UUID as it goes over the air, least significant byte first."""
    digits = text.replace("-", "")
    return bytes([int(digits[at : at + 2], 16) for at in range(30, -2, -2)])


_SERVICE_BYTES = _uuid_bytes(SERVICE)


def put_advertisement(buffer: bytearray, node_id: bytes, state: int, waiting: int) -> None:
    """Fill `buffer` (31 bytes) with the advertisement of the node with this 8-byte id."""
    buffer[0:_HEAD] = b"\x02\x01\x06\x1b\x21"
    buffer[_HEAD : _HEAD + _UUID] = _SERVICE_BYTES
    buffer[21] = state
    buffer[22:30] = node_id
    buffer[30] = min(waiting, 255)


def parse_advertisement(data: bytes) -> "tuple[bytes, int, int] | None":
    """(node id, state, how many wait) of a node's advertisement; None for anybody else's."""
    at = 0
    while at + 1 < len(data) and data[at]:
        end = at + 1 + data[at]
        if data[at + 1] == _SERVICE_DATA and bytes(data[at + 2 : at + 2 + _UUID]) == _SERVICE_BYTES:
            return parse_service_data(data[at + 2 + _UUID : end])
        at = end
    return None


def parse_service_data(data: bytes) -> "tuple[bytes, int, int] | None":
    """The same from the service's data alone, as a host's Bluetooth stack hands it over."""
    if len(data) != 10:
        return None
    return bytes(data[1:9]), data[0], data[9]


def record(message_class: str, number: int, payload: bytes) -> bytes:
    """The uplink message of a record. Raises ValueError for a message_class that has none."""
    return bytes((RECORD_CLASSES.index(message_class), number >> 8, number & 0xFF)) + payload


def parse_uplink(message: bytes) -> "tuple[int, int, bytes]":
    """(kind, number, payload); kind is END, WANT or a place in RECORD_CLASSES. Raises ValueError."""
    kind = message[0]
    if kind == END and len(message) == 1:
        return END, 0, b""
    if kind == WANT and len(message) == 3 + DIGEST:
        return WANT, message[1] << 8 | message[2], message[3:]
    if not 0 < kind < len(RECORD_CLASSES) or len(message) < 4:
        raise ValueError("not an uplink message")
    return kind, message[1] << 8 | message[2], message[3:]


def want(digest: bytes, number: int) -> bytes:
    """digest: the first 8 bytes of the content's SHA-256."""
    return bytes((WANT, number >> 8, number & 0xFF)) + digest


def time_message(unix_ms: int) -> bytes:
    buffer = bytearray(9)
    buffer[0] = TIME
    pack_into(">Q", buffer, 1, unix_ms)
    return bytes(buffer)


def ack(number: int) -> bytes:
    return bytes((ACK, number >> 8, number & 0xFF))


def command(sealed: bytes) -> bytes:
    return bytes((COMMAND,)) + sealed


def content(number: int, chunk: bytes) -> bytes:
    """chunk: at most 1,024 bytes."""
    return bytes((CONTENT, number >> 8, number & 0xFF)) + chunk


def absent(why: int) -> bytes:
    """why: NONE or LATER."""
    return bytes((ABSENT, why))


def parse_downlink(message: bytes) -> "tuple[int, int, bytes]":
    """(kind, number, ms since 1970 or why, payload). Raises ValueError."""
    kind = message[0]
    if kind == TIME and len(message) == 9:
        return TIME, unpack_from(">Q", message, 1)[0], b""
    if kind == ACK and len(message) == 3:
        return ACK, message[1] << 8 | message[2], b""
    if kind == COMMAND and len(message) > 1:
        return COMMAND, 0, message[1:]
    if kind == CONTENT and len(message) > 3:
        return CONTENT, message[1] << 8 | message[2], message[3:]
    if kind == ABSENT and len(message) == 2:
        return ABSENT, message[1], b""
    raise ValueError("not a downlink message")
