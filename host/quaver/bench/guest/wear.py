"""Runs on MicroPython's unix port: what the journal writes to a Pico W's file system, by policy."""

import json

import vfs
from nor_flash import NorFlash

from node.outbox import Outbox

_MOUNT = "/node"
_ALARMS = 100  # records from one event to the next


class _Bench:
    def __init__(self, image_path, page, payload):
        with open(image_path, "rb") as file:
            self.flash = NorFlash(bytearray(file.read()))
        self._payload = bytes(payload)
        vfs.mount(vfs.VfsLfs2(self.flash, readsize=page, progsize=page, mtime=False), _MOUNT)

    def run(self, records, always, up, events):
        """Write `records` as a node does and count; up: a link, over which each is acknowledged at once."""
        flash = self.flash
        name = "{}{}{}".format(int(always), int(up), int(events))
        outbox = Outbox(1, _MOUNT + "/" + name, always=always, limit=1 << 20)
        outbox.link(up)
        before = (flash.programs, flash.pages, flash.bytes, flash.erases)
        worn = list(flash.wear)
        seq = 0
        for record in range(records):
            if events and record % _ALARMS == 0:
                outbox.put("event", seq, self._payload)
                seq += 1
            outbox.put("telemetry", seq, self._payload)
            seq += 1
            if up:
                self._empty(outbox)
        after = (flash.programs, flash.pages, flash.bytes, flash.erases)
        report = dict(zip(("programs", "pages", "bytes", "erases"), [b - a for a, b in zip(before, after)]))
        report["blocks"] = sum(1 for a, b in zip(worn, flash.wear) if b > a)
        report["most"] = max(b - a for a, b in zip(worn, flash.wear))
        report["left"] = len(outbox)
        before = (flash.programs, flash.pages, flash.bytes, flash.erases)
        outbox.link(True)
        self._empty(outbox)
        after = (flash.programs, flash.pages, flash.bytes, flash.erases)
        report["drain"] = dict(zip(("programs", "pages", "bytes", "erases"), [b - a for a, b in zip(before, after)]))
        return report

    def _empty(self, outbox):
        while True:
            entry = outbox.first()
            if entry is None:
                return
            outbox.done(entry)


def main(argument):
    """argument: image, the file with the file system; page, payload: bytes; runs: [{records, always, up, events}]."""
    reports = []
    for run in argument["runs"]:
        bench = _Bench(argument["image"], argument["page"], argument["payload"])
        reports.append(bench.run(**run))
        vfs.umount(_MOUNT)
    print(json.dumps({"runs": reports}))
