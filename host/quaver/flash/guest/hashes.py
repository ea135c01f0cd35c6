"""The sha256 of a stretch of flash as the chip sees it, and of files."""

import hashlib
import json
import machine
import uctypes
from binascii import hexlify


def _hex(h):
    return hexlify(h.digest()).decode()


def _flash(at, left):
    h = hashlib.sha256()
    while left:
        n = min(left, 4096)
        h.update(uctypes.bytearray_at(at, n))
        at += n
        left -= n
    return _hex(h)


def _file(path, b):
    h = hashlib.sha256()
    try:
        with open(path, "rb") as f:
            while n := f.readinto(b):
                h.update(b[:n])
    except OSError:
        return None
    return _hex(h)
