"""Has the functions of modules go on from the .mpy files in flash, where a chip sees that as memory: 45 kB of heap
less on an RP2040; on an ESP32-C3 40 kB, and 27 kB of ESP-IDF's memory, where its machine code would lie.

A module's code is read onto the heap, as MicroPython does it. Then each function's pointer to its code there is
replaced by one to the same bytes in flash, and what was read is garbage. A pointer is touched only if it leads to
bytes that the file has too, all of the function's, so it is always one to the same code.

Where a file lies only littlefs knows. So the file system is mounted a second time, to be read, over a device that
notes which block was read last. A block of a file stays where it is until the file is removed or rewritten; sync
does that as the board starts, before anything is read from there. Who replaces a module by hand stops the node first:
what runs even then (the console's log, the watchdog's hand-over) stays on the heap.

build/in_place.py of the host has each function lie in one block, and machine code at a multiple of four. That is so
in packs (packs.py); what is imported from elsewhere stays on the heap, and so does what finds modules in them.

Machine code that MicroPython would copy to where no pointer of ours can free it again (an ESP32's) is not read at all:
modules are then read through the chip's view, which has a jump to flash read in its place.
"""

import builtins
import gc
import sys
from array import array
from struct import unpack_from

import micropython
import packs
import vfs
from micropython import const
from uctypes import bytearray_at

from hal.chip import name_table

_BLOCK = const(4096)
_INLINE = const(512)  # bytes of a file up to which it may lie in its folder's block, which moves
# Of the table of names, in entries: a pool whose double is too much; what a module brings, with those that it imports;
# what all commands bring; and a draw of random numbers with a greeting: a full heap is to make no pool of 512 for them.
_LARGE = const(512)
_LEFT = const(128)
_COMMANDS = const(240)
_VISIT = const(64)
_STAY = (__name__, "node.log", "hal.watchdog", "hal.restart")

_KNOWN = (27, 28)  # of MicroPython 1, for its objects: whatever another version has in them stays on the heap
_MACHINE = const(0x8000)  # in a piece's length: machine code
_HEAD = const(4)  # bytes of a .mpy before its numbers
_PLAIN = const(4)  # kinds of its constants, as the host's file has them: up to here without a length
_STRING = const(5)
_BYTES = const(6)
_TUPLE = const(10)
_DEEPEST = const(2)  # imports within imports that are placed one by one: more would take the stack, which is 8 kB

_device = _files = _import = _view = None
_depth = 0
_tidies = True
_start = 0  # the file system's address
_heap = _heap_end = 0  # between which what Python allocates lies
_done: set = set()


class _Blocks:
    """The flash, for reading; last: the block that was read last."""

    def __init__(self, flash):
        self._flash = flash
        self.last = 0

    def readblocks(self, block, buffer, offset=0):
        self.last = block
        self._flash.readblocks(block, buffer, offset)

    def writeblocks(self, block, buffer, offset=0):
        raise OSError(30)  # EROFS

    def ioctl(self, operation, argument):
        return self._flash.ioctl(operation, argument) if operation in (4, 5) else 0  # how many blocks, of what size


@micropython.viper
def _peek(at: ptr32) -> int:
    return at[0]


@micropython.viper
def _poke(at: ptr32, value: int):
    at[0] = value


@micropython.viper
def _found(code: ptr8, pieces: ptr32, count: int) -> int:
    """The index in `pieces`, pairs of address and length, of the one that `code` is, or -1."""
    i = 0
    while i < count:
        piece = ptr8(pieces[2 * i])
        length = int(pieces[2 * i + 1])
        k = 0
        while k < length and piece[k] == code[k]:
            k += 1
        if k == length:
            return i
        i += 1
    return -1


def _blocks_of(file, begin, end):
    """[(offset in the file, its address), ...] of the blocks that hold the bytes from `begin` up to `end` of it, each
    from its first byte on; [] where the file does not lie as this module knows."""
    blocks: list = []
    first = bytearray(16)
    at = number = 0
    while at < end:
        pointers = 4 * len(bin(number & -number)) - 8 if number else 0  # at a block's start: see the host's file
        number += 1
        after = at + _BLOCK - pointers
        if after > begin:
            file.seek(at)
            count = file.readinto(first)
            address = _start + _BLOCK * _device.last + pointers
            if bytearray_at(address, count) != first[:count]:
                return []
            blocks.append((at, address))
        at = after
    return blocks


def _number(file):
    """A number of a .mpy, to the base of 128."""
    value = 0
    while True:
        digit = file.read(1)[0]
        value = value << 7 | digit & 0x7F
        if digit < 0x80:
            return value


def _texts(file, begin, end, at):
    """Use in flash the texts and bytes of a module whose table of constants lies at `at`. The file has them, in that
    order, behind the module's names."""
    blocks = _blocks_of(file, begin, end) + [(end, 0)]
    file.seek(begin + _HEAD)
    names, count = _number(file), _number(file)
    for _ in range(names):
        length = _number(file)
        if not length & 1:  # else MicroPython has it
            file.seek((length >> 1) + 1, 1)
    for place in range(at, at + 4 * count, 4):
        _text(file, blocks, _peek(place))


def _text(file, blocks, value):
    kind = file.read(1)[0]
    if kind <= _PLAIN:
        return
    length = _number(file)
    if kind == _TUPLE:
        for place in range(value + 8, value + 8 + 4 * length, 4):
            _text(file, blocks, _peek(place))
        return
    at = file.seek(0, 1)
    ends = kind in (_STRING, _BYTES)  # with a zero
    file.seek(length + ends, 1)
    if not ends or not _heap <= value < _heap_end or _peek(value) not in (id(str), id(bytes)):
        return
    data = _peek(value + 12)
    for (first, address), (after, _) in zip(blocks, blocks[1:]):
        if first <= at and at + length < after and _peek(value + 8) == length and _heap <= data < _heap_end:
            if bytearray_at(data, length) == bytearray_at(address + at - first, length):
                _poke(value + 12, address + at - first)


