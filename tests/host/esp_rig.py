"""ESP32 boards for the tests: esp32-mock-bootloader as the ROM, a file as the flash, and what would happen at a reset.

Run as a program it is one board behind TCP, in a process of its own as a board is; `board` starts one. A client that
begins with SLIP's END speaks with the boot loader. One that listens hears what the firmware in the flash would say:
the version and the board's name out of its file system, if that mounts where MicroPython would look for it.
"""

import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SILENCE_S = 0.5  # esptool speaks at once, a listener never


@dataclass
class EspBoard:
    """A running board: where it is, and its flash as a file."""

    url: str
    flash: Path
    process: subprocess.Popen[str]

    def writes(self) -> int:
        """How many blocks were ever written to its flash."""
        count = self.flash.with_suffix(".writes")
        return count.stat().st_size if count.exists() else 0

    def content(self, start: int, end: int | None = None) -> bytes:
        return self.flash.read_bytes()[start:end]


@contextmanager
def board(
    folder: Path, chip: str, *, name: str = "", size: int = 4 << 20, fault: str = "", at: int = 0
) -> Iterator[EspBoard]:
    """A board with an erased flash, or the one that it had. fault: "flip" (a block takes bits wrongly), "vanish"
    (unplugged), at the block with number `at` of a write; "mute" firmware says
    nothing; "old": a chip of the first revision.
    """
    flash = folder / f"{name or chip}.flash"
    if not flash.exists():
        flash.write_bytes(b"\xff" * size)
    command = [sys.executable, __file__, chip, str(flash), fault, str(at)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield EspBoard(f"socket://127.0.0.1:{port}", flash, process)
    finally:
        process.kill()
        process.communicate()


def _main(chip: str, path: str, fault: str, at: int) -> None:
    from esp32_mock_bootloader import protocol, server
    from esptool.targets import CHIP_DEFS

    with Path(path).open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    # The flash chip's JEDEC id ends with the exponent of its size.
    protocol.MOCK_FLASH_ID = (len(memory).bit_length() - 1) << 16 | 0x4020

    # A busy esptool may be silent for longer than the mock's 3 s behind a write; it hangs up when it is done.
    server._FLASH_END_IDLE_SEC = 60.0

    register = server._read_reg_value_for_chip

    def fused(address: int, which: str) -> int:
        # The mock's C3 is of revision 0.0, of which none was sold; the image wants 0.3.
        old = which == "esp32c3" and address == CHIP_DEFS[which].EFUSE_BLOCK1_ADDR + 12 and fault != "old"
        return register(address, which) | (3 << 18 if old else 0)

    server._read_reg_value_for_chip = fused

    class Flash(server.FlashImage):
        def __init__(self) -> None:
            super().__init__()
            self.data = memory
            self.blocks = 0

        def write_defl_block(self, payload: bytes) -> None:
            self.blocks += 1
            with Path(path).with_suffix(".writes").open("ab") as count:
                count.write(b".")
            if fault == "vanish" and self.blocks == at:
                os._exit(0)
            # As the mock does it, a byte at a time.
            start = self._defl_offset
            written = self._decompressor.decompress(payload[16 : 16 + int.from_bytes(payload[:4], "little")])
            self._defl_offset += len(written)
            self.data[start : self._defl_offset] = written
            if fault == "flip" and self.blocks == at:
                # A sector of them: a single one may lie behind a file's end, where it changes nothing.
                for offset in range(start, min(start + 4096, self._defl_offset)):
                    self.data[offset] ^= 1

    class Line(server.BootloaderConnection):
        first = b""

        def set_timeout(self, _timeout: float) -> None:
            super().set_timeout(60.0)  # esptool takes longer than the mock's 50 ms to read a sector and say so

        def recv(self, size: int) -> bytes:
            data, self.first = self.first, b""
            return data or super().recv(size)

    flash = Flash()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a serial line waits for nothing either
        client.settimeout(_SILENCE_S)
        try:
            first = client.recv(1)
        except TimeoutError:
            if fault != "mute":
                client.sendall(_says(chip, bytes(memory)))
            client.settimeout(None)
            first = _after_console(client)
        except OSError:
            continue
        if not first:
            client.close()
            continue
        flash.blocks = 0
        line = Line(sock=client)
        line.first = first
        sys.stdout = sys.stderr
        server.handle_client(line, threading.Event(), chip, flash=flash)


def _after_console(client: socket.socket) -> bytes:
    """SLIP's END, once the client sends it: on a busy machine esptool takes its time, too. Nothing when it hangs up."""
    while data := client.recv(1):
        if data == b"\xc0":
            return data
    return b""


def _says(chip: str, flash: bytes) -> bytes:
    """What a restart would print on the console."""
    from quaver.board.chips import chips
    from quaver.board.spec import board_names
    from quaver.build.image import read_littlefs
    from quaver.build.partitions import read_partitions, vfs_partition
    from quaver.errors import BuildError

    start = chips()[chip].image_offset
    try:
        place = vfs_partition(read_partitions(flash[start:], start), len(flash))
        files = read_littlefs(flash[place.offset : place.offset + place.size])
    except BuildError as error:
        return f"invalid header: {error}\r\n".encode()
    if "main.py" not in files:
        return b"MicroPython v1.27.0\r\n>>> "
    # board.mpy keeps the board's name and the version as constants.
    names = sorted((name.encode() for name in board_names()), key=len, reverse=True)
    name = next(name for name in names if name + b"\0" in files["board.mpy"])
    assert b"0.1.0" in files["board.mpy"]
    return b"ets Jul 29 2019\r\nnode: quaver 0.1.0 on " + name + b", node\r\n"


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
