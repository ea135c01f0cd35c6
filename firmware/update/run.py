"""The composition root of an update: a release that is checked, fetched, committed, and the new version confirmed."""

import asyncio
import sys
from binascii import hexlify
from hashlib import sha256

from micropython import const

import hal
from hal import restart
from node import store
from node.room import drop, load
from quaver_wire.cose import node_id
from update import files

_LEAST_S = const(180)  # that a new version runs well before it is confirmed: one may crash after a while
_LIMIT_S = const(300)  # in which it is confirmed; boot.py waits a little longer
_MISSED = const(30)  # times that a chunk was asked for in vain


def _own():
    """(this node's id, its board's name)."""
    import board

    found = node_id(bytes.fromhex(hal.port(board).unique_id())), board.NAME
    drop("board", "hal.chip")
    return found


async def check(envelope, parts):
    """The manifest in `envelope`, which this node may take. Raises update.envelope.Refused."""
    found = load("update.envelope")
    data = None
    for data in found.payload(envelope, files.read(files.KEY)):
        await asyncio.sleep_ms(0)
    own, board = _own()
    manifest = found.Manifest(data, board, load("quaver_wire.decoder").loads)
    now = parts["uptime"].time_ms()
    version = ".".join(str(part) for part in sys.implementation.version[:3])
    if manifest.image and _slots():
        version = manifest.image[0]
    else:
        manifest.image = None  # of no use to a board with one slot
    drop("hal.slots", "update.stage")
    manifest.judge(own, files.sequence(), now and now // 1000, version, getattr(sys.implementation, "_mpy", 0))
    drop("update.envelope", "update.p256")
    return manifest


def _slots():
    try:
        return load("hal.slots").slots()
    except ImportError:  # no ESP32
        return None


def _topic(digest, n):
    return "release/{}/{}".format(hexlify(digest[:8]).decode(), n)


async def manifest_at(digest, size, mailbox):
    """The envelope of that SHA-256. Raises ValueError when the broker has none, or another."""
    envelope = b""
    while len(envelope) < size:
        part = await mailbox.fetch(_topic(digest, len(envelope) // 1024))
        if part is None:
            raise ValueError("the release is not at the broker: publish it")
        if len(part) != min(1024, size - len(envelope)):
            break
        envelope += part
    if sha256(envelope).digest() != digest:
        mailbox.refuse("release_wrong_content")
        raise ValueError("the broker has another manifest: publish the release again")
    return envelope


async def run(mailbox, parts):
    """Go on with what flash has begun: a trial, or the fetching of a release. Raises OSError, MemoryError."""
    if files.there(files.PLAN):
        await _trial(mailbox, parts)
    elif files.there(files.NEXT):
        await _fetch(mailbox, parts)


async def _trial(mailbox, parts):
    measuring, supervisor = parts["measuring"], parts["supervisor"]
    well = 0  # since when: a task that has died has measured nothing again
    for second in range(_LIMIT_S):
        if not measuring.has_measured:
            well = second + 1
        if second - well >= _LEAST_S and mailbox.acknowledged:
            supervisor.alive()
            async with parts["quiet"]:
                if files.slot():
                    load("hal.slots").keep()  # first: boot.py takes back what is not accepted
                files.accept()
            supervisor.alive()
            mailbox.on_trial = False
            number = files.sequence()
            print("node: update", number, "confirmed")
            parts["recorder"].event("update_confirmed", value=float(number))
            return
        await asyncio.sleep(1)
    lacks = [] if mailbox.acknowledged else ["not online"]
    lacks += [] if measuring.has_measured else ["nothing measured"]
    _restart(parts, "{} within {} s".format(", ".join(lacks) or "not confirmed", _LIMIT_S))


def _restart(parts, why=None):
    if why:
        try:
            store.replace(files.TRIED, why.encode())
        except OSError:
            pass
    parts["outbox"].link(False)  # what is in RAM goes to flash
    restart.reset()


async def _fetch(mailbox, parts):
    if "clear" in parts:
        parts["clear"]()  # on a gateway: what it keeps of releases for its nodes
    stage, envelope = load("update.stage"), load("update.envelope")
    while parts["uptime"].time_ms() is None:
        await asyncio.sleep(5)  # whether it has expired

    async def fetch(digest, n):
        for _ in range(_MISSED):
            part = await mailbox.fetch(_topic(digest, n))
            if part is not None:
                return part
        raise stage.Refused("a chunk is not at the broker: {}".format(_topic(digest, n)))

    refused = envelope.Refused
    try:
        manifest = await check(files.read(files.NEXT), parts)
        stage = load("update.stage")
        run = stage.Stage(fetch, mailbox.refuse, parts["quiet"])
        if manifest.image:
            run.slot = await load("update.image").bring(manifest.image, _slots(), run, mailbox.refuse, parts["quiet"])
            drop("update.image", "hal.slots")
        await run.run(manifest)
    except (refused, stage.Refused, ValueError) as error:
        print("node: update given up:", error)
        parts["recorder"].event("update_rejected", text=str(error)[-96:])
        if isinstance(error, refused) or error.args[0] == "malformed":
            mailbox.refuse("release_" + error.args[0])
        files.abandon()
        return
    print("node: update", manifest.sequence, "is staged,", run.fetched, "bytes: restarts")
    _restart(parts)
