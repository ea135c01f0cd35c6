"""Brings an image of MicroPython itself into the partition that does not run: an ESP32 with two slots for it.

It comes in pieces, each of which has its SHA-256: what is there already, from before a power cut or as in the image
that runs, is not fetched.
"""

import asyncio
import os
from hashlib import sha256

from micropython import const

from update import files, stage

_BLOCK = const(4096)
_CHUNK = const(1024)
_TRIES = const(3)  # times that a piece is fetched before the release is given up
_ERASE = const(6)  # MicroPython's block protocol
_COUNT = const(4)


async def bring(image, slots, fetching, refuse, quiet):
    """Have the free slot hold `image`, of update.envelope; returns its name, or None: that image runs already.

    slots: of hal.slots. fetching: a Stage. refuse, quiet: as it has them. Raises its Refused, OSError.
    """
    runs, free = slots
    _, digest, size = image
    if not await fetching.has(files.IMAGE, size, digest):
        await fetching.bring(files.IMAGE + ".new", size, digest)
        os.rename(files.IMAGE + ".new", files.IMAGE)
    buffer = memoryview(bytearray(_CHUNK))
    at = start = 0
    same = True
    while at < size:
        digest, length, _, at = fetching.entry(files.IMAGE, at)
        if start + length > free.ioctl(_COUNT, 0) * _BLOCK:
            raise stage.Refused("the image is larger than its partition")
        as_before = await _is(runs, start, length, digest, buffer)
        same = same and as_before
        if not await _is(free, start, length, digest, buffer):
            if as_before:
                await _copy(runs, free, start, length, buffer, quiet)
            else:
                await _fetch(free, start, length, digest, fetching, refuse)
        start += length
    return None if same else free.info()[4]


async def _is(partition, start, length, digest, buffer):
    """Whether a piece of that SHA-256 lies in a partition from byte `start` on."""
    hashed = sha256()
    for at in range(start, start + length, _CHUNK):
        part = buffer[: min(_CHUNK, start + length - at)]
        partition.readblocks(at // _BLOCK, part, at % _BLOCK)
        hashed.update(part)
        if not at % _BLOCK:
            await asyncio.sleep_ms(0)
    return hashed.digest() == digest


def _write(partition, at, part):
    if not at % _BLOCK:
        partition.ioctl(_ERASE, at // _BLOCK)
    partition.writeblocks(at // _BLOCK, part, at % _BLOCK)


async def _copy(runs, free, start, length, buffer, quiet):
    for at in range(start, start + length, _CHUNK):
        part = buffer[: min(_CHUNK, start + length - at)]
        runs.readblocks(at // _BLOCK, part, at % _BLOCK)
        async with quiet:
            _write(free, at, part)
        await asyncio.sleep_ms(0)


async def _fetch(free, start, length, digest, fetching, refuse):
    for _ in range(_TRIES):
        place = [start]

        def write(part):
            _write(free, place[0], part)
            place[0] += len(part)

        if await fetching.copy(length, digest, write):
            return
        refuse("release_wrong_content")
    raise stage.Refused("wrong_content")
