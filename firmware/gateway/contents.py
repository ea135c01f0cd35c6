"""Chunks of releases on their way to nodes: read from the broker when the first node asks, kept for the next ones.

A content is a file that grows by a chunk at a time, for nodes read theirs in order; it takes at most half of the flash
that is free, and goes first where a record needs the room, or a release for this gateway itself. Of what flash does not
take, the last few chunks are in RAM. A node refuses what is not as it was signed, and asks for it from its beginning
once more: what is kept of it is given back then, unless it is whole and right, and read from the broker anew.
"""

import asyncio
import os
from binascii import hexlify
from hashlib import sha256

from micropython import const

_CHUNK = const(1024)
_HELD = const(8)  # chunks in RAM
_SPARE = const(16)  # blocks of flash that are left
_LIMIT_MS = const(2000)  # for the broker
_STEP_MS = const(10)


class Contents:
    """prefixes: {node id: topic prefix}, of which the first level is the site; wake(): has `wanted` looked at soon.

    path: the folder. wanted: the topic that the broker is to be asked for, or None. online: whether there is a broker.
    working(): whether this gateway fetches a release for itself; None for one that takes none.
    """

    working = None

    def __init__(self, prefixes, wake, path="/contents"):
        self._prefixes = prefixes
        self._wake = wake
        self._path = path + "/"
        self._lock = asyncio.Lock()
        self._held: list = []  # (name, number, chunk), the newest last
        self._begun: dict = {}  # node id: the content that it asked for last
        self._brought = None
        self._asked = False
        self.online = False
        self.wanted = None
        try:
            self._names = os.listdir(path)  # of contents on flash, used last last
        except OSError:
            self._names = []  # of the folder, which the first content makes

    async def chunk(self, node_id, digest, number):
        """Chunk `number` of the content whose SHA-256 begins with `digest` (8 bytes), for that node.

        b"" when the broker has none, None when it can't be asked.
        """
        name = hexlify(digest).decode()
        if not number and self._begun.get(node_id) == digest and not self._right(name, digest):
            self._forget(name)
        self._begun[node_id] = digest
        self._asked = True
        async with self._lock:
            found = self._kept(name, number)
            if found is None and self.online:
                found = await self._ask(node_id, name, number)
                if found:
                    self._keep(name, number, found)
        return found

    def bring(self, content):
        """Of the link: what was wanted has come."""
        if self.wanted:
            self._brought = content
            self.wanted = None

    def tidy(self):
        """To be called now and then: gives back what is in RAM if nobody has asked since the last time."""
        if not self._asked:
            self._held.clear()
        self._asked = False

    def clear(self):
        """Give back what is on flash, and in RAM."""
        self._held.clear()
        while self._names:
            self._forget(self._names[0])

    async def _ask(self, node_id, name, number):
        self._brought = None
        self.wanted = "{}/release/{}/{}".format(self._prefixes[node_id].split("/")[0], name, number)
        self._wake()
        try:
            for _ in range(_LIMIT_MS // _STEP_MS):
                await asyncio.sleep_ms(_STEP_MS)
                if self._brought is not None:
                    break
        finally:
            self.wanted = None
        brought, self._brought = self._brought, None
        return brought or b""

    def _kept(self, name, number):
        for known, at, chunk in self._held:
            if known == name and at == number:
                return chunk
        if name in self._names:
            self._names.remove(name)
            self._names.append(name)
            try:
                with open(self._path + name, "rb") as file:
                    file.seek(number * _CHUNK)
                    return file.read(_CHUNK) or None
            except OSError:
                pass
        return None

    def _right(self, name, digest):
        """Whether that content is on flash as its name says."""
        hashed = sha256()
        try:
            with open(self._path + name, "rb") as file:
                part = file.read(_CHUNK)
                while part:
                    hashed.update(part)
                    part = file.read(_CHUNK)
        except OSError:
            return False
        return hashed.digest()[: len(digest)] == digest

    def _keep(self, name, number, chunk):
        try:
            free = not (self.working and self.working())
            if free and self._next(name, number) and self._room(name, number):
                if name not in self._names:
                    self._names.append(name)
                with open(self._path + name, "ab") as file:
                    file.write(chunk)
                return
        except OSError:
            self._forget(name)
        self._held.append((name, number, chunk))
        if len(self._held) > _HELD:
            self._held.pop(0)

    def _next(self, name, number):
        """Whether that chunk is the one that follows on flash."""
        if name not in self._names:
            return not number
        return os.stat(self._path + name)[6] == number * _CHUNK

    def _room(self, name, number):
        """Whether there is a block for that chunk; contents that were not asked for lately make room for a new one."""
        try:
            os.mkdir(self._path[:-1])
        except OSError:
            pass  # it is there, or writing says why not
        while True:
            found = os.statvfs(self._path[:-1])
            block, free = found[0], found[3]
            if number * _CHUNK % block:
                return True
            taken = 0
            for known in self._names:
                taken += -(-os.stat(self._path + known)[6] // block)
            if free > max(_SPARE, taken):
                return True
            if number or not self._names:
                return False
            self._forget(self._names[0])

    def _forget(self, name):
        self._held = [found for found in self._held if found[0] != name]
        if name in self._names:
            self._names.remove(name)
            try:
                os.remove(self._path + name)
            except OSError:
                pass  # read as what it is: a node refuses what is not whole
