"""Runs on MicroPython's unix port: an update on flash, and after a cut at each flash operation of it what starts.

One update is recorded, operation by operation: fetched, committed, on trial, then confirmed, or taken back, or given
up. The contents of flash at each cut, clean or torn, are those operations replayed so far. On each the board starts
anew, through the real boot.py, and goes on until nothing is under way. At each of these starts all files of the
firmware must be those of one version, the modules in packs must be found as imports find them, and the node's own data
must be whole. What was on flash must not be fetched again, but for the file in which the power went, and the patches.
"""

import asyncio
import json
import os
import sys
from binascii import hexlify
from hashlib import sha256

import packs
import vfs
from nor_flash import NorFlash, change, tear

from node import store  # noqa: F401  all that is used must be there before flash takes the place of this machine's
from node.outbox import Outbox
from update import files, patch, stage  # noqa: F401  patch: as above

_STARTS = 6  # after which everything has ended
_SEQUENCE = 7


class _Machine:
    pass


class _Gc:
    """boot.py has a board collect after each 24 kB, which takes the most of the time with this heap."""

    @staticmethod
    def threshold(size):
        pass


class _Manifest:
    sequence = _SEQUENCE

    def __init__(self, listing, patches, next_key):
        self.listing = sha256(listing).digest()
        self.size = len(listing)
        self.patches = (sha256(patches).digest(), len(patches))
        self.next_key = next_key


def _write(path, data):
    folder = ""
    for part in path.split("/")[1:-1]:
        folder += "/" + part
        if not files.there(folder):
            os.mkdir(folder)
    with open(path, "wb") as file:
        file.write(data)


def _firmware():
    """Path -> SHA-256 of all that could be imported, of both versions and of none."""
    found = {}

    def walk(folder):
        for name, kind in sorted(entry[:2] for entry in os.ilistdir(folder or "/")):
            path = folder + "/" + name
            if name.endswith((".new", ".old")) or path in ("/journal", packs.AT):
                continue
            if kind & 0x4000:
                walk(path)
            elif folder or name.endswith((".py", ".mpy", "firmware.txt")):
                with open(path, "rb") as file:
                    found[path] = sha256(file.read()).digest()

    walk("")
    return found


def _unmount_packs():
    """As a reset does."""
    if packs.packs:
        vfs.umount(packs.AT)
        sys.path.remove(packs.AT)
        packs.packs = None


def _modules(contents):
    """Module -> its bytes, of the packs in a version; `packs` itself is what is tried."""
    found = {}
    for entry in contents["firmware.txt"].decode().replace("\n ", " ").split("\n"):
        pack, *names = entry.split(" ")
        for at, name in enumerate(names):
            begin, end = [int.from_bytes(contents[pack][i : i + 2], "little") for i in (2 * at, 2 * at + 2)]
            found["/" + name + ".mpy"] = contents[pack][begin:end]
    return found


def _digests(contents):
    return {"/" + path: sha256(data).digest() for path, data in contents.items()}


