"""A node's outbox and journal over littlefs, on flash in memory that can be cut."""

import sys

from __main__ import argument

GUEST, BLOCKS = argument[:2]
sys.path.append(GUEST)
import vfs
from nor_flash import NorFlash

from node import outbox

flash = NorFlash(bytearray(b"\xff" * 4096 * BLOCKS))
vfs.VfsLfs2.mkfs(flash, readsize=256, progsize=256)
vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/n")
told = []


class Node:
    # A node's records: payloads that say who they are.
    def __init__(self, boot, **settings):
        self.seq = 0
        self.outbox = outbox.Outbox(boot, "/n/journal", **settings)
        self.outbox.report = self.event

    def put(self, message_class="telemetry", size=100):
        self.outbox.put(message_class, self.seq, b"%s %d " % (message_class.encode(), self.seq) + bytes(size))
        self.seq += 1

    def event(self, name, subject="", value=None, drops=None):
        told.append([name, subject, value, drops])
        self.put("event")

    def send(self, most=10000):
        sent = []
        while len(sent) < most:
            for name, values in self.outbox.losses():
                self.event(name, **values)
            entry = self.outbox.first()
            if not entry:
                break
            assert entry.payload.startswith(b"%s %d " % (entry.message_class.encode(), entry.seq))
            sent.append([entry.message_class[0], entry.boot, entry.seq])
            self.outbox.done(entry)
        return sent


def restart(boot, **settings):
    # The power goes: RAM is lost, and flash is mounted again.
    global flash
    vfs.umount("/n")
    flash = NorFlash(flash.data)
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/n")
    return Node(boot, **settings)


def flipped(data, at, bits):
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def spoil(name, change):
    with open("/n/journal/" + name, "rb") as file:
        data = file.read()
    data = change(data)
    with open("/n/journal/" + name, "wb") as file:
        file.write(data)
