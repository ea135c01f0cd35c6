"""Mounts the flash again: the unix board dies at the n-th write or erase from then on, with a part of it done.

Its last word ends the exec, as no real cut would, so that nobody waits for an answer.
"""

import machine
import os
import quaver_boot
import vfs

_size = machine._about["block_size"], machine._about["block_count"]
_kept = [vfs.mount()]  # what the collector takes it closes, and with it the number that others have too


def _flash():
    for fd in range(3, 1024):
        try:
            _kept.append(open(fd, "r+b"))
            if 0 <= _kept[-1].seek(0, 2) - _size[0] * _size[1] <= 4096:  # behind it the low-power memory
                return _kept[-1]
        except OSError:
            pass


class Mortal(quaver_boot.Flash):
    left = n

    def writeblocks(self, block, buffer, offset=0):
        if self.left == 0:
            super().writeblocks(block, memoryview(buffer)[: len(buffer) * (n % 3) // 3], offset)
            print(end="\x04cut\x04>")
            machine.reset()
        self.left -= 1
        super().writeblocks(block, buffer, offset)


vfs.umount("/")
vfs.mount(vfs.VfsLfs2(Mortal(_flash(), *_size), mtime=False), "/")