class Board:
    """A board on `flash`: its starts, and what is promised at which operation. outcome: of its new version."""

    def __init__(self, trial, flash, began=0):
        self._trial = trial
        self._flash = flash
        self._began = began
        self.fetches = []  # at which operation each chunk was asked for
        self.committing = self.started = self.accepting = self.accepted = None
        self.wrong = []

    def now(self):
        return self._began + self._flash.operations

    def start(self, version=None, ordered=False):
        """One start, until the next reset; returns whether anything is under way after it. version: which it must be;
        None for either. ordered: the command to take the release comes."""
        trial = self._trial
        _unmount_packs()
        exec(trial.boot, {"__name__": "boot"})
        found = _firmware()
        names = [name for name, wanted in trial.versions.items() if found == wanted]
        if not names:
            paths = set(found) | set(trial.versions["old"]) | set(trial.versions["new"])
            parts = [path for path in paths if found.get(path) != trial.versions["old"].get(path)]
            self.wrong.append("neither old nor new: not as in old are {}".format(sorted(parts)))
            return False
        if version and names != [version]:
            self.wrong.append("started {}, not {}".format(names[0], version))
        if files.there(files.PLAN) and names != ["new"]:
            self.wrong.append("on trial is the old version")
        for path, data in trial.modules[names[0]].items():
            with open(packs.AT + path, "rb") as file:
                if file.read(len(data)) != data:
                    self.wrong.append("imported is another {}".format(path))
        self._own()
        files.finish()
        if files.why("PWRON_RESET"):
            files.forget()
        if files.there(files.PLAN):
            if self.started is None:
                self.started = self.now()
            if trial.outcome == "confirmed":
                self.accepting = self.now()
                files.accept()
                self.accepted = self.now()
                return False
            return True
        if ordered:
            stage.begin(b"the signed manifest")
        if files.there(files.NEXT):
            self.fetch()
            return True
        return False

    def fetch(self):
        trial = self._trial
        step = stage.Stage(self._chunk, lambda why: None, asyncio.Lock())
        try:
            asyncio.run(step.run(trial.manifest))
        except stage.Refused:
            files.abandon()
            return
        if trial.outcome == "corrupt":
            _write(trial.altered, b"another")

    async def _chunk(self, digest, n):
        if self.committing is None:
            self.committing = self.now()
        self.fetches.append(self.now())
        content = self._trial.contents[digest]
        if self._trial.outcome == "given up" and content is self._trial.last:
            raise stage.Refused("a chunk is not there")
        return content[n * stage.CHUNK : (n + 1) * stage.CHUNK]

    def _own(self):
        for path, data in self._trial.own.items():
            if files.read(path, 4096) != data:
                self.wrong.append("{} is not as it was".format(path))
        outbox = Outbox(self._trial.boot_number, "/journal")
        entry = outbox.first()
        if entry is None or entry.payload != b"an alarm":
            self.wrong.append("the journal is not as it was")

    def end(self):
        """Nothing is under way: what must be left, and what not."""
        found = _firmware()
        names = [name for name, wanted in self._trial.versions.items() if found == wanted]
        number = files.sequence()
        key = files.read(files.KEY)
        if names == ["new"]:
            good = number == _SEQUENCE and key == self._trial.manifest.next_key
        else:
            good = names == ["old"] and number == 3 and key == self._trial.key
        if not good:
            self.wrong.append("ends as {}, number {}, key {}".format(names, number, hexlify(key[:4])))
        left = [name for name in os.listdir("/") if name.startswith("release.") and name[8:] not in ("key", "sequence")]
        for folder in [""] + files.roots():
            if files.there(folder or "/"):
                left += [name for name in os.listdir(folder or "/") if name.endswith((".new", ".old"))]
        if left:
            self.wrong.append("left behind: {}".format(left))
        return names


