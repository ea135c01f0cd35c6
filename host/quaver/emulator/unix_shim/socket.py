"""The board's `socket`: real TCP and UDP on the host's network, with addresses and time-outs as on the Pico W.

Addresses are (ip, port) tuples. 127.0.0.1:1883 is the broker that the host set up. Without Wi-Fi there is no
network; when Wi-Fi goes, open connections end with ECONNABORTED, as the device's stack ends them.
"""

import io
import select as _select
from errno import EAGAIN, EINPROGRESS, ETIMEDOUT

import quaver_link as _link
import usocket as _real

AF_INET = _real.AF_INET
AF_INET6 = _real.AF_INET6
SOCK_STREAM = _real.SOCK_STREAM
SOCK_DGRAM = _real.SOCK_DGRAM
SOCK_RAW = _real.SOCK_RAW
SOL_SOCKET = _real.SOL_SOCKET
SO_REUSEADDR = _real.SO_REUSEADDR
SO_BROADCAST = _real.SO_BROADCAST
IPPROTO_TCP = 6
IPPROTO_UDP = 17

_ECONNABORTED = 103
_EHOSTUNREACH = 113
_BROKER = ("127.0.0.1", 1883)

broker_port = 0  # set at boot; 0 leaves 1883 where it is
is_up = None  # set by `network`: whether Wi-Fi carries packets
lan = None  # set at boot: the module quaver_lan, when the network lives in virtual time


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    if not is_up():
        raise OSError(-2)  # as lwIP: no name server without a network
    if lan is not None:  # a site where every name is its one host's
        return [(AF_INET, type or SOCK_STREAM, 0, "", (host, port))]
    found = []
    for family, kind, protocol, _, address in _real.getaddrinfo(host, port):
        if family == AF_INET and type in (0, kind):
            found.append((family, kind, protocol, "", _tuple(address)))
    if not found:
        raise OSError(-2)
    return found


def _tuple(address):
    if isinstance(address, tuple):
        return address
    parts = _real.sockaddr(address)
    return (_real.inet_ntop(AF_INET, parts[1]), parts[2])


def _packed(address):
    if isinstance(address, tuple) and lan is None:
        if address[:2] == _BROKER and broker_port:
            address = ("127.0.0.1", broker_port)
        return _real.getaddrinfo(address[0], address[1])[0][-1]
    return address


