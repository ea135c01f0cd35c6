"""Runs a change of flash again and again on littlefs, the power cut at its first operation, its second, to its last."""

import vfs

_BLOCK = 4096
_COUNT = 24


class CutFlash:
    """NOR flash in memory whose power goes at an operation; torn: the first half of that one still happens."""

    def __init__(self, image):
        self.image = bytearray(image) if image else bytearray(b"\xff" * _BLOCK * _COUNT)
        self.mortal = False
        self.left = 0
        self.torn = False
        self.operations = 0

    def readblocks(self, block, buffer, offset=0):
        at = block * _BLOCK + offset
        buffer[:] = self.image[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        self._change(block * _BLOCK + offset, bytes(buffer))

    def ioctl(self, request, value):
        if request == 4:
            return _COUNT
        if request == 5:
            return _BLOCK
        if request == 6:
            self._change(value * _BLOCK, b"\xff" * _BLOCK)
        return 0

    def _change(self, at, data):
        self.operations += 1
        if self.mortal:
            if self.left <= 0:
                raise OSError(5)
            self.left -= 1
            if self.left == 0:
                if self.torn:
                    self.image[at : at + len(data) // 2] = data[: len(data) // 2]
                raise OSError(5)
        self.image[at : at + len(data)] = data


def mounted(image, work, left=None, torn=False):
    """Mount `image` (None: a fresh one) at /flash, do `work()`, unmount.

    left: the operation at which the power goes. Returns (the image then, work's result, operations done).
    """
    flash = CutFlash(image)
    if image is None:
        vfs.VfsLfs2.mkfs(flash)
    system = vfs.VfsLfs2(flash, mtime=False)
    vfs.mount(system, "/flash")
    flash.operations = 0
    if left is not None:
        flash.mortal = True
        flash.left = left
        flash.torn = torn
    result = None
    try:
        result = work()
    except OSError:
        if not flash.mortal or flash.left > 0:
            raise
    finally:
        flash.mortal = False
        vfs.umount("/flash")
    return bytes(flash.image), result, flash.operations


def every_cut(before, work, check):
    """Do `work` from the image `before` with a cut at each operation, whole and torn; call check(cut) on the flash
    that is left, mounted again. Returns how many cuts were tried."""
    _, _, operations = mounted(before, work)
    for torn in (False, True):
        for left in range(1, operations + 1):
            image, _, _ = mounted(before, work, left, torn)
            mounted(image, lambda cut=(left, torn): check(cut))
    return 2 * operations
