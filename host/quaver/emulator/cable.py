"""A serial cable from an emulated UART to a program of the host, which opens it as socket://127.0.0.1:PORT.

The program lives in real time, the board perhaps not. So a board that has sent a frame (of quaver_wire/wired.py: what
ends in a 0) waits for the answer at one moment of its time, and each frame takes some real time at least, that virtual
time does not run away from a program that starts, or waits.
"""

from __future__ import annotations

import select
import socket
import time

_ANSWER_S = 5.0  # a program that takes longer has nothing to say
_MORE_S = 0.002  # after the end of a frame: there may be another one
_LEAST_S = 0.01


class Cable:
    """port: of the loopback, on which it listens from the first byte on.

    damage: of how many bytes, both ways, one arrives changed; 0 for none. echo: the adapter gives back what the board
    sends. Both may change while it runs.
    """

    def __init__(self, port: int, *, damage: int = 0, echo: bool = False) -> None:
        self.port = port
        self.damage = damage
        self.echo = echo
        self._carried = 0
        self._server: socket.socket | None = None
        self._line: socket.socket | None = None

    def uart_exchange(self, data: bytes, now: int) -> bytes:
        """See `UartModel`."""
        began = time.monotonic()
        echo = data if self.echo else b""
        sent = self._damaged(data)
        answer = b""
        self._accept()
        if self._line is not None:
            try:
                answer = _came(self._line, 0.0)  # to what was said before
                self._line.sendall(sent)
                if data.endswith(b"\0"):
                    answer += _came(self._line, _ANSWER_S if sent == data else 0.0)
                    # What came first may have been a late answer to something else.
                    while (left := began + _LEAST_S - time.monotonic()) > 0:
                        answer += _came(self._line, left)
            except OSError:
                self._line = None
        if data.endswith(b"\0"):
            time.sleep(max(0.0, began + _LEAST_S - time.monotonic()))
        return echo + self._damaged(answer)

    def _damaged(self, data: bytes) -> bytes:
        if not self.damage:
            return data
        found = bytearray(data)
        for at in range(len(found)):
            self._carried += 1
            if self._carried % self.damage == 0:
                found[at] ^= 0x55
        return bytes(found)

    def _accept(self) -> None:
        if self._server is None:
            self._server = socket.create_server(("127.0.0.1", self.port))
        if select.select([self._server], [], [], 0)[0]:
            self._line = self._server.accept()[0]


def _came(line: socket.socket, patience_s: float) -> bytes:
    """What the program says. Raises OSError when the program has closed the line."""
    found = b""
    while select.select([line], [], [], _MORE_S if found.endswith(b"\0") else patience_s)[0]:
        part = line.recv(65536)
        if not part:
            raise ConnectionError
        found += part
    return found
