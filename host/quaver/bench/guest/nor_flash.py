"""NOR flash in memory, as MicroPython's VfsLfs2 takes a block device: it counts, and it can lose its power.

Programming clears bits and never sets one; an erase sets a block's. Each call that changes something is one operation.
At the one that `cut` names the power goes: the operation is not done at all, or it is torn, half of it done. From then
on every access fails with EIO, until the contents are taken to a new part.
"""

_EIO = 5
_PAGE = 256


def program(data, at, new):
    """Program `new` at `at`: as flash does it, by clearing bits."""
    end = at + len(new)
    old = memoryview(data)[at:end]
    if old == _erased(len(new)):
        data[at:end] = new
    else:
        for i in range(len(new)):
            old[i] &= new[i]


_ones = bytearray(b"\xff" * 4096)


def _erased(size):
    return memoryview(_ones)[:size]


class NorFlash:
    """data: a bytearray of whole blocks, kept by reference. operations, programs (calls), pages (of 256 bytes, as the
    chip programs them), bytes, erases: counted since it was made; wear: erases of each block.

    journal: None, or a list that takes every operation as (address, bytes programmed or None for an erase).
    """

    def __init__(self, data, block=4096):
        self.data = data
        self.block = block
        self.operations = self.programs = self.pages = self.bytes = self.erases = 0
        self.wear = [0] * (len(data) // block)
        self.journal = None
        self._cut_at = None
        self._torn = False
        self.dead = False

    def cut(self, operation, torn):
        """Lose power at the operation of that number, 1 for the next one."""
        self._cut_at = self.operations + operation
        self._torn = torn

    def readblocks(self, number, buffer, offset=0):
        if self.dead:
            return -_EIO
        at = number * self.block + offset
        buffer[:] = memoryview(self.data)[at : at + len(buffer)]
        return 0

    def writeblocks(self, number, buffer, offset=0):
        return self._change(number * self.block + offset, buffer)

    def ioctl(self, request, value):
        if request == 4:
            return len(self.data) // self.block
        if request == 5:
            return self.block
        if request == 6:
            return self._change(value * self.block, None)
        return 0

    def _change(self, at, new):
        if self.dead:
            return -_EIO
        self.operations += 1
        if self.operations == self._cut_at:
            self.dead = True
            if self._torn:
                tear(self.data, at, new, self.block)
            return -_EIO
        if self.journal is not None:
            self.journal.append((at, None if new is None else bytes(new)))
        change(self.data, at, new, self.block)
        if new is None:
            self.erases += 1
            self.wear[at // self.block] += 1
        else:
            self.programs += 1
            self.pages += -(-len(new) // _PAGE)
            self.bytes += len(new)
        return 0


def change(data, at, new, block=4096):
    """One operation, whole: `new` is what to program, None is an erase."""
    if new is None:
        data[at : at + block] = _erased(block)
    else:
        program(data, at, new)


def tear(data, at, new, block=4096):
    """One operation, half of it: of an erase the first half of the block; of a program the first half of the bytes,
    and of the next one its low bits."""
    if new is None:
        data[at : at + block // 2] = _erased(block // 2)
    else:
        half = len(new) // 2
        program(data, at, bytes(new[:half]) + bytes([new[half] | 0xF0]))
