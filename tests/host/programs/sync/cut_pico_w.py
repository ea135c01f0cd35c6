"""As cut.py, for the Pico W's flash. USB gets time to carry the last word."""

import machine
import rp2
import time
import vfs


class Mortal:
    left = n

    def __init__(self):
        self.flash = rp2.Flash()
        self.ioctl = self.flash.ioctl
        self.readblocks = self.flash.readblocks

    def writeblocks(self, *arguments):
        if self.left == 0:
            print(end="\x04cut\x04>")
            time.sleep_ms(50)
            machine.reset()
        self.left -= 1
        return self.flash.writeblocks(*arguments)


vfs.umount("/")
vfs.mount(vfs.VfsLfs2(Mortal(), progsize=256, mtime=False), "/")
