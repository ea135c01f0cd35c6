"""Small values that must survive a power cut: written aside, then renamed over the old one."""

import json
import os
from binascii import crc32

from node.room import opened

if False:  # types alone: never compiled
    from typing import Any


def replace(path: str, data: bytes) -> None:
    """Make `path` hold `data` (bytes): afterwards it is the old file or the new one, never a part."""
    aside = path + ".new"
    with opened(aside, "wb") as file:
        file.write(data)
    os.rename(aside, path)


def replace_json(path: str, value: "Any") -> None:
    """As `replace`, with no copy of the text on the heap, which has no piece for it."""
    aside = path + ".new"
    with opened(aside, "w") as file:
        json.dump(value, file)
    os.rename(aside, path)


def checked(number: int) -> bytes:
    """A count with its check, as `count` reads it."""
    digits = str(number).encode()
    return b"%s %d" % (digits, crc32(digits))


def count(path: str) -> int | None:
    """The count in a file, None when there is none or it is corrupt."""
    try:
        with open(path, "rb") as file:
            digits, _, check = file.read(24).partition(b" ")
        if crc32(digits) == int(check):
            return int(digits)
    except (OSError, ValueError):
        pass
    return None


def next_boot(path: str = "/boot") -> int:
    """Count this boot on flash and return its number, 1 for the first.

    The number is part of every nonce: none may come twice. So it stands in two files in turn; where one is corrupt
    the count leaps over what it may have said. 0: flash can't be written, or both are corrupt, and nothing may be
    sealed.
    """
    paths = (path + ".0", path + ".1")
    counts = [count(paths[0]), count(paths[1])]
    try:
        if counts == [None, None]:
            folder, _, name = path.rpartition("/")
            if any(file in (name + ".0", name + ".1") for file in os.listdir(folder or "/")):
                return 0
            replace(paths[0], checked(0))
            counts = [0, 0]
        leap = 1 + (None in counts)
        counts = [-1 if found is None else found for found in counts]
        boot = max(counts) + leap
        replace(paths[1 - counts.index(max(counts))], checked(boot))
    except OSError:
        return 0
    return boot
