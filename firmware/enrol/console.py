"""The serial console as a way in: session and Improv frames out of stdin, answers to stdout, log lines between them."""

import asyncio
import select
import sys

import micropython
from micropython import const

from enrol.provision import serve
from quaver_wire.frames import SESSION, Frames, improv_frame, session_frame

if False:  # types alone: never compiled
    from enrol.enrolment import Enrolment
    from enrol.session import Session
    from links.improv import Improv

_POLL_MS = const(8)  # an ESP32 holds 260 bytes for its console, which a cable brings in 22 ms, and forgets the rest
_SILENCE_MS = const(200)  # a frame that rests for so long has broken off
_LINGER_MS = const(500)  # after the enrolment: the last answer has yet to leave, or to be asked for again
_READ_MAX = const(512)
_OPEN_S = const(120)
_CTRL_C = const(3)
_COMMAND = const(3)  # Improv's packet type


class Console:
    """session, enrolment: of a node's provisioning. improv: of links.improv with serial=True, or None.

    With improv a Ctrl-C may be a byte of a packet, so it is taken out of the stream here: outside of packets it
    interrupts as ever, a moment later.
    """

    def __init__(self, session: "Session", enrolment: "Enrolment", improv: "Improv | None" = None) -> None:
        self._session = session
        self._enrolment = enrolment
        self.improv = improv
        self.served = False  # a session was opened
        self._frames = Frames()
        self._poller = select.poll()
        self._poller.register(sys.stdin, select.POLLIN)

    @property
    def refused(self) -> int:
        """Frames that were turned away; the session counts its own messages."""
        return self._frames.refused + (self.improv.refused if self.improv else 0)

    def emit(self, kind: int, data: bytes) -> None:
        """What Improv sends; give this to its constructor."""
        sys.stdout.buffer.write(improv_frame(kind, data))

    async def _send(self, message: bytes) -> None:
        sys.stdout.buffer.write(session_frame(message))

    def _read(self) -> bytearray:
        data = bytearray()
        while len(data) < _READ_MAX and self._poller.poll(0):
            one = sys.stdin.buffer.read(1)
            if not one:
                break
            data += one
        return data

    async def run(self, window_s: int | None = None) -> None:
        """Serve until the enrolment is done; Ctrl-C raises KeyboardInterrupt.

        window_s: also end when no frame came for so long; while a session is open, for two minutes.
        """
        if self.improv:
            micropython.kbd_intr(-1)
        try:
            silence = 0
            idle = 0
            left = _LINGER_MS
            while left > 0:
                data = self._read()
                found: list = []
                if data:
                    silence = 0
                    found = self._frames.feed(data)
                else:
                    silence += _POLL_MS
                    if silence == _SILENCE_MS:
                        found = self._frames.idle()
                if found:
                    idle = 0
                for kind, content in found:
                    if kind == SESSION:
                        await serve(self._session, self._enrolment, content, self._send)
                        self.served = self.served or self._session.is_open
                    elif kind == _COMMAND and self.improv:
                        await self.improv.command(content)
                if self._frames.interrupted:
                    raise KeyboardInterrupt
                if self.improv:
                    self.improv.tick()
                if not data:
                    await asyncio.sleep_ms(_POLL_MS)
                    idle += _POLL_MS
                    if self._enrolment.done:
                        left -= _POLL_MS
                    elif window_s is not None and idle >= 1000 * (_OPEN_S if self._session.is_open else window_s):
                        break
        finally:
            if self.improv:
                micropython.kbd_intr(_CTRL_C)
