"""The board's network where it lives in virtual time: what `usocket` is elsewhere, without blocking.

The host's end is host/quaver/emulator/lan.py; the numbers of verbs and states stand in both.
"""

import array
from errno import EAGAIN, ECONNREFUSED, EINPROGRESS

import micropython
import quaver_link as _link
from micropython import const

_OPEN = const(1)
_SEND = const(2)
_RECEIVE = const(3)
_CLOSE = const(4)
_CHANGES = const(5)
_DATAGRAM = const(6)
_READABLE = const(1)
_CONNECTED = const(2)
_ENDED = const(4)
_REFUSED = const(8)
_EISCONN = const(106)
_DATAGRAMS = const(2)  # SOCK_DGRAM
_AHEAD = const(64)  # bytes that are fetched at once

_changes = array.array("I", bytes(8 * 256))
_open = {}  # number -> socket


@micropython.native
def fetch():
    """Learn which sockets changed. To be called when the last reply said that some did."""
    while _link.data():
        _link.call(_link.LAN, _CHANGES, 0, 0, 0, None, 0, 0, _changes)
        for at in range(0, _link.size() // 4, 2):
            known = _open.get(_changes[at])
            if known is not None:
                known.state |= _changes[at + 1]


class Socket:
    def __init__(self, kind):
        self.kind = kind
        self.number = 0
        self.state = 0
        self.address = None
        self._ahead = b""  # fetched, and not asked for yet

    def setblocking(self, flag):
        pass

    def setsockopt(self, level, option, value):
        pass

    def connect(self, address):
        if not self.number:
            self.address = address
            self.number = _link.call(_link.LAN, _OPEN, address[1], 0, 0, None, 0, 0, None)
            _open[self.number] = self
            raise OSError(EINPROGRESS)
        if self.state & _REFUSED:
            raise OSError(ECONNREFUSED)
        if not self.state & _CONNECTED:
            raise OSError(EINPROGRESS)
        raise OSError(_EISCONN)

    @micropython.native
    def ready(self):
        """Its POLLIN (1) and POLLOUT (4)."""
        state = self.state
        found = 1 if self._ahead or state & (_READABLE | _ENDED | _REFUSED) else 0
        return found | 4 if state & (_CONNECTED | _REFUSED) or self.kind == _DATAGRAMS else found

    def recv(self, count):
        if self._ahead:
            data = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return data
        if not self.state & _READABLE:
            if self.state & _ENDED:
                return b""
            raise OSError(EAGAIN)
        # What is short is asked for byte by byte: all of it comes at once.
        data = bytearray(count if self.kind == _DATAGRAMS else max(count, _AHEAD))
        got = _link.call(_link.LAN, _RECEIVE, self.number, len(data), 0, None, 0, 0, data)
        if not _link.more():
            self.state &= ~_READABLE
        if not got:
            return self.recv(count)
        self._ahead = bytes(data[count:got])
        return bytes(data[: min(got, count)])

    def recvfrom(self, count):
        return self.recv(count), self.address

    def send(self, data):
        count = min(len(data), _link.MAX_PAYLOAD)
        return _link.call(_link.LAN, _SEND, self.number, 0, 0, data, 0, count, None)

    def sendto(self, data, address):
        self.address = address
        self.number = _link.call(_link.LAN, _DATAGRAM, self.number, address[1], 0, data, 0, len(data), None)
        _open[self.number] = self
        return len(data)

    def close(self):
        if self.number:
            _open.pop(self.number, None)
            _link.call(_link.LAN, _CLOSE, self.number, 0, 0, None, 0, 0, None)
            self.number = 0
            self.state = _ENDED
