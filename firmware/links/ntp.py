"""The date from a time server: one SNTP exchange (RFC 5905, section 14), within a limit, without blocking."""

import asyncio
import select
import socket
import time
from struct import unpack_from

from micropython import const

from links.errors import LinkError

_PORT = const(123)
_PACKET = const(48)
_POLL_MS = const(5)
_CLIENT = const(0x23)  # version 4, mode 3
_SERVER = const(4)
_UNIX = 2208988800  # 1970 in NTP's seconds, which begin with 1900
_ERA = 1 << 32  # and begin again in 2036
_BUILT = 1767225600  # 2026: no clock that this firmware meets is earlier
_LATEST = 3345062400  # and none is later than 2076: a server in 1970, its clock not set, would seem to be in 2106


def _answer(packet, asked):
    """Milliseconds since 1970 at the server when it answered, or None when `packet` is no answer to `asked`."""
    if len(packet) < _PACKET or packet[0] & 7 != _SERVER or packet[24:32] != asked[40:48]:
        return None
    seconds, fraction = unpack_from(">II", packet, 40)
    # Not synchronised itself, or asks us to leave it alone; a transmit time of 0 is none (RFC 4330, section 5).
    if packet[0] >> 6 == 3 or not 0 < packet[1] < 16 or not (seconds or fraction):
        raise LinkError("the time server does not know the time")
    seconds -= _UNIX
    if seconds < _BUILT:
        seconds += _ERA
    if seconds > _LATEST:
        raise LinkError("the time server's clock is wrong")
    return seconds * 1000 + (fraction * 1000 >> 32)


async def ask(host, limit_ms, port=_PORT):
    """(milliseconds since 1970, how uncertain, ms): now, by the server `host`. Raises LinkError.

    Looking its name up blocks for as long as the port's resolver does.
    """
    link = None
    try:
        address = socket.getaddrinfo(host, port)[0][-1]
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.setblocking(False)
        asked = bytearray(_PACKET)
        asked[0] = _CLIENT
        began = time.ticks_ms()
        asked[40:48] = (time.ticks_us() & 0x3FFFFFFF).to_bytes(
            8, "big"
        )  # comes back: an answer to something else is none
        link.sendto(asked, address)
        poller = select.poll()
        poller.register(link, select.POLLIN)
        while time.ticks_diff(time.ticks_ms(), began) <= limit_ms:
            if poller.poll(0):
                found = _answer(link.recv(_PACKET), asked)
                if found is not None:
                    took = time.ticks_diff(time.ticks_ms(), began)
                    return found + took // 2, took // 2
            await asyncio.sleep_ms(_POLL_MS)
    except LinkError:
        raise
    except OSError as error:
        raise LinkError("time server unreachable (errno {})".format(error.args[0]))
    finally:
        if link:
            link.close()
    raise LinkError("no answer from the time server within {} ms".format(limit_ms))