def _table(file, begin, end):
    """(offset in its pack, length, address in flash, machine code?) of each piece of a module that may be used there,
    longest first. file: the pack, of `_files`; begin, end: the module's bounds in it."""
    if file.seek(0, 2) <= _INLINE:
        return
    file.seek(end - 4)
    count, mark = unpack_from("<H2s", file.read(4), 0)
    if mark != b"FL":
        return  # a module that was not laid out for this
    file.seek(end - 4 - 4 * count)
    table = file.read(4 * count)
    blocks = _blocks_of(file, begin, end)
    if not blocks:
        return
    for i in range(0, 4 * count, 4):
        offset, length = unpack_from("<HH", table, i)
        at, address = [block for block in blocks if block[0] <= offset][-1]
        yield offset, length & ~_MACHINE, address + offset - at, bool(length & _MACHINE)


def _pieces(path, module):
    """Address and length of each piece, flat, but of what was not read from the file; the module's texts are placed."""
    pieces = array("I")
    pack, number = packs.packs.find(path)
    with _files.open(pack, "rb") as file:
        begin, end = packs.bounds(file, number)
        for _, length, address, machine_code in _table(file, begin, end):
            if not (machine_code and packs.packs.through):
                pieces.append(address)
                pieces.append(length)
        if pieces:
            _texts(file, begin, end, _peek(id(module) + 12))
    return pieces


def _through(file, begin, end, path):
    """A module's file, with jumps to the machine code that is to be used in flash."""
    machine_code = []
    if path[1:-4].replace("/", ".") not in _STAY:
        with _files.open(packs.packs.find(path)[0], "rb") as seen:
            machine_code = sorted(piece[:3] for piece in _table(seen, begin, end) if piece[3])
    return _view.through(file, begin, machine_code)


def _move(value, pieces):
    """Have an object of MicroPython's whose third or fourth word leads to one of the pieces lead to that in flash."""
    at = id(value)
    for word in (at + 12, at + 8):
        code = _peek(word)
        if not _heap <= code < _heap_end:
            continue
        found = _found(code, pieces, len(pieces) // 2)
        if found >= 0:
            target, length = pieces[2 * found], pieces[2 * found + 1]
            prelude = _peek(at + 8)
            if code <= prelude < code + length:  # native code has a second pointer into itself
                _poke(at + 8, prelude - code + target)
            _poke(word, target)
            return


def _place(holder, module, pieces):
    """The functions and constants that `holder`, a module or a class of it, has as names, and those of its classes."""
    for value in holder.__dict__.values():
        kind = type(value)
        if kind is type:
            if getattr(value, "__module__", None) == module:
                _place(value, module, pieces)
        elif kind is bytes or kind.__name__ in ("function", "generator"):
            _move(value, pieces)


def _settle(under_way):
    """Place what was imported since, but for modules that are still being read."""
    for name in list(sys.modules):
        if name in _done or name in under_way:
            continue
        _done.add(name)
        module = sys.modules[name]
        path = getattr(module, "__file__", "")
        if path.startswith(packs.AT + "/") and name not in _STAY:
            try:
                pieces = _pieces(path[len(packs.AT) :], module)
            except (OSError, MemoryError):
                continue  # then it works from the heap
            if pieces:
                _place(module, name, pieces)
                if _tidies:
                    gc.collect()


def _importing(*names):
    global _depth
    under_way = [name for name in sys.modules if name not in _done]
    _depth += 1
    if _depth == _DEEPEST:
        builtins.__import__ = _import
    try:
        found = _import(*names)
    finally:
        if _depth == _DEEPEST:
            builtins.__import__ = _importing
        _depth -= 1
    if any(name not in _done and name not in under_way for name in sys.modules):
        _settle(under_way)
        name_table.trim(_heap, _heap_end, _LARGE, _LEFT)
    return found


def begin(board, tidies=True):
    """From now on place each module when it was imported. tidies: and collect at once what was read; a start is half a
    second quicker without, and its heap fuller."""
    global _device, _files, _import, _start, _heap, _heap_end, _view, _tidies
    _tidies = tidies
    if sys.implementation.version[0] != 1 or sys.implementation.version[1] not in _KNOWN:
        return
    name = "hal.chip.view_" + board.CHIP
    __import__(name)
    _view = sys.modules[name]
    _start = _view.show(board.FILES_AT)
    if not _start or not packs.packs:
        return
    _heap, _heap_end = _view.HEAP
    _device = _Blocks(_view.flash())
    try:
        _files = vfs.VfsLfs2(_device)
    except OSError:
        return  # not littlefs: then all works from the heap
    _import = builtins.__import__
    _settle(())
    size = len(packs.packs.index)
    with _files.open(packs.INDEX, "rb") as file:
        blocks = _blocks_of(file, 0, size) if size > _INLINE else []
    if len(blocks) == 1:  # of several it would not be in one piece
        packs.packs.index = bytearray_at(blocks[0][1], size)
    if hasattr(_view, "through"):
        packs.packs.through = _through
    builtins.__import__ = _importing


def end():
    """What is imported from now on stays on the heap."""
    if _import:
        name_table.trim(_heap, _heap_end, _LARGE, _COMMANDS)
        name_table.trim(_heap, _heap_end, _LARGE // 2, _VISIT)
        builtins.__import__ = _import
        packs.packs.through = None
