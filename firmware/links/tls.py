"""TLS for umqtt: trusts what one pinned CA signed, for the name it connects to, and tells why it does not."""

import select
import sys

import tls
from micropython import const

from links.errors import LinkError

_WAIT_MS = const(
    3000
)  # for the other side, each time; the arithmetic in all takes the RP2040 1.7 s, 3.7 on a full heap
# Mbed TLS: no memory for a record, a certificate, a key, a number, a curve, a digest
_MEMORY = (12, -0x7F00, -0x2880, -0x3F80, -0x10, -0x4D80, -0x5180)


def _certificate(path):
    """The CA's certificate as DER; a PEM file is decoded here, as the firmware's Mbed TLS may read DER alone."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:1] == b"\x30":
        return data
    from binascii import a2b_base64

    begin = data.index(b"-----", data.index(b"-----BEGIN CERT") + 15) + 5
    return a2b_base64(data[begin : data.index(b"-----END", begin)])


def _is_memory(error):
    return isinstance(error, MemoryError) or (bool(error.args) and error.args[0] in _MEMORY)


def _reason(error):
    number = error.args[0] if error.args else None
    if number == 104 or number in (-0x7200, -0x7780, -0x7100, -0x7280):  # reset; no record of TLS, an alert, an end
        return "no TLS at the broker's port"
    if isinstance(number, int):
        return ("broker unreachable (errno {})" if number > 0 else "TLS failed (error {})").format(number)
    text = str(number)
    if "future" in text:
        return "broker's certificate not valid yet: is the clock set?"
    if "expired" in text:
        return "broker's certificate expired, or the clock is wrong"
    if "Common Name" in text:
        return "broker's certificate is for another name"
    return "broker's certificate not trusted: " + text.replace("\n", " ")[:60].strip()


class Tls:
    """What umqtt takes for the module `ussl`. Raises LinkError.

    ca: the path of the CA's certificate, PEM or DER; name: the broker's, as its certificate has it; memory: hal.memory.
    """

    def __init__(self, ca, name, memory):
        self._ca = ca
        self._name = name
        self._memory = memory
        # Made once, and early: while a node runs, its heap has no piece that a certificate is read into.
        self._context = None
        try:
            self._trust()
        except LinkError:
            pass  # tried, and told, when it connects

    def offer(self):
        """Be what umqtt imports; called before each connect, as another link may have offered itself."""
        sys.modules["ussl"] = self

    def down(self):
        """The session has ended, or did not come about."""
        self._memory.hold()

    def wrap_socket(self, sock):
        """The TLS stream over a socket that connects or is connected; blocks for a few waits. Raises LinkError."""
        poller = select.poll()
        poller.register(sock, select.POLLOUT)
        if not poller.poll(_WAIT_MS):
            raise LinkError("broker unreachable")
        poller = None
        if not self._memory.fits():
            raise LinkError(self._no_room())
        self._trust()
        sock.settimeout(_WAIT_MS / 1000)
        try:
            return self._context.wrap_socket(sock, server_hostname=self._name)
        except (OSError, ValueError, MemoryError) as error:
            raise LinkError(self._no_room() if _is_memory(error) else _reason(error))

    def _trust(self):
        """Have a context that trusts the CA, which stays. Raises LinkError."""
        if self._context:
            return
        try:
            context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
            context.verify_mode = tls.CERT_REQUIRED
            context.load_verify_locations(_certificate(self._ca))
        except (OSError, ValueError, MemoryError) as error:
            if _is_memory(error):
                raise LinkError(self._no_room())
            raise LinkError("no CA certificate in " + self._ca)
        self._context = context

    def _no_room(self):
        free, whole = self._memory.free(), self._memory.TLS
        if free < whole:
            return "TLS does not fit memory: {} bytes free, it takes {}".format(free, whole)
        return "TLS does not fit memory: {} bytes free, in pieces that are too small".format(free)
