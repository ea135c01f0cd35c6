"""Modules that share a file. littlefs gives each file whole blocks of 4 kB, and most modules are a quarter of one.

A pack begins with where each of its modules begins, and the last one ends: u16 offsets, little-endian. Behind them come
the modules, .mpy files as they are. /firmware.txt, the list of the firmware's files, names behind a pack its modules in
their order: a line each, which begins with a space and does without ".mpy". boot.py mounts the packs, to be read, as
one tree, and MicroPython's own import finds modules there by their paths.

This module must work before there are packs, and stays on the heap; host/quaver/build/packs.py makes them.
"""

import sys
from struct import unpack

import vfs

AT = "/mpy"  # where the tree is; short, because each module keeps its path
INDEX = "/firmware.txt"
_FILE = (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_FOLDER = (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def bounds(file, number):
    """Where in a pack the module of that number begins and ends."""
    file.seek(2 * number)
    return unpack("<HH", file.read(4))


class Packs:
    """index: the bytes of /firmware.txt. through: None, or what a module is read through: a function of a file, where
    the module begins and ends in it, and its path, which returns a file."""

    def __init__(self):
        self.through = None
        with open(INDEX, "rb") as file:
            self.index = file.read()
        folders, at = b"", 0  # " dsp=0815": where its modules begin; to search the whole index takes 2 ms
        for line in self.index.split(b"\n"):
            folder = line[: line.rfind(b"/")] + b"="
            if line[:1] == b" " and folder not in folders:
                folders += b"%s%04d" % (folder, at - 1)
            at += len(line) + 1
        self._folders = folders

    def find(self, path):
        """(the pack's path, number in it) of the module "/dsp/fft.mpy". Raises OSError."""
        folder = b" %s=" % path[1 : path.rfind("/")]
        at = self._folders.find(folder) + len(folder)
        begin = int(self._folders[at : at + 4]) if at >= len(folder) else -1
        at = self.index.find(b"\n %s\n" % path[1:-4], begin) if begin >= 0 else -1
        if at < 0:
            raise OSError(2)  # ENOENT
        begin = self.index.rfind(b"\ncode/", 0, at) + 1
        pack, *before = self.index[begin:at].decode().split("\n ")
        return "/" + pack, len(before)

    def stat(self, path):
        if path.endswith(".mpy"):
            self.find(path)
            return _FILE
        if len(path) == 1 or b" %s=" % path[1:] in self._folders or b" %s/" % path[1:] in self._folders:
            return _FOLDER
        raise OSError(2)

    def open(self, path, mode):
        if mode[0] != "r":
            raise OSError(30)  # EROFS
        pack, number = self.find(path)
        file = open(pack, "rb")
        begin, end = bounds(file, number)
        if self.through:
            return self.through(file, begin, end, path)
        file.seek(begin)
        return file

    def ilistdir(self, path):
        return iter(())  # the list of what is there is /firmware.txt

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass


packs = None


def mount():
    """Have imports find the modules; once."""
    global packs
    if not packs:
        packs = Packs()
        vfs.mount(packs, AT)
        sys.path.insert(0, AT)
