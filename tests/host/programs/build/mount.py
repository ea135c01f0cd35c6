"""Mounts the littlefs `image` and lives in it, as a board does."""

import os
import sys
import vfs


class Device:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())

    def readblocks(self, block, buffer, offset=0):
        at = block * 4096 + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        at = block * 4096 + offset
        self.data[at : at + len(buffer)] = buffer

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // 4096
        if op == 5:
            return 4096
        if op == 6:
            self.data[arg * 4096 : (arg + 1) * 4096] = b"\xff" * 4096
        return 0


device = Device(image)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(device, progsize=progsize), "/")
os.chdir("/")
sys.path[:] = ["", "/lib"]
