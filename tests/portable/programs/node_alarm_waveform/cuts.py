"""Cuts the power at each operation of a save that replaces a waveform; says which one a start finds then."""

import json
import sys
from binascii import crc32

sys.path.append(argument[0])
import vfs
from nor_flash import NorFlash

from node.alarm_waveform import AlarmWaveform

page = argument[1]
old, new = bytes(range(256)) * 32, bytes(range(255, -1, -1)) * 32
names = {crc32(old): "old", crc32(new): "new"}


def mounted(image, work):
    flash = NorFlash(image)
    vfs.mount(vfs.VfsLfs2(flash, readsize=page, progsize=page, mtime=False), "/node")
    try:
        return work(flash, AlarmWaveform(lambda: (1, 0, None), "/node/alarm.wave"))
    finally:
        vfs.umount("/node")


def whole(flash, kept):
    about = kept.about()
    data = b"".join([kept.part(about["crc"], at, 480) for at in range(0, about["size"], 480)])
    return names[crc32(data)] if crc32(data) == about["crc"] else "half"


def save(what):
    def work(flash, kept):
        kept.save(what, 26667.0, 0.000488)
        return flash.operations, flash.erases

    return work


start = bytearray(b"\xff" * 4096 * 32)
vfs.VfsLfs2.mkfs(NorFlash(start), readsize=page, progsize=page)
mounted(start, save(old))
operations, erases = mounted(bytearray(start), save(new))
found = []
for operation in range(1, operations + 2):
    for torn in (False, True):
        image = bytearray(start)

        def cut(flash, kept):
            flash.cut(operation, torn)
            try:
                kept.save(new, 26667.0, 0.000488)
            except OSError:
                pass

        try:
            mounted(image, cut)
        except OSError:
            pass
        found.append(mounted(image, whole))
print(json.dumps([found, erases]))