class socket(io.IOBase):
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0, *, real=None):
        self.real = real or (_real.socket(af, type, proto) if lan is None else lan.Socket(type))
        self.real.setblocking(False)
        self._timeout = None  # seconds; 0 does not block
        self._poller = None
        self._closed = False
        self._one = bytearray(1)
        self._acknowledges = False
        self._counted = False  # among the connections of quaver_link

    def _check(self, error=_ECONNABORTED):
        if not is_up():
            raise OSError(error)

    def _wait(self, events):
        """Block for `events`; False when this socket does not block. Raises OSError ETIMEDOUT."""
        if self._timeout == 0:
            return False
        if self._poller is None:
            self._poller = _select.poll()
            self._poller.register(self, events)
        self._poller.modify(self, events)
        if not self._poller.poll(-1 if self._timeout is None else int(self._timeout * 1000)):
            raise OSError(ETIMEDOUT)
        self._check()
        return True

    def setblocking(self, flag):
        self._timeout = None if flag else 0

    def settimeout(self, seconds):
        self._timeout = seconds

    def setsockopt(self, level, option, value):
        if level == SOL_SOCKET and option == 20:
            return  # the device's own option: a callback on reception
        self.real.setsockopt(level, option, value)

    def fileno(self):
        return self.real.fileno()

    def makefile(self, *_):
        return self

    def close(self):
        if not self._closed:
            self._closed = True
            self._poller = None
            _link.received(self.real)
            if self._counted:
                _link.connections -= 1
            self.real.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def bind(self, address):
        self.real.bind(_packed(address))

    def listen(self, backlog=2):
        self.real.listen(backlog)

    def accept(self):
        while True:
            try:
                real, address = self.real.accept()
                return socket(real=real), _tuple(address)
            except OSError as error:
                if error.errno != EAGAIN or not self._wait(_select.POLLIN):
                    raise

    def connect(self, address):
        self._check(_EHOSTUNREACH)
        address = _packed(address)
        _link.sent(self.real)
        try:
            self._connect(address)
        except OSError as error:
            if error.errno != EINPROGRESS:
                _link.received(self.real)  # that was the answer
            raise
        _link.received(self.real)

    def _connect(self, address):
        try:
            self.real.connect(address)
            return
        except OSError as error:
            if error.errno != EINPROGRESS or not self._wait(_select.POLLOUT):
                raise
        try:
            self.real.connect(address)  # says how it ended
        except OSError as error:
            if error.errno != 106:  # EISCONN
                raise

    def _receive(self, buffer, count):
        """Bytes now in `buffer`: 0 at the end of the stream, None when there are none yet."""
        self._check()
        try:
            data = self.real.recv(count)
        except OSError as error:
            if error.errno == EAGAIN:
                return None
            raise
        _link.received(self.real)
        buffer[: len(data)] = data
        return len(data)

    def readinto(self, buffer, count=-1):
        count = len(buffer) if count < 0 else min(count, len(buffer))
        view = memoryview(buffer)
        done = 0
        while done < count:
            got = self._receive(view[done:], count - done)
            if got is None:
                if not self._wait(_select.POLLIN):
                    return done or None
            elif got == 0:
                break
            else:
                done += got
        return done

    def read(self, count=-1):
        if count >= 0:
            data = bytearray(count)
            got = self.readinto(data)
            return None if got is None else bytes(data[:got])
        data = b""
        chunk = bytearray(512)
        while True:
            got = self._receive(chunk, 512)
            if got is None:
                if not self._wait(_select.POLLIN):
                    return data or None
            elif got == 0:
                return data
            else:
                data += chunk[:got]

    def readline(self, limit=-1):
        line = b""
        while limit < 0 or len(line) < limit:
            got = self._receive(self._one, 1)
            if got is None:
                if not self._wait(_select.POLLIN):
                    return line or None
                continue
            if got == 0:
                break
            line += self._one
            if self._one == b"\n":
                break
        return line

    def recv(self, count):
        return self.recvfrom(count)[0]

    def recvfrom(self, count):
        while True:
            self._check()
            try:
                data, address = self.real.recvfrom(count)
                _link.received(self.real)
                return data, _tuple(address) if address else None
            except OSError as error:
                if error.errno != EAGAIN or not self._wait(_select.POLLIN):
                    raise

    def send(self, data):
        while True:
            self._check()
            try:
                count = self.real.send(data)
                if lan is None and not self._counted:
                    self._counted = True
                    _link.connections += 1
                # An MQTT PUBACK asks for no answer (3.1.1, 3.4), and time need not wait for one; umqtt sends two parts.
                if not self._acknowledges:
                    self._acknowledges = data == b"@\x02"
                    if not self._acknowledges:
                        _link.sent(self.real)
                else:
                    self._acknowledges = False
                return count
            except OSError as error:
                if error.errno != EAGAIN or not self._wait(_select.POLLOUT):
                    raise

    def sendall(self, data):
        view = memoryview(data)
        done = 0
        while done < len(data):
            done += self.send(view[done:])

    def sendto(self, data, address):
        self._check(_EHOSTUNREACH)
        _link.sent(self.real)
        return self.real.sendto(data, _packed(address))

    def write(self, data, *part):
        view = memoryview(data)
        if len(part) == 1:
            if part[0] >= 0:  # as on the ports, -1 is all of it
                view = view[: part[0]]
        elif part:
            view = view[part[0] : part[0] + part[1]]
        done = 0
        while done < len(view):
            try:
                done += self.send(view[done:])
            except OSError as error:
                if error.errno != EAGAIN:
                    raise
                return done or None
        return done

    def ioctl(self, request, arg):
        """What TLS and the real poll ask of a stream: poll (3) and close (4)."""
        if request == 3:
            poller = _select.poll()
            poller.register(self, arg)
            ready = poller.poll(0)
            return ready[0][1] if ready else 0
        if request == 4:
            self.close()
        return 0
