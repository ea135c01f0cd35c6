"""main.py of both versions on an emulated board: what a node does of an update at each start, and told on the console.

/versions.json: for "old" and "new" path -> SHA-256, hexadecimal, of all that could be imported. /update.json: of the
release the list's SHA-256 and size, "outcome", what becomes of it, and "slot", the partition with an image of
MicroPython that comes with it, or "". /store: contents by the first half of theirs.
"""

import asyncio
import json
import os
import time
from binascii import hexlify
from hashlib import sha256

import machine
from uctypes import addressof

from update import files, stage

ORDER = "/order"  # until the release was begun
OWN = "/config.json", b'{"node": "n1"}'


class Manifest:
    sequence = 7
    next_key = None


def say(*words):
    print("U", *words)
    time.sleep_ms(3)  # a line is out of the chip before the next one


def firmware():
    found = {}
    buffer = memoryview(bytearray(1024))

    def walk(folder):
        for name, kind, *_ in os.ilistdir(folder or "/"):
            path = folder + "/" + name
            if name.endswith((".new", ".old")) or path in ("/store", "/mpy"):
                continue
            if kind & 0x4000:
                walk(path)
            elif folder or name.endswith((".py", ".mpy", "firmware.txt")):
                for digest in files.digest(path, buffer):
                    found[path] = digest and hexlify(digest).decode()

    walk("")
    return found


async def chunk(digest, n):
    with open("/store/" + hexlify(digest[:16]).decode(), "rb") as file:
        file.seek(n * stage.CHUNK)
        return file.read(stage.CHUNK)


def fetch():
    manifest = Manifest()
    with open("/update.json") as file:
        about = json.load(file)
    manifest.listing, manifest.size = bytes.fromhex(about["listing"]), about["size"]
    manifest.patches = bytes.fromhex(about["patches"][0]), about["patches"][1]
    fetching = stage.Stage(chunk, lambda why: None, asyncio.Lock())
    fetching.slot = about["slot"] or None
    asyncio.run(fetching.run(manifest))
    say("staged")
    machine.reset()


def order():
    """Wait for the command to take the release."""
    flag = bytearray(1)
    say("ready", addressof(flag))
    while not flag[0]:
        time.sleep_ms(20)
    stage.begin(b"the signed manifest")
    os.remove(ORDER)
    fetch()


def image(slot):
    """The version of the image of MicroPython that runs."""
    from hal.slots import slots

    return "new" if slots()[0].info()[4] == slot else "old"


def start():
    with open("/versions.json") as file:
        versions = json.load(file)
    with open("/update.json") as file:
        about = json.load(file)
    found = firmware()
    names = [name for name in versions if versions[name] == found]
    if about["slot"] and names != [image(about["slot"])]:
        names = []
    with open(OWN[0], "rb") as file:
        own = file.read() == OWN[1]
    say("runs", names[0] if names else "mixed", "own" if own else "lost")
    files.finish()
    if files.why("PWRON_RESET"):
        files.forget()
    if files.there(files.PLAN):
        say("trial")
        if about["outcome"] == "taken back":
            machine.reset()
        if files.slot():
            from hal.slots import keep

            keep()
        files.accept()
    elif files.there(files.NEXT):
        fetch()
    elif files.there(ORDER):
        order()
    left = [name for name in os.listdir("/") + os.listdir("/code") if name.endswith((".new", ".old"))]
    left += [name for name in os.listdir("/") if name.startswith("release.") and name != files.SEQUENCE[1:]]
    say("end", names[0] if names else "mixed", files.sequence(), *left)


start()
