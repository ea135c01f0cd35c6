"""Frames on a serial console: finds our session's and Improv Wi-Fi's among log lines, prompts and noise; both sides.

A session message travels as one line of text, so that it passes any console, and no byte of it is a Ctrl-C:

    QUAVER:<base64 of the message and its CRC-32, big endian>\n

An Improv packet (improv-wifi.com/serial) is binary: "IMPROV", version 1, type, length, data, sum of all before & 0xFF.

    search --magic--> frame --whole and right--> handed on, search
                            --wrong, too long, another magic, silence--> counted, search from the next byte on
"""

from binascii import a2b_base64, b2a_base64, crc32

from quaver_wire.fields import const

SESSION = 0  # the kind of a session message; Improv's packets bear their own types, 1 to 4
MESSAGE_MAX = 2304  # bytes of a session message in one frame

_LINE = b"QUAVER:"
_IMPROV = b"IMPROV"
_IMPROV_1 = b"IMPROV\x01"  # neither this nor our own magic can stand inside base64
_PIECE = const(256)
_TEXT_MAX = const(3080)  # base64 of MESSAGE_MAX and a CRC, with a carriage return
_HEAD = const(9)
_CTRL_C = b"\x03"


def session_frame(message: bytes) -> bytes:
    """The line that carries `message`, at most MESSAGE_MAX bytes."""
    return _LINE + b2a_base64(message + (crc32(message) & 0xFFFFFFFF).to_bytes(4, "big"))


def improv_frame(kind: int, data: bytes) -> bytes:
    """An Improv packet of type `kind`: 1 state, 2 error, 3 command, 4 result; data: at most 255 bytes."""
    frame = _IMPROV_1 + bytes((kind, len(data))) + data
    return frame + bytes((sum(frame) & 0xFF,))


def _message(text: bytes) -> "bytes | None":
    """The message of a line, or None when it is not exactly what `session_frame` makes."""
    if text[-1:] == b"\r":
        text = text[:-1]
    if not 8 <= len(text) < _TEXT_MAX:
        return None
    try:
        data = a2b_base64(text)
    except ValueError:
        return None
    message = data[:-4]
    if b2a_base64(data)[:-1] != text or int.from_bytes(data[-4:], "big") != crc32(message) & 0xFFFFFFFF:
        return None
    return message


class Frames:
    """Takes whatever a console brings; holds at most some 3 kB of it.

    refused: how many frames began and were wrong. interrupted: a Ctrl-C came outside any frame; the owner clears it.
    """

    def __init__(self) -> None:
        self._held = b""
        self.refused = 0
        self.interrupted = False

    def feed(self, data: bytes | bytearray) -> "list[tuple[int, bytes]]":
        """Take bytes; return the frames that they complete, (kind, message or Improv data)."""
        found: "list[tuple[int, bytes]]" = []
        for start in range(0, len(data), _PIECE):
            self._held += bytes(data[start : start + _PIECE])
            while self._search() and self._take(found):
                pass
        return found

    def idle(self) -> "list[tuple[int, bytes]]":
        """To be called after a silence: what has begun ends here; returns frames that stood behind it."""
        found: "list[tuple[int, bytes]]" = []
        while self._search():
            if not self._take(found):
                self._refuse(1)
        self._skip(len(self._held))
        return found

    def _skip(self, count: int) -> None:
        if _CTRL_C in self._held[:count]:
            self.interrupted = True
        self._held = self._held[count:]

    def _refuse(self, count: int) -> None:
        self.refused += 1
        self._held = self._held[count:]

    def _search(self) -> bool:
        """Bring the next magic to the front; False when there is none as yet."""
        held = self._held
        at = held.find(_LINE)
        other = held.find(_IMPROV)
        if at < 0 or 0 <= other < at:
            at = other
        if at < 0:
            # the end may be the beginning of a magic
            keep = min(len(held), len(_LINE) - 1)
            while keep and not (_LINE.startswith(held[-keep:]) or _IMPROV.startswith(held[-keep:])):
                keep -= 1
            self._skip(len(held) - keep)
            return False
        if at:
            self._skip(at)
        return True

    def _take(self, found: "list[tuple[int, bytes]]") -> bool:
        """Deal with the frame at the front; False when it needs more bytes."""
        return self._take_line(found) if self._held[0] == _LINE[0] else self._take_improv(found)

    def _take_line(self, found: "list[tuple[int, bytes]]") -> bool:
        held = self._held
        end = held.find(b"\n")
        limit = len(held) if end < 0 else end
        again = max(held.rfind(_LINE, 1, limit), held.rfind(_IMPROV_1, 1, limit))
        if again > 0:
            self._refuse(again)
        elif limit > len(_LINE) + _TEXT_MAX:
            self._refuse(len(_LINE))
        elif end < 0:
            return False
        else:
            message = _message(held[len(_LINE) : end])
            if message is None:
                self._refuse(len(_LINE))
            else:
                found.append((SESSION, message))
                self._held = held[end + 1 :]
        return True

    def _take_improv(self, found: "list[tuple[int, bytes]]") -> bool:
        held = self._held
        if len(held) < _HEAD and held[6:7] in (b"", b"\x01"):
            return False
        end = _HEAD + held[8] if len(held) >= _HEAD else 0
        if held[6] != 1 or not 1 <= held[7] <= 4:
            self._refuse(1)
        elif len(held) <= end:
            return False
        elif sum(held[:end]) & 0xFF != held[end]:
            self._refuse(1)
        else:
            found.append((held[7], held[_HEAD:end]))
            self._held = held[end + 1 :]
        return True
