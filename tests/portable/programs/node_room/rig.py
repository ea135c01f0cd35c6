"""A littlefs in memory with a file and a module on it, and a small room for opening them."""

import sys

import vfs

from __main__ import argument
from node import room

room.SIZE = 156  # 1,200 bytes where an address has 64 bits, in blocks of 32, and one more


class Flash:
    def __init__(self):
        self.data = bytearray(16 * 4096)

    def readblocks(self, n, buf, off=0):
        buf[:] = memoryview(self.data)[n * 4096 + off : n * 4096 + off + len(buf)]

    def writeblocks(self, n, buf, off=0):
        self.data[n * 4096 + off : n * 4096 + off + len(buf)] = buf

    def ioctl(self, op, arg):
        return {4: 16, 5: 4096}.get(op, 0)


def tried(work):
    try:
        return work()
    except MemoryError:
        return "no memory"


def write(path, data):
    with room.opened(path, "wb") as file:
        file.write(data)


def read(opens):
    with opens("/flash/a") as file:
        return file.read()


flash = Flash()
vfs.VfsLfs2.mkfs(flash, progsize=256)
vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/flash")
sys.path.append("/flash")
write("/flash/a", b"what it holds")
write("/flash/more.mpy", bytes.fromhex(argument))
