"""Runs on MicroPython's unix port: what a node's own code makes of releases that are not for it, or not genuine.

Each attempt goes the whole way: the command `update` (command.update) reads the manifest from the broker, checks and
judges it; and where one is genuine, its contents are fetched (update.run), one chunk of them forged.
"""

import asyncio
import json
import os
import random
import sys
from binascii import hexlify, unhexlify
from hashlib import sha256

import vfs
from nor_flash import NorFlash


class _Machine:
    """Nothing of it is used: what restarts the node is replaced below."""


sys.modules["machine"] = _Machine()

from command import update as command  # noqa: E402
from node import mailbox as mailbox_module  # noqa: E402
from quaver_wire import decoder  # noqa: E402, F401  all that is used is there before flash is
from update import envelope, files, p256, run, stage  # noqa: E402, F401

_BLOCKS = 24
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SHOWN = 9  # failures that are told


class _Time:
    """An hour passes between two looks, so nothing that was counted waits."""

    now = 0

    def ticks_ms(self):
        self.now += 3_600_000
        return self.now

    def ticks_diff(self, a, b):
        return a - b


class _Staged(Exception):
    """The node restarts with a new version."""


class _Mailbox(mailbox_module.Mailbox):
    """Its link is `broker`, topic -> content."""

    def __init__(self, parts):
        super().__init__(parts)
        self.broker = {}

    async def fetch(self, topic):
        return self.broker.get(topic)

    def update(self):
        """What it would fetch is looked at here."""


class _Node:
    """What the command works on, and the events that it sends."""

    def __init__(self, unix_s):
        self.unix_s = unix_s
        self.told = {}
        self.rejected = 0
        self.parts = {"recorder": self, "uptime": self, "outbox": self, "quiet": asyncio.Lock(), "trial": None}
        self.mailbox = _Mailbox(self.parts)

    def event(self, name, subject="", text="", count=0):
        if name == "message_refused":
            self.told[subject] = self.told.get(subject, 0) + count
        else:
            self.rejected += 1

    def time_ms(self):
        return self.unix_s and self.unix_s * 1000

    def link(self, works):
        pass

    def counted(self):
        return sum(self.told.values())


