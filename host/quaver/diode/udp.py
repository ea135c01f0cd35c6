"""Bundles over UDP, which loses, doubles and reorders: each as a few symbols more than are needed (RaptorQ, RFC 6330).

A datagram: "QVD1", digest of the bundle (8 bytes), its length (4 bytes), one symbol. Any symbols that together are a
little longer than the bundle give it back. Nothing is ever answered.

Own framing, because pydiode sends each chunk a fixed number of times and knows neither signatures nor which are lost.
"""

from __future__ import annotations

import math
import socket
import time
from collections import OrderedDict
from collections.abc import Iterator

from quaver.diode.bundle import BUNDLE_MAX, digest
from quaver.errors import DiodeDown, DiodeError

_MAGIC = b"QVD1"
_HEAD = len(_MAGIC) + 8 + 4
_SYMBOL = 1200  # bytes; with its 4 and the head below what every network carries in a piece
_DATAGRAM_MAX = 2048
_OPEN = 32  # bundles of which some symbols have come; of more the oldest is given up
_SPARE = 4  # symbols; of a small bundle
_SHARE = 0.3  # symbols beyond those that are needed, of a large one
_BUFFER = 4 << 20  # bytes that the system keeps while a bundle is stored


def address_of(text: str) -> tuple[str, int]:
    """host:port. Raises DiodeError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise DiodeError(f"{text[:60]!r}: expected host:port, such as 10.0.0.2:4711")
    return host.strip("[]"), int(port)


class Sender:
    """rate: bytes a second at most: what the way and the far side's buffer take."""

    def __init__(self, where: str, rate: float) -> None:
        host, port = address_of(where)
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(address)
        except OSError as error:
            raise DiodeError(f"{where}: can't be sent to ({error.strerror}); check the address") from error
        self._where = where
        self._rate = rate
        self._due = time.monotonic()

    def put(self, data: bytes) -> None:
        """Send a bundle; whether it comes nobody learns here. Raises DiodeDown where this machine can't send."""
        from raptorq import Encoder

        needed = math.ceil(len(data) / _SYMBOL)
        encoder = Encoder.with_defaults(data, _SYMBOL)
        head = _MAGIC + digest(data) + len(data).to_bytes(4, "big")
        for symbol in encoder.get_encoded_packets(_SPARE + math.ceil(_SHARE * needed)):
            self._send(head + symbol)

    def _send(self, datagram: bytes) -> None:
        self._due = max(self._due + len(datagram) / self._rate, time.monotonic() - 0.1)
        pause = self._due - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        try:
            self._socket.send(datagram)
        except ConnectionRefusedError:
            pass  # this machine itself says that nobody listens; on a diode nobody would
        except OSError as error:
            raise DiodeDown(f"{self._where}: can't be sent to ({error.strerror}); check the network") from error

    def close(self) -> None:
        self._socket.close()


class Receiver:
    """Takes datagrams at an address. Its memory is bounded, whatever comes."""

    def __init__(self, where: str) -> None:
        host, port = address_of(where)
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
            )[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.bind(address)
        except OSError as error:
            raise DiodeError(f"{where}: can't be listened at ({error.strerror}); name another address:port") from error
        self._socket.settimeout(0.25)
        self._open: OrderedDict[bytes, object] = OrderedDict()  # head -> decoder; None: it was whole
        self.given_up = 0

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._socket.getsockname()[:2])

    def bundles(self) -> Iterator[bytes | None]:
        """Each bundle that is whole, signed or not; None a few times a second while nothing comes."""
        while True:
            try:
                datagram = self._socket.recv(_DATAGRAM_MAX)
            except TimeoutError:
                yield None
                continue
            except OSError as error:
                raise DiodeError(f"{self.address}: can't be listened at ({error.strerror})") from error
            yield self._take(datagram)

    def _take(self, datagram: bytes) -> bytes | None:
        from raptorq import Decoder

        head, symbol = datagram[:_HEAD], datagram[_HEAD:]
        length = int.from_bytes(head[-4:], "big")
        if not head.startswith(_MAGIC) or len(symbol) != _SYMBOL + 4 or not 0 < length <= BUNDLE_MAX:
            return None
        if symbol[0]:  # of another source block (RFC 6330, 3.2) than the one that a bundle has: the decoder would panic
            return None
        if head not in self._open:
            while len(self._open) >= _OPEN:
                self.given_up += self._open.popitem(last=False)[1] is not None
            self._open[head] = Decoder.with_defaults(length, _SYMBOL)
        decoder = self._open[head]
        if decoder is None:
            return None
        try:
            data: bytes | None = decoder.decode(symbol)  # type: ignore[attr-defined]
        except BaseException as error:  # what a foreign symbol does to the decoder, it tells by a panic
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            del self._open[head]
            return None
        if data is None:
            return None
        if digest(data) != head[4:12]:  # a symbol among them was none of this bundle's: let others come together
            del self._open[head]
            return None
        self._open[head] = None
        return data

    def close(self) -> None:
        self._socket.close()
