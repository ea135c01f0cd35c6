"""Makes files of a release from those that run, by what differs (protocols/release.md, patches).

What comes of a patch is checked by its SHA-256, as what is fetched is: a patch that is another's, or for another
version, costs its bytes and no more.
"""

import asyncio
from hashlib import sha256

from micropython import const

from node.room import opened
from update import files

_CHUNK = const(1024)
_ID = const(4)  # bytes of a SHA-256 that name a file here
_HEAD = const(6)  # of a patch: of which file, and how long the rest is
_TABLE_MAX = const(3072)
_STEP = const(256)  # bytes that are copied at once


class _Patches:
    """Reads patches as one stream."""

    def __init__(self, stage, digest, size):
        self._stage = stage
        self._digest = digest
        self.size = size
        self.at = 0
        self._part = b""
        self._n = -1

    async def read(self, count):
        """So many bytes. Raises ValueError behind the end, and for a chunk that is cut short."""
        found = b""
        while len(found) < count:
            n, inner = divmod(self.at, _CHUNK)
            if self.at >= self.size:
                raise ValueError("cut short")
            if n != self._n:
                self._part = b""  # not two at a time
                self._part = await self._stage.fetch(self._digest, n)
                self._n = n
                self._stage.fetched += len(self._part)
                if len(self._part) != min(_CHUNK, self.size - n * _CHUNK):
                    raise ValueError("cut short")
            part = self._part[inner : inner + count - len(found)]
            found = found + part if found else part
            self.at += len(part)
        return found

    async def byte(self):
        return (await self.read(1))[0]

    async def number(self):
        """Seven bits a byte, the lowest first."""
        found = shift = 0
        while shift < 28:
            value = await self.byte()
            found |= (value & 127) << shift
            if value < 128:
                return found
            shift += 7
        raise ValueError("a number is too long")


async def apply(stage, given):
    """Stage each file that a patch yields and that is not there. given: (SHA-256, bytes) of the release's patches.

    stage: an update.stage.Stage, whose list of files is there and checked. Raises OSError, and its Refused where a
    chunk does not come.
    """
    stream = _Patches(stage, *given)
    try:
        table = await stream.read(2)
        if int.from_bytes(table, "little") > _TABLE_MAX:
            raise ValueError("too many sources")
        table = await stream.read(int.from_bytes(table, "little"))
        while stream.at < stream.size:
            head = await stream.read(_HEAD)
            end = stream.at + int.from_bytes(head[_ID:], "little")
            wanted = await stage.lacks(head[:_ID])
            if wanted:
                await _make(stage, stream, table, end, *wanted)
            if stream.at > end:
                raise ValueError("a patch is longer than it says")
            stream.at = end
    except (ValueError, IndexError) as error:
        print("node: update: patches:", error)
        stage.refuse("release_wrong_content")
    except MemoryError:  # for a second file that is open: to fetch whole takes one
        print("node: update: no memory for patches")


def _source(table, number):
    """(how its SHA-256 begins, path) of a source. Raises ValueError, IndexError."""
    at = 0
    for _ in range(number):
        at += _ID + 1 + table[at + _ID]
    begin = at + _ID + 1
    return table[at : at + _ID], table[begin : begin + table[at + _ID]].decode()


async def _sources(stage, stream, table):
    """The patch's sources, (path, where it begins, where it ends), one behind the other; None: of another version."""
    sources = []
    last = 0
    for _ in range(await stream.byte()):
        known, name = _source(table, await stream.byte())
        length = await stage.source(name, known)
        if not length:
            return None
        sources.append(("/" + name, last, last + length))
        last += length
    return sources


async def _make(stage, stream, table, end, digest, size, path):
    """Stage at `path` the file that the patch that goes on here yields, where this node has its sources."""
    sources = await _sources(stage, stream, table)
    if sources is None:
        return
    hashed = sha256()
    buffer = memoryview(bytearray(_STEP))
    count = at = 0
    file = await stage.new(path)

    async def put(part):
        hashed.update(part)
        async with stage.quiet:
            file.write(part)

    try:
        while stream.at < end and count < size:
            step = await stream.number()
            length = step >> 2
            if not 0 < length <= size - count:
                raise ValueError("a step goes beyond the file")
            count += length
            if step & 2:
                jump = await stream.number()
                at += -(jump + 1 >> 1) if jump & 1 else jump >> 1
            if step & 3:
                await _copy(sources, at, length, buffer, put)
            else:  # what follows most often goes on behind what this took the place of
                for begin in range(0, length, _STEP):
                    await put(await stream.read(min(length - begin, _STEP)))
            at += length
            await asyncio.sleep(0)
    except BaseException:
        file.close()
        files.drop(path)
        raise
    async with stage.quiet:
        file.close()
    if count != size or hashed.digest() != digest:
        files.drop(path)
        raise ValueError("{} is not what was signed".format(path))


async def _copy(sources, at, length, buffer, put):
    """put() `length` bytes of the sources, from `at` on: all of one of them."""
    for path, begin, end in sources:
        if begin <= at < end:
            break
    else:
        raise ValueError("a step goes beyond its source")
    if at + length > end:
        raise ValueError("a step goes beyond its source")
    with opened(path, "rb") as old:
        old.seek(at - begin)
        while length:
            part = buffer[: min(length, _STEP)]
            if old.readinto(part) != len(part):
                raise ValueError("a source is cut short")
            await put(part)
            length -= len(part)