class Trial:
    """own: "key" (x and y) and "sequence" of the node, "node" (its id); hexadecimal. genuine: envelopes that it takes.
    classes: name -> envelopes that are signed as they should be, or not, and are not for it. contents: of one genuine
    release, which the first of `genuine` names: a list and its files, in hexadecimal.
    """

    def __init__(self, seed, count, own, genuine, classes, contents, unix_s):
        random.seed(seed)
        self._count = count
        self._own = own
        self._genuine = [unhexlify(one) for one in genuine]
        self._classes = {name: [unhexlify(one) for one in found] for name, found in classes.items()}
        self._contents = [unhexlify(one) for one in contents]
        self._node = _Node(unix_s)
        self._wrong = []
        self._image = bytearray(b"\xff" * 4096 * _BLOCKS)
        run._own = lambda: (unhexlify(own["node"]), "unix")
        run.restart.reset = self._restart
        mailbox_module.time = _Time()
        # modules stay: what it costs to read them again is no part of this
        command.drop = run.drop = lambda *names: None

    def _restart(self):
        raise _Staged

    def run(self):
        vfs.umount("/")
        flash = NorFlash(self._image)
        vfs.VfsLfs2.mkfs(flash, readsize=256, progsize=256)
        vfs.mount(vfs.VfsLfs2(flash, readsize=256, progsize=256, mtime=False), "/")
        with open(files.KEY, "wb") as file:
            file.write(unhexlify(self._own["key"]))
        with open(files.SEQUENCE, "w") as file:
            file.write(str(self._own["sequence"]))
        with open("/firmware.txt", "w") as file:
            file.write("firmware.txt\n")
        self._before = self._flash()
        ways = [(name, self._signed) for name in sorted(self._classes)]
        ways += [(name, getattr(self, "_" + name)) for name in _MADE]
        ways += [("chunk " + name, self._chunk) for name in _CHUNKS]
        ways += [("no date", self._no_date)]
        taken = {}
        tried = {name: 0 for name, _ in ways}
        for number in range(self._count):
            name, way = ways[number % len(ways)]
            before = self._node.counted()
            try:
                if asyncio.run(way(name)):
                    taken[name] = taken.get(name, 0) + 1
            except Exception as error:
                self._fail("{}: {}".format(name, repr(error)))
            tried[name] += 1
            if self._node.counted() <= before:
                self._fail("{}: no security event".format(name))
            if self._flash() != self._before:
                self._fail("{}: flash is not as it was: {}".format(name, os.listdir("/")))
                files.drop(files.PLAN)
                files.abandon()
        counted = self._node.counted()
        self._node.mailbox.broker = {}
        self._serve(*self._contents)
        if not asyncio.run(self._whole(self._genuine[0])):
            self._fail("the genuine release is not taken")
        if self._node.counted() != counted:
            self._fail("the genuine release is counted as an attempt")
        return {"tried": tried, "taken": taken, "told": self._node.told, "wrong": self._wrong}

    def _fail(self, text):
        if len(self._wrong) < _SHOWN:
            self._wrong.append(text)

    def _flash(self):
        found = {}
        for name in os.listdir("/"):
            with open("/" + name, "rb") as file:
                found[name] = file.read()
        return found

    def _serve(self, *contents):
        for content in contents:
            name = hexlify(sha256(content).digest()[:8]).decode()
            for at in range(0, max(1, len(content)), 1024):
                self._node.mailbox.broker["release/{}/{}".format(name, at // 1024)] = content[at : at + 1024]

    async def _command(self, data, digest=None, size=None):
        """Whether the node would fetch what the manifest `data` names."""
        self._serve(data)
        try:
            await command.run(self._node, digest or sha256(data).digest(), len(data) if size is None else size)
        except ValueError:
            pass
        return files.there(files.NEXT)

    async def _whole(self, data):
        """Whether the node would restart with what the manifest `data` names."""
        if not await self._command(data):
            return False
        try:
            await run.run(self._node.mailbox, self._node.parts)
        except _Staged:
            return True
        return False

    async def _signed(self, name):
        self._node.mailbox.broker.clear()
        return await self._command(random.choice(self._classes[name]))

    async def _made(self, data):
        self._node.mailbox.broker.clear()
        return await self._command(bytes(data))

    async def _changed(self, _):
        data = bytearray(random.choice(self._genuine))
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        return await self._made(data)

    async def _overwritten(self, _):
        data = bytearray(random.choice(self._genuine))
        at = random.randrange(len(data) - 8)
        data[at : at + 8] = _bytes(8)
        return await self._made(data)

    async def _truncated(self, _):
        data = random.choice(self._genuine)
        return await self._made(data[: random.randrange(1, len(data))])

    async def _longer(self, _):
        data = random.choice(self._genuine)
        at = random.randrange(len(data) + 1)
        return await self._made(data[:at] + _bytes(random.randrange(1, 9)) + data[at:])

    async def _of_a_stranger(self, _):
        return await self._made(_bytes(random.randrange(100, 1200)))

    async def _signature_of_another(self, _):
        data = random.choice(self._genuine)
        other = random.choice([one for one in self._genuine if one != data])
        return await self._made(data[:-64] + other[-64:])

    async def _signature_made_up(self, _):
        data = random.choice(self._genuine)
        numbers = [0, 1, _ORDER - 1, _ORDER, _ORDER + 1, (1 << 256) - 1]
        r = random.choice(numbers).to_bytes(32, "big") if random.getrandbits(1) else _bytes(32)
        s = random.choice(numbers).to_bytes(32, "big") if random.getrandbits(1) else _bytes(32)
        return await self._made(data[:-64] + r + s)

    async def _not_the_one_named(self, _):
        """The broker has another manifest where the command's should be: any but that one, genuine or not."""
        named, other = self._genuine[0], random.choice(self._genuine[1:] + [one[:-1] for one in self._genuine])
        self._node.mailbox.broker = {"release/{}/0".format(hexlify(sha256(named).digest()[:8]).decode()): other}
        return await self._named(named)

    async def _named(self, named):
        try:
            await command.run(self._node, sha256(named).digest(), len(named))
        except ValueError:
            pass
        return files.there(files.NEXT)

    async def _no_date(self, _):
        self._node.unix_s, kept = None, self._node.unix_s
        try:
            return await self._made(random.choice(self._genuine))
        finally:
            self._node.unix_s = kept

    async def _chunk(self, name):
        broker = self._node.mailbox.broker
        broker.clear()
        self._serve(*self._contents)
        topics = sorted(broker)
        topic = random.choice(topics)
        good = broker[topic]
        broker[topic] = self._forged(name[6:], good, [broker[one] for one in topics if broker[one] != good])
        return await self._whole(self._genuine[0])

    def _forged(self, how, good, others):
        if how == "changed":
            data = bytearray(good)
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            return bytes(data)
        if how == "truncated":
            return good[: random.randrange(len(good))]
        if how == "longer":
            return good + _bytes(random.randrange(1, 9))
        return random.choice(others)  # of another place, or of another content


_MADE = (
    "changed",
    "overwritten",
    "truncated",
    "longer",
    "of_a_stranger",
    "signature_of_another",
    "signature_made_up",
    "not_the_one_named",
)
_CHUNKS = ("changed", "truncated", "longer", "of another place")


def _bytes(count):
    return bytes(random.getrandbits(8) for _ in range(count))


def main(argument):
    """argument: the Trial's, by name; prints its report."""
    run.print = lambda *_: None  # a line for each attempt
    print(json.dumps(Trial(**argument).run()))
