"""What the flash of the bench does when its power is cut; argument: its folder."""

import json
import sys

sys.path.append(argument)
from nor_flash import NorFlash


def program(torn):
    flash = NorFlash(bytearray(b"\xff" * 8192))
    flash.cut(2, torn)
    answers = [flash.writeblocks(0, bytes(4)), flash.writeblocks(0, bytes(4), 8), flash.writeblocks(1, bytes(4))]
    answers.append(flash.readblocks(0, bytearray(4)))
    return answers, list(flash.data[:12]), flash.data[4096]


flash = NorFlash(bytearray(8192))
flash.cut(1, True)
flash.ioctl(6, 1)
flash.ioctl(6, 0)
twice = NorFlash(bytearray(b"\xff" * 4096))
twice.writeblocks(0, b"\xf0")
twice.writeblocks(0, b"\x3c")
halves = [sum(flash.data[:4096]), sum(flash.data[4096:6144]), sum(flash.data[6144:])]
print(json.dumps([program(False), program(True), halves, twice.data[0]]))
