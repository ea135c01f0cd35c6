"""Brings a release's files onto flash beside those that run, and commits to them: boot.py moves them at the next start.

Nothing larger than a chunk is held in memory. What has its SHA-256 is not fetched, be it in use or waiting, so a run
after a power cut goes on at the file where the last one was.
"""

import asyncio
import os
from binascii import hexlify
from hashlib import sha256

import packs
from micropython import const

from node import store
from node.room import drop, load, opened
from update import files

CHUNK = const(1024)
_TRIES = const(3)  # times that a file is fetched before it is given up
_INLINE = const(512)  # bytes of a file that has no block of its own
# Blocks for the plan, for folders whose blocks are written anew, and for what the journal takes while a node is online
_SPARE = const(6)
# At the top a release has these; all else there is the node's own, and boot.py is changed by cable only.
_MODULES = (".py", ".mpy", "firmware.txt")
_NOT_ITS = ("boot.", "journal/", "relay/")


class Refused(Exception):
    """A release that is not taken; args[0] is why."""


class Stage:
    """fetch(digest, n): a coroutine function that returns chunk n of a content, or raises Refused.

    refuse(why): called for each content that is another's.
    quiet: the lock that keeps what holds the processor, as a flash does that erases, and a capture apart.
    """

    def __init__(self, fetch, refuse, quiet):
        self.fetch = fetch
        self.quiet = quiet
        self.refuse = refuse
        self._buffer = memoryview(bytearray(CHUNK))
        self.fetched = 0  # bytes
        self.slot = None  # the name of the partition that holds MicroPython's next image

    async def run(self, manifest):
        """Stage and commit what `manifest` (of update.envelope) names. Raises Refused, OSError."""
        if not await self.has(files.LIST, manifest.size, manifest.listing):
            await self.bring(files.LIST + ".new", manifest.size, manifest.listing)
            os.rename(files.LIST + ".new", files.LIST)
        await self._check()
        if manifest.patches:
            await load("update.patch").apply(self, manifest.patches)
            drop("update.patch")
        at = 0
        while at < manifest.size:
            digest, size, path, at = self.entry(files.LIST, at)
            if not await self.has(path, size, digest):
                staged = _staged(path)
                if not await self.has(staged, size, digest):
                    await self.bring(staged, size, digest)
        await self._plan(manifest)
        files.drop(files.TRIED)
        os.rename(files.PLAN + ".new", files.PLAN)

    def entry(self, listing, at):
        """(SHA-256, size, path, where the next one begins) of a list's entry at a byte. Raises Refused."""
        try:
            digest, size, path, after = files.entry(at, listing)
        except (ValueError, TypeError):  # TypeError: there is none
            raise Refused("malformed")
        if not _is_firmware(path):
            raise Refused("malformed")
        return digest, size, "/" + path, after

    async def _check(self):
        """Raise Refused unless the whole list is well formed, and there is room for what is to come."""
        size = os.stat(files.LIST)[6]
        block, free = _room()
        need, folders, last, at = _SPARE, [], "", 0
        while at < size:
            digest, length, path, at = self.entry(files.LIST, at)
            if path <= last:
                raise Refused("malformed")
            last = path
            staged = _staged(path)
            if await self.has(path, length, digest) or await self.has(staged, length, digest):
                continue
            need += -(-length // block) if length > _INLINE else 0
            folder = staged.rpartition("/")[0]
            if folder not in folders and not files.there(folder):
                folders.append(folder)
        need += 2 * len(folders)
        if need > free:
            raise Refused("no room: needs {} kB, {} kB free".format(need * block // 1024, free * block // 1024))

    async def lacks(self, digest):
        """(SHA-256, size, where it is to wait) of the file whose SHA-256 begins so, if it is listed and not there."""
        entry = files.find(digest)
        while entry:
            found, length, path, at = entry
            staged = _staged("/" + path)
            if not await self.has("/" + path, length, found) and not await self.has(staged, length, found):
                return found, length, staged
            entry = files.find(digest, at)
        return None

    async def has(self, path, size, digest):
        """Whether a file has that content. digest: its SHA-256, or how that begins."""
        try:
            if os.stat(path)[6] != size:
                return False
        except OSError:
            return False
        found = None
        for found in files.digest(path, self._buffer):
            await asyncio.sleep_ms(0)
        return found is not None and found.startswith(digest)

    async def source(self, path, digest):
        """Bytes of a file of the firmware, without the slash before it, if that is how its SHA-256 begins, else 0."""
        if not _is_firmware(path) or not files.there("/" + path):
            return 0
        size = os.stat("/" + path)[6]
        return size if await self.has("/" + path, size, digest) else 0

    async def new(self, path):
        """A file of that name, empty and open, in a folder that is there."""
        _make_folders(path)
        async with self.quiet:
            return opened(path, "wb")

    async def bring(self, path, size, digest):
        """Fetch a content to `path`. Raises Refused when it is another's, time after time."""
        for _ in range(_TRIES):
            file = await self.new(path)
            try:
                good = await self.copy(size, digest, file.write)
                await self.quiet.acquire()
            except BaseException:
                file.close()
                raise
            try:
                file.close()
            finally:
                self.quiet.release()
            if good:
                return
            files.drop(path)
            self.refuse("release_wrong_content")
        raise Refused("wrong_content")

    async def copy(self, size, digest, write):
        """Fetch a content, for write(chunk); returns whether it is the right one."""
        hashed = sha256()
        at = 0
        while at < size:
            part = await self.fetch(digest, at // CHUNK)
            if len(part) != min(CHUNK, size - at):
                break
            hashed.update(part)
            async with self.quiet:
                write(part)
            at += len(part)
        self.fetched += at
        return at == size and hashed.digest() == digest

    async def _plan(self, manifest):
        """Write the plan aside: the release's number and next key, and a line for each path that changes."""
        key = hexlify(manifest.next_key).decode() if manifest.next_key else "-"
        size = os.stat(files.LIST)[6]
        moved, at = "", 0
        with opened(files.PLAN + ".new", "w") as plan:
            plan.write("{} {}\n".format(manifest.sequence, key))
            if self.slot:
                plan.write("*{}\n".format(self.slot))
            while at < size:
                _, _, path, at = self.entry(files.LIST, at)
                folder = _missing(path)
                if folder:
                    if folder != moved:
                        plan.write("+{}\n".format(folder))
                    moved = folder
                elif files.there(path + ".new"):
                    plan.write("{}{}\n".format("=" if files.there(path) else "+", path))
                await asyncio.sleep_ms(0)
            for path in files.modules():
                if not path.startswith("/boot.") and not files.listed(path[1:]):
                    plan.write("-{}\n".format(path))
            for root in files.roots():
                await self._gone(root, plan)

    async def _gone(self, path, plan):
        """Write down what of a folder, or the whole of it, the release does not have."""
        await asyncio.sleep_ms(0)
        try:
            entries = sorted(entry[:2] for entry in os.ilistdir(path))
        except OSError:
            return  # one that is new
        if not files.listed(path[1:] + "/"):
            plan.write("-{}\n".format(path))
            return
        for name, kind in entries:
            inner = path + "/" + name
            if name.endswith((".new", ".old")):
                continue
            await asyncio.sleep_ms(0)  # fifty packs in a folder, and the list is read for each
            if kind & 0x4000:
                await self._gone(inner, plan)
            elif not files.listed(inner[1:]):
                plan.write("-{}\n".format(inner))


def _is_firmware(path):
    """Whether a release may have a file of that path, without the slash before it."""
    parts = path.split("/")
    bad = len(parts) > 4 or "" in parts or "." in parts or ".." in parts or path.endswith((".new", ".old"))
    return not (bad or " " in path or path.startswith(_NOT_ITS)) and (len(parts) > 1 or path.endswith(_MODULES))


def _room():
    """(bytes of a block, blocks that are free)."""
    found = os.statvfs("/")
    # littlefs counts the two blocks of each folder below the first twice (lfs_fs_size)
    return found[0], found[3] + 2 * _folders("/")


def _folders(path):
    """How many folders there are below a path, which ends with a slash."""
    count = 0
    for name, kind, *_ in os.ilistdir(path):
        if kind & 0x4000 and path + name != packs.AT:
            count += 1 + _folders(path + name + "/")
    return count


def _missing(path):
    """The highest folder of a path that is not there, or ""."""
    parts = path.split("/")
    for depth in range(2, len(parts)):
        folder = "/".join(parts[:depth])
        if not files.there(folder):
            return folder
    return ""


def _staged(path):
    """Where a file waits for the plan."""
    moved = _missing(path) or path
    return moved + ".new" + path[len(moved) :]


def _make_folders(path):
    parts = path.split("/")
    for depth in range(2, len(parts)):
        folder = "/".join(parts[:depth])
        if not files.there(folder):
            os.mkdir(folder)


def begin(envelope):
    """Have a release be the one to fetch; another that was being fetched is forgotten. Raises OSError."""
    if files.read(files.NEXT) != envelope:
        files.abandon()
        store.replace(files.NEXT, envelope)
