"""A node that behaves, as a program for the real MicroPython: the device's own session, enrolment and console.

Its world: an access point "plant" whose password is "correct horse", and the folder it is started with as its flash.
"""

import asyncio
import json
import os
import sys

from build.keys import CODE, KEY, load_code, load_key
from enrol.console import Console
from enrol.enrolment import Enrolment
from enrol.session import Session, Tries
from links.improv import Improv
from node.clock import Uptime
from node.seal import Ccm
from quaver_wire.session import PLAIN_MAX

settings = json.loads(sys.argv[1])
root = settings["root"]
about = {"id": settings["id"], "board": settings.get("board", "unix"), "firmware": "0.1.0"}


def check(config):
    return [] if config.get("node") else ["node: expected a name"]


async def join(ssid, password):
    await asyncio.sleep_ms(settings.get("join_ms", 20))
    if ssid != "plant":
        raise OSError("wifi no such network")
    if password != "correct horse":
        raise OSError("wifi wrong password")


async def scan():
    return [("plant", -52, True), ("guests", -70, False), ("plant", -80, True)]


def identify():
    print("node: identify")


tries = Tries(Uptime(), root + "/session.tries")
enrolment = Enrolment(about, check, join, scan, identify, tries, root=root)
held = load_key(root + KEY) is not None
identity = bytes.fromhex(settings["id"])
code = load_code(root + CODE)
session = Session(identity, code, lambda key: Ccm(key, PLAIN_MAX), tries, os.urandom, held, identify)
console = Console(session, enrolment)
if settings.get("improv"):

    async def keep(ssid, password):
        await join(ssid, password)
        print("node: keeps", ssid)
        return []

    console.improv = Improv(console.emit, ("Quaver", "0.1.0", "unix", "n"), keep, scan, identify, Uptime(), serial=True)
    console.improv.open(60)
print("node: ready")
asyncio.run(console.run(settings.get("window_s")))
sys.exit(0 if console.served else 3)  # what it says last goes with its terminal, read or not
