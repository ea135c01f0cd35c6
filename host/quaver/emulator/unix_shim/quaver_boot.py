"""Turns the unix port into a board: the host's line, the flash at /, the board's modules in place of the built-in
ones; then boot.py and main.py as on a microcontroller.

The host's file system is out of sight once this is done: what the firmware sees is its own flash.
"""

import json
import os
import select
import socket as _socket
import sys
import time  # noqa: F401  the board's own from here on: firmware and asyncio find it in sys.modules

import machine as _machine
import micropython
import network as _network
import quaver_link as _link
import quaver_tasks
import uctypes
import vfs

sys.modules["_asyncio"] = quaver_tasks  # the one built-in module that a file on the path does not replace
for name in ("select", "socket", "time"):  # libraries know them by their old names too
    sys.modules["u" + name] = sys.modules[name]


class Flash:
    """NOR flash behind a file that the host keeps across resets."""

    def __init__(self, file, block_size, block_count):
        self._file = file
        self._block_size = block_size
        self._block_count = block_count
        self._erased = b"\xff" * block_size

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * self._block_size + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        torn = _link.cuts() and _link.call(_link.FLASH, 0, 0, 0, 0, None, 0, 0, None)
        self._file.seek(block * self._block_size + offset)
        if torn:
            self._file.write(memoryview(buffer)[: len(buffer) // 2])
            _link.call(_link.FLASH, 1, 0, 0, 0, None, 0, 0, None)
        self._file.write(buffer)

    def ioctl(self, request, value):
        if request == 4:
            return self._block_count
        if request == 5:
            return self._block_size
        if request == 6:
            self.writeblocks(value, self._erased)
            return 0


_RETAINED = 2048


class Retained:
    """The low-power memory: behind the flash in its file, which is as old as the power, and mapped at an address.

    A node notes there which task runs, a thousand times a minute: `set` costs no call to the system.
    """

    def __init__(self, address):
        self._memory = uctypes.bytearray_at(address, 2 + _RETAINED)

    def get(self):
        return bytes(self._memory[2 : 2 + (self._memory[0] | self._memory[1] << 8)])

    @micropython.viper
    def set(self, data):
        memory = ptr8(self._memory)
        source = ptr8(data)
        count = int(len(data))
        memory[0] = count
        memory[1] = count >> 8
        for i in range(count):
            memory[2 + i] = source[i]


def _run(name, scope):
    """Run one file of the flash; False when it asked for a reset."""
    try:
        os.stat(name)
    except OSError:
        return True
    try:
        execfile(name, scope)
    except SystemExit:
        return False
    except BaseException as error:
        sys.print_exception(error)
    return True


def start(link_fd, flash_fd, retained, scope):
    """boot.py, main.py, and back to the prompt. retained: an address. scope: the globals of __main__."""
    about = json.loads(_link.open_link(link_fd))
    _machine._about = about
    _machine._selects = tuple(about["selects"])
    _machine._chips = tuple(about["chips"])
    _machine._inputs = tuple(about["inputs"])
    _network.mac = bytes.fromhex(about["mac"])
    _socket.broker_port = about["broker_port"]
    if about["lan"]:
        import quaver_gc
        import quaver_lan

        sys.modules["gc"] = quaver_gc
        _socket.lan = select.lan = quaver_lan
        _link.defers = _link.fast()
    if about["radio"]:
        import aioble  # noqa: F401  while the host's file system is in sight; other boards have it in their image
    file = open(flash_fd, "r+b")
    flash = Flash(file, about["block_size"], about["block_count"])
    _machine._retained = Retained(retained)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash, mtime=False), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    try:
        _link.call(_link.READY, 0, 0, 0, 0, None, 0, 0, None)
        if about["run"] == "nothing" or not _run("boot.py", scope):
            return
        if about["run"] == "all" and not _run("main.py", scope):
            _machine.soft_reset()
    except KeyboardInterrupt as error:
        sys.print_exception(error)
