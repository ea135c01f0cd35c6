"""Room on a small heap, on the real MicroPython over a real littlefs: in pieces, it still opens a file and a module."""

from collections.abc import Callable
from typing import Any

from quaver.build.compile import compile_mpy

HEAD = """
import gc, os, sys, vfs
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
write("/flash/extra.mpy", bytes.fromhex(argument))
"""

# Every second of many pieces is free, which is half of the heap, and no piece is large enough for a file.
IN_PIECES = """
gc.collect()
pieces = [None] * 4000
at = 0
try:
    while True:
        pieces[at] = bytearray(480)
        at += 1
except MemoryError:
    pass
for i in range(0, at, 2):
    pieces[i] = None
gc.collect()
"""

EXTRA = compile_mpy(b"number = 7\n", "extra.py", "armv6m").hex()


def test_a_heap_in_pieces_opens_files_all_the_same(micropython: Callable[..., Any]) -> None:
    code = """
plain = tried(lambda: read(open))
found = [tried(lambda: read(room.opened)) for _ in range(3)]
tried(lambda: write("/flash/a", b"another"))
print(json.dumps([plain, found, read(room.opened), gc.mem_free()]))
"""
    plain, found, after, free = micropython(HEAD + IN_PIECES + code, argument=EXTRA, heap="256k")
    assert free > 50_000
    assert plain == "no memory"
    assert found == ["what it holds"] * 3
    assert after == "another"


def test_the_room_is_there_again_however_often_it_is_used(micropython: Callable[..., Any]) -> None:
    code = """
kept = []
found = []
for i in range(50):
    found.append(tried(lambda: read(room.opened)))
    room.tidy()
    kept.append(bytearray(64))
print(json.dumps([found.count("what it holds"), tried(lambda: read(open))]))
"""
    assert micropython(HEAD + IN_PIECES + code, argument=EXTRA, heap="256k") == [50, "no memory"]


def test_without_any_room_a_file_that_is_read_is_not_taken_for_a_bad_one(micropython: Callable[..., Any]) -> None:
    code = (
        """
pieces = None
room._held = None
gc.collect()
"""
        + IN_PIECES
        + """
try:
    write("/flash/a", b"another")
    told = None
except OSError as error:
    told = error.args[0]
found = tried(lambda: read(room.opened))
pieces = None
print(json.dumps([told, found, read(room.opened)]))
"""
    )
    assert micropython(HEAD + code, argument=EXTRA, heap="256k") == [12, "no memory", "what it holds"]


def test_a_heap_in_pieces_reads_modules_and_gives_them_back(micropython: Callable[..., Any]) -> None:
    code = """
import builtins
plain = tried(lambda: builtins.__import__("extra"))
room.drop("extra")
found = []
for _ in range(3):
    found.append(tried(lambda: room.load("extra").number))
    room.drop("extra")
print(json.dumps([repr(plain), found, "extra" in sys.modules]))
"""
    plain, found, left = micropython(HEAD + IN_PIECES + code, argument=EXTRA, heap="256k")
    assert plain == repr("no memory")
    assert found == [7, 7, 7]
    assert not left


def test_a_module_that_is_there_is_not_read_again(micropython: Callable[..., Any]) -> None:
    code = """
first = room.load("extra")
os.remove("/flash/extra.mpy")
again = room.load("extra")
room.drop("extra")
try:
    room.load("extra")
    gone = None
except ImportError as error:
    gone = str(error)
print(json.dumps([first is again, gone]))
"""
    assert micropython(HEAD + code, argument=EXTRA) == [True, "no module named 'extra'"]


def test_a_folder_is_given_back_with_all_in_it_and_this_module_stays(micropython: Callable[..., Any]) -> None:
    """Given twice over, too; a neighbour whose name begins alike is another folder."""
    code = """
import command.log, command.erase, build.keys, node.store
sys.modules["commander"] = sys.modules["build.keys"]
from node import room
room.drop("command", "command.log", "node")
left = sorted(name for name in sys.modules if name.split(".")[0] in ("command", "commander", "build", "node"))
import command.log
print(json.dumps([left, command.log.NOTED, room is sys.modules["node.room"]]))
"""
    left, noted, stays = micropython(code)
    assert left == ["build", "build.keys", "commander", "node", "node.room"]
    assert noted is False and stays
