"""What an update leaves on flash, and its end: confirmed or rejected.

    /release.key       the public key of releases, x and y: 64 bytes, from flashing or of the last confirmed release
    /release.sequence  the sequence number of the release that runs; absent on a node that took none yet
    /release.next      the signed manifest of the release that is fetched, or on trial
    /release.list      its list of files
    /release.plan      committed: boot.py moves the files at the next start, and back at the one after
    /release.image     the list of the pieces of MicroPython's own image, where the release has one
    /release.switched  boot.py has started that image once
    /release.tried     the new version was started once; why it ended, where somebody could say
    /release.done      confirmed, and not yet tidied up
    /release.rejected  taken back, and not yet told

A file of the new version lies beside its old one as PATH.new, or below FOLDER.new where the folder is new; a file of
the old one that may come back is PATH.old. No step moves anything from one folder to another: littlefs does that in two
commits, and the power may go between them.
"""

import os
from binascii import hexlify
from hashlib import sha256

from micropython import const

from node import store
from node.room import opened

KEY = "/release.key"
SEQUENCE = "/release.sequence"
NEXT = "/release.next"
LIST = "/release.list"
PLAN = "/release.plan"
TRIED = "/release.tried"
IMAGE = "/release.image"
SWITCHED = "/release.switched"
DONE = "/release.done"
REJECTED = "/release.rejected"
_FIRMWARE = "/firmware.txt"
_HEAD = const(34)  # bytes of an entry of the list: SHA-256, u16 size; its path follows, and a line's end
_PATH_MAX = const(128)
_DIR = 0x4000


def there(path: str) -> bool:
    """Whether there is a file or folder of that name."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def slot() -> str | None:
    """The name of the partition with the image of MicroPython that is on trial, or None: the plan has none."""
    name = None
    for found in lines(PLAN):  # all of them, for the plan is open meanwhile
        if found[0] == "*":
            name = found[1:]
    return name


def _is_folder(path):
    try:
        return bool(os.stat(path)[0] & _DIR)
    except OSError:
        return False


def drop(*paths: str) -> None:
    """Remove files that may be absent."""
    for path in paths:
        if there(path):
            os.remove(path)


def read(path: str, most: int = 1200) -> bytes:
    """The bytes of a short file, b"" when it is absent."""
    if not there(path):
        return b""
    size = os.stat(path)[6]  # to be read in one piece, which a full heap may not have for `most`
    with opened(path, "rb") as file:
        return file.read(min(size, most))


def digest(path: str, buffer: memoryview):
    """A generator: yields None between two buffers of the file, and last its SHA-256."""
    hashed = sha256()
    with opened(path, "rb") as file:
        count = file.readinto(buffer)
        while count:
            hashed.update(buffer[:count])
            yield None
            count = file.readinto(buffer)
    yield hashed.digest()


def line(path: str, at: int) -> tuple[str, int]:
    """The line of a text file that begins at byte `at`, without its end, and where the next one begins.

    The file is not kept open: each takes a kilobyte of heap.
    """
    with opened(path, "rb") as file:
        file.seek(at)
        found = file.readline()
    return found.decode().rstrip("\n"), at + len(found)


def lines(path: str):
    """A generator of the lines of a text file that may be absent, up to an empty one; the file is open meanwhile."""
    if there(path):
        with opened(path, "rb") as file:
            found = file.readline()
            while found.rstrip(b"\n"):
                yield found.decode().rstrip("\n")
                found = file.readline()


def entry(at: int, listing: str = LIST):
    """(SHA-256, size, path, where the next one begins) of the entry in a list of files that begins at byte `at`, or
    None at its end. Raises ValueError for what is no entry."""
    with opened(listing, "rb") as file:
        file.seek(at)
        return _next(file)


def find(begin: bytes, at: int = 0):
    """What `entry` gives of the first one from byte `at` on whose SHA-256 begins so, or None."""
    with opened(LIST, "rb") as file:
        file.seek(at)
        found = _next(file)
        while found and not found[0].startswith(begin):
            found = _next(file)
    return found


def listed(path: str) -> bool:
    """Whether the list has that file, or anything in a folder: a path that ends with a slash."""
    with opened(LIST, "rb") as file:
        found = _next(file)
        while found:
            if found[2] == path or (path[-1] == "/" and found[2].startswith(path)):
                return True
            found = _next(file)
    return False


def _next(file):
    head = file.read(_HEAD)
    path = file.readline(_PATH_MAX)
    if not head:
        return None
    if len(head) < _HEAD or path[-1:] != b"\n":
        raise ValueError("an entry is cut short")
    return head[:32], int.from_bytes(head[32:], "little"), path[:-1].decode(), file.seek(0, 1)


def _paths():
    """A generator of the paths of the firmware's files, of the version that runs and of the one that comes."""
    for found in lines(_FIRMWARE):
        if found[0] != " ":  # else a module in a pack
            yield found
    found = entry(0) if there(LIST) else None
    while found:
        yield found[2]
        found = entry(found[3])


