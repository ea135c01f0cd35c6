"""Walks the folders that the firmware owns: a line a file, its path and half its sha256; a folder ends with a slash."""

import gc
import os
import sys

gc.collect()
try:
    from binascii import a2b_base64, hexlify
    from hashlib import sha256

    def _hash(path):
        digest = sha256()
        with open(path, "rb") as file:
            while True:
                count = file.readinto(_buffer)
                if not count:
                    return hexlify(digest.digest()[:16]).decode()
                digest.update(_buffer[:count])

    _buffer = memoryview(bytearray(1024))
except ImportError:
    print("lacks")


def _walk(path, kind, deep=True):
    if kind & 0x4000:
        print("entry", (path + "/", ""))
        for entry in sorted(entry[:2] for entry in os.ilistdir(path)) if deep else ():
            _walk(path + "/" + entry[0], entry[1])
    else:
        print("entry", (path, _hash(path)))


def _survey(roots):
    there = [entry[0] for entry in os.ilistdir("/")]
    for root in roots:
        if root.split("/")[1] in there:
            try:
                kind = os.stat(root)[0]
            except OSError:
                continue
            _walk(root, kind, root != "/lib")
