"""The board's `select.poll`: real sockets, time-outs in the board's time.

asyncio's loop sleeps here, so this is where most of a board's time passes.
"""

import micropython
import quaver_link as _link
import uselect as _real

POLLIN = _real.POLLIN
POLLOUT = _real.POLLOUT
POLLERR = _real.POLLERR
POLLHUP = _real.POLLHUP

_NOTHING = ()
lan = None  # set at boot: the module quaver_lan, when the network lives in virtual time
on_radio = None  # set by `aioble`: takes the radio's events, as its interrupt does on a microcontroller


class poll:
    def __init__(self):
        self._poller = _real.poll()
        self._poller.register(_link.stream, POLLIN)
        self._owners = {}  # id of the real stream -> what the caller registered
        self._wrapped = False  # whether there is a stream over a socket (TLS) that does not tell which
        self._timed = {}  # id -> (UART, events): streams that live on the board's side of the host
        self._sockets = {}  # id -> (socket, events): those of a network in virtual time

    def register(self, stream, events=POLLIN | POLLOUT):
        if hasattr(stream, "next_byte"):
            self._timed[id(stream)] = (stream, events)
            return True
        real = getattr(stream, "real", stream)
        if hasattr(real, "ready"):
            self._sockets[id(real)] = (stream, events)
            return True
        self._wrapped = self._wrapped or type(stream).__name__ == "SSLSocket"
        known = id(real) in self._owners
        self._owners[id(real)] = stream
        self._poller.register(real, events)
        return not known

    def unregister(self, stream):
        real = getattr(stream, "real", stream)
        if self._timed.pop(id(stream), None) is None and self._sockets.pop(id(real), None) is None:
            del self._owners[id(real)]
            self._poller.unregister(real)

    def modify(self, stream, events):
        if id(stream) in self._timed:
            self._timed[id(stream)] = (stream, events)
            return
        real = getattr(stream, "real", stream)
        if id(real) in self._sockets:
            self._sockets[id(real)] = (stream, events)
        else:
            self._poller.modify(real, events)

    @micropython.native
    def _ready(self):
        """What is ready now; allocates only for what is."""
        if on_radio is not None and _link.event():
            on_radio()
        found = _NOTHING
        if self._owners:
            for real, events in self._poller.ipoll(0):
                if real is not _link.stream:
                    found = found or []
                    found.append((self._owners[id(real)], events))
        if lan is not None:
            lan.fetch()
            for stream, wanted in self._sockets.values():
                events = stream.real.ready() & wanted
                if events:
                    found = found or []
                    found.append((stream, events))
        if not self._timed:
            return found
        for stream, wanted in self._timed.values():
            events = wanted & POLLOUT
            if wanted & POLLIN and stream.any():
                events |= POLLIN
            if events:
                found = found or []
                found.append((stream, events))
        return found

    @micropython.native
    def ipoll(self, timeout=-1, flags=0):
        found = self._ready()
        if found or timeout == 0:
            return found
        until = _link.FOREVER if timeout is None or timeout < 0 else _link.now() + timeout * 1000000
        while True:
            if not self._owners:
                if timeout and _link.fast():
                    _link.idle(timeout)
            elif _link.fast() and _link.settle(self._poller, None if self._wrapped else self._owners):
                return self._ready()
            moment = until
            if self._timed:
                for stream, wanted in self._timed.values():
                    if wanted & POLLIN:
                        moment = min(moment, stream.next_byte())
            listen = (0 if on_radio is None else 1) | (2 if self._sockets else 0)
            early = _link.wait(moment, self._poller if self._owners else None, listen)
            heard = (on_radio is not None and _link.event()) or (self._sockets and _link.data())
            found = self._ready()
            if found or (not early and not heard and moment == until):
                return found

    def poll(self, timeout=-1):
        return list(self.ipoll(timeout))