class Trial:
    """Every cut of one update. page: what littlefs programs at once, in bytes. old, new: path -> content, as
    hexadecimal digits; patches: of some of these, likewise.

    inner_every: after every so many cuts the starts that follow are cut too, at each of their operations. every: cut at
    each operation, or at each so many.
    """

    def __init__(self, boot, old, new, patches, outcome, page, blocks, inner_every, every):
        self.boot = compile(boot, "boot.py", "exec")
        self.outcome = outcome
        self._page = page
        self._inner_every = inner_every
        self._every = every
        old = {path: bytes.fromhex(digits) for path, digits in old.items()}
        new = {path: bytes.fromhex(digits) for path, digits in new.items()}
        self._old = old
        self.modules = {"old": _modules(old), "new": _modules(new)}
        self.versions = {"old": _digests(old), "new": _digests(new)}
        listing = b"".join(
            sha256(new[p]).digest() + len(new[p]).to_bytes(2, "little") + p.encode() + b"\n" for p in sorted(new)
        )
        patches = bytes.fromhex(patches)
        self.manifest = _Manifest(listing, patches, b"N" * 64)
        self.key = b"K" * 64
        self.contents = {sha256(data).digest(): data for data in new.values()}
        self.contents[self.manifest.listing] = listing
        self.contents[self.manifest.patches[0]] = patches
        changed = [path for path in sorted(new) if old.get(path) != new[path] and path in old]
        self.last = new[changed[-1]]
        self.longest = (max(map(len, self.contents.values())) + len(patches)) // stage.CHUNK + 2
        self.altered = "/" + changed[-1] + ".new"
        self.own = {"/config.json": b'{"node": "n1"}', "/device.key": b"{}" * 30, "/condition.json": b"[1, 2]" * 100}
        self.boot_number = 9
        self._image, self._second, self._third, self._scratch = [bytearray(4096 * blocks) for _ in range(4)]
        self.report = {"operations": 0, "cuts": 0, "inner": 0, "old": 0, "new": 0, "violations": []}

    def _mount(self, image):
        flash = NorFlash(image)
        vfs.mount(vfs.VfsLfs2(flash, readsize=self._page, progsize=self._page, mtime=False), "/")
        return flash

    def _record(self, image, began, ordered=False):
        """Have the board start on `image`, which it changes, until nothing is under way. Returns it and what it did."""
        flash = self._mount(image)
        flash.journal = []
        board = Board(self, flash, began)
        for _ in range(_STARTS):
            if not board.start(ordered=ordered):
                break
            ordered = False
        vfs.umount("/")
        return board, flash.journal

    def run(self):
        """Returns the report: operations of the update, cuts tried, cuts inside of starts after a cut, in how many the
        old or the new version ran at last, and violations as text."""
        image, report = self._image, self.report
        image[:] = b"\xff" * len(image)
        vfs.umount("/")
        vfs.VfsLfs2.mkfs(NorFlash(image), readsize=self._page, progsize=self._page)
        self._mount(image)
        for path, data in self._old.items():
            _write("/" + path, data)
        for path, data in self.own.items():
            _write(path, data)
        _write(files.KEY, self.key)
        _write(files.SEQUENCE, b"3")
        outbox = Outbox(8, "/journal")
        outbox.put("event", 0, b"an alarm")
        vfs.umount("/")
        self._second[:] = image
        board, operations = self._record(self._second, 0, ordered=True)
        report["operations"] = len(operations)
        report["violations"] += board.wrong
        for now in range(len(operations) + 1):
            tears = (None, operations[now]) if now < len(operations) else (None,)
            for torn in () if now % self._every else tears:
                self._look(image, torn, now, board, "cut at {}".format(now))
                report["cuts"] += 1
                if self._inner_every and report["cuts"] % self._inner_every == 0:
                    self._cut_the_starts(image, torn, now)
            if now < len(operations):
                change(image, *operations[now])
        return report

    def _version(self, board, now):
        """Which version must start after a cut before that operation, or None for either."""
        if board.committing is None or now < board.committing:
            return "old"
        if board.started is None:
            return None
        if board.accepted is not None and now >= board.accepted:
            return "new"
        if now >= board.started and (board.accepting is None or now < board.accepting):
            return "old"
        return None

    def _look(self, image, torn, now, recorded, what):
        self._scratch[:] = image
        if torn:
            tear(self._scratch, *torn)
        wrong = []
        try:
            flash = self._mount(self._scratch)
        except OSError as error:
            self.report["violations"].append("{}: does not mount: {}".format(what, error))
            return
        board = Board(self, flash)
        try:
            version = self._version(recorded, now) if recorded else None
            for _ in range(_STARTS):
                if not board.start(version):
                    break
                version = None
            else:
                wrong.append("no end")
            board.start()  # whatever has ended stays so
            for name in board.end():
                self.report[name] += 1
            if recorded and self.outcome != "given up":
                before = len([at for at in recorded.fetches if at <= now])
                if before + len(board.fetches) > len(recorded.fetches) + self.longest:
                    wrong.append("fetched anew what was on flash")
        except Exception as error:
            sys.print_exception(error)
            wrong.append(repr(error))
        finally:
            vfs.umount("/")
        for text in wrong + board.wrong:
            self.report["violations"].append("{}, {}: {}".format(what, "torn" if torn else "clean", text))

    def _cut_the_starts(self, image, torn, now):
        before = self._third
        before[:] = image
        if torn:
            tear(before, *torn)
        self._second[:] = before
        _, operations = self._record(self._second, now)
        for inner in range(len(operations)):
            for tearing in (None, operations[inner]):
                self.report["inner"] += 1
                self._look(before, tearing, 0, None, "starts after the cut at {}, cut at {}".format(now, inner))
            change(before, *operations[inner])


def main(argument):
    """argument: the Trial's, by name; prints its report."""
    sys.modules["machine"] = _Machine()
    sys.modules["gc"] = _Gc
    stage.drop = lambda *_: None  # what is there can't be read again: flash has taken the place of this machine's
    report = Trial(**argument).run()
    print(json.dumps(report))
