"""Writes single data items of CBOR (RFC 8949, 3) into the caller's buffer; each returns where its item ends."""

from struct import pack_into

from quaver_wire.fields import WireError, const

_BYTES = const(2)
_TEXT = const(3)
_NULL = const(0xF6)
_FLOAT16 = const(0xF9)
_FLOAT32 = const(0xFA)
_UINT8 = const(24)
_UINT16 = const(25)
_UINT32 = const(26)
_UINT64 = const(27)
_TEXT_MAX = const(96)


def put_head(buf: bytearray, at: int, major: int, arg: int) -> int:
    """Write the initial byte and argument of an item at `at`, shortest form (RFC 8949, 4.2.1); return the end."""
    major <<= 5
    if arg < _UINT8:
        if arg < 0:
            raise WireError("negative")
        buf[at] = major | arg
        return at + 1
    if arg < 1 << 8:
        buf[at] = major | _UINT8
        buf[at + 1] = arg
        return at + 2
    if arg < 1 << 16:
        buf[at] = major | _UINT16
        buf[at + 1] = arg >> 8
        buf[at + 2] = arg & 0xFF
        return at + 3
    if arg < 1 << 32:
        buf[at] = major | _UINT32
        pack_into(">I", buf, at + 1, arg)
        return at + 5
    if arg < 1 << 64:
        buf[at] = major | _UINT64
        pack_into(">Q", buf, at + 1, arg)
        return at + 9
    raise WireError("over 64 bits")


def put_number(buf: bytearray, at: int, value: "float | None", scale: int) -> int:
    """Write `value` as the integer nearest to `value` x `scale`, or null for None, NaN and infinity; return the end."""
    if value is None:
        buf[at] = _NULL
        return at + 1
    try:
        number = round(value * scale)
    except (OverflowError, ValueError):
        buf[at] = _NULL
        return at + 1
    if 255 < number < 1 << 16:  # most are: put_head's own branch, without the call
        buf[at] = _UINT16
        buf[at + 1] = number >> 8
        buf[at + 2] = number & 0xFF
        return at + 3
    if number < 0:
        return put_head(buf, at, 1, -1 - number)
    return put_head(buf, at, 0, number)


def put_float(buf: bytearray, at: int, value: float) -> int:
    """Write `value`, rounded to binary32, as binary16 if that is the same number; return the end.

    By the bits: MicroPython 1.27's own binary16 is wrong for numbers below 2 ** -14.
    """
    buf[at] = _FLOAT32
    pack_into(">f", buf, at + 1, value)
    exponent = (buf[at + 1] & 0x7F) << 1 | buf[at + 2] >> 7
    mantissa = (buf[at + 2] & 0x7F) << 16 | buf[at + 3] << 8 | buf[at + 4]
    if 113 <= exponent <= 142 and not mantissa & 0x1FFF:
        half = exponent - 112 << 10 | mantissa >> 13
    elif 103 <= exponent < 113 and not (mantissa | 1 << 23) & (1 << 126 - exponent) - 1:
        half = (mantissa | 1 << 23) >> 126 - exponent  # subnormal as a binary16
    elif exponent == 255:
        half = 0x7E00 if mantissa else 0x7C00
        if mantissa:
            buf[at + 1] = 0  # one NaN only, without a sign
    elif exponent or mantissa:
        return at + 5
    else:
        half = 0
    buf[at] = _FLOAT16
    buf[at + 1] = buf[at + 1] & 0x80 | half >> 8
    buf[at + 2] = half & 0xFF
    return at + 3


def put_bytes(buf: bytearray, at: int, major: int, data: bytes) -> int:
    """Write `data` as a string of `major` (2 bytes, 3 text); return the end."""
    at = put_head(buf, at, major, len(data))
    end = at + len(data)
    if end > len(buf):
        raise IndexError  # a bytearray would grow
    buf[at:end] = data
    return end


def put_text(buf: bytearray, at: int, value: str) -> int:
    """Write `value` as UTF-8 text, cut to 96 bytes at a character's edge; return the end."""
    data = value.encode()
    if len(data) > _TEXT_MAX:
        end = _TEXT_MAX
        while data[end] & 0xC0 == 0x80:  # a continuation byte: the character began before the edge
            end -= 1
        data = data[:end]
    return put_bytes(buf, at, _TEXT, data)


def put_milliseconds(buf: bytearray, at: int, value: int) -> int:
    """Write `value` as a byte string, big endian without leading zeros; return the end."""
    if not 0 <= value < 1 << 64:
        raise WireError("not milliseconds")
    count = 1
    while value >> 8 * count:
        count += 1
    return put_bytes(buf, at, _BYTES, value.to_bytes(count, "big"))