def roots() -> list[str]:
    """The folders that the firmware owns, of the version that runs and of the one that comes."""
    found = []
    for path in _paths():
        parts = path.split("/")
        depth = 2 if parts[0] == "lib" else 1
        root = "/" + "/".join(parts[:depth])
        if len(parts) > depth and root not in found:
            found.append(root)
    return found


def modules() -> list[str]:
    """The firmware's files at the top, of the version that runs."""
    return ["/" + entry for entry in lines(_FIRMWARE) if "/" not in entry and entry[0] != " "]


def _remove(path):
    if _is_folder(path):
        for name in os.listdir(path):
            _remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)


def sweep() -> None:
    """Remove what waits to be moved, and what was kept of an old version, wherever the firmware is. Any time again."""
    for name in os.listdir("/"):
        path = "/" + name
        if name.endswith((".py.new", ".mpy.new", ".txt.new", ".old")) or (name.endswith(".new") and _is_folder(path)):
            _remove(path)
    for root in roots():
        _sweep(root)


def _sweep(folder):
    if not _is_folder(folder):
        return
    for name in os.listdir(folder):
        path = folder + "/" + name
        if name.endswith((".new", ".old")):
            _remove(path)
        else:
            _sweep(path)


def sequence() -> int:
    """The sequence number of the release that runs, 0 for none. Raises ValueError for a file that is not whole."""
    found = read(SEQUENCE)
    if found.isdigit():
        return int(found)
    if there(SEQUENCE):
        raise ValueError(SEQUENCE + " is corrupt")
    return 0


def abandon() -> None:
    """Forget a release that was not committed. A cut in the midst leaves it to be fetched, and forgotten again."""
    drop(PLAN + ".new")
    sweep()
    drop(LIST, LIST + ".new", IMAGE, IMAGE + ".new")
    drop(NEXT)


def accept() -> None:
    """The version on trial is confirmed. Raises OSError."""
    os.rename(PLAN, DONE)
    finish()


def finish() -> None:
    """What follows from a confirmed version: its number and key, and the old one is gone. Begun, it can be repeated."""
    drop(NEXT + ".new", KEY + ".new", SEQUENCE + ".new", TRIED + ".new")  # the power went before they were whole
    if not there(DONE):
        return
    number, key = line(DONE, 0)[0].split(" ")
    if sequence() != int(number):
        store.replace(SEQUENCE, number.encode())
    if len(key) == 128 and hexlify(read(KEY)).decode() != key:
        store.replace(KEY, bytes.fromhex(key))
    drop(TRIED, NEXT)
    sweep()
    drop(LIST, IMAGE, SWITCHED)
    os.remove(DONE)


def why(cause: str) -> str | None:
    """Why a version was taken back, or None: none was. cause: of this start, as hal says it."""
    if not there(REJECTED):
        return None
    return read(TRIED, 90).decode() or "restarted before it was confirmed: {}".format(cause)


def forget() -> None:
    """What a version that was taken back has left is removed; it has been told. Begun, it can be repeated."""
    drop(NEXT)
    sweep()
    drop(LIST, IMAGE, SWITCHED, TRIED)
    drop(REJECTED)
