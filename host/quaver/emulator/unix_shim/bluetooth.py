"""The board's `bluetooth`, as far as `aioble` hands it on: UUIDs and the properties of characteristics."""

import binascii

FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020


class UUID:
    """A 16-bit number, a text of 128 bits, or either as bytes, least significant first."""

    def __init__(self, value):
        if isinstance(value, int):
            if not 0 <= value < 1 << 16:
                raise ValueError("invalid UUID")
            self._bytes = value.to_bytes(2, "little")
        elif isinstance(value, str):
            whole = binascii.unhexlify(value.replace("-", ""))
            if len(whole) != 16:
                raise ValueError("invalid UUID")
            self._bytes = bytes(reversed(whole))
        else:
            self._bytes = bytes(value)
            if len(self._bytes) not in (2, 4, 16):
                raise ValueError("invalid UUID")

    def __iter__(self):  # what bytes() asks for
        return iter(self._bytes)

    def __eq__(self, other):
        return isinstance(other, UUID) and self._bytes == other._bytes

    def __hash__(self):
        return hash(self._bytes)

    def __repr__(self):
        text = binascii.hexlify(bytes(reversed(self._bytes))).decode()
        if len(text) == 4:
            return "UUID(0x{})".format(text)
        return "UUID('{}')".format("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
