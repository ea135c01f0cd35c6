"""The build room's file system: a littlefs image as MicroPython's VfsLfs2 mounts it.

The same files give the same bytes: names are sorted, and no times are stored.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from quaver.board.spec import BoardSpec
from quaver.errors import BuildError

# As the official v1.27 images format it (read off the superblock of one): on-disk version 2.1.
_DISK_VERSION = 0x00020001
# The largest program size among the ports (rp2: one flash page); smaller ones divide it.
_PROGRAM_SIZE = 256
# A reader holds an inline file in its cache, which is 128 bytes where the program size is 32 (esp32, unix).
INLINE_MAX = 128
# Every look-up reads a folder's log from its start, and short logs take more blocks. A Pico W with 1024 starts 0.1 s
# sooner, and has 6 blocks less; with 4096, 0.3 s later, and has 2 more.
_METADATA_MAX = 2048


def littlefs_image(files: Mapping[str, bytes], size: int, block_size: int = 4096) -> bytes:
    """A littlefs image of `size` bytes that holds `files`, path -> bytes ("dsp/fft.mpy").

    Parent folders are made. Free space is 0xFF, as erased flash. Raises BuildError when it doesn't fit.
    """
    from littlefs import LittleFS, LittleFSError, UserContext

    class Flash(UserContext):
        """The library's own has each byte that passes as text too, for a log."""

        def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
            start = block * block_size + off
            return self.buffer[start : start + size]

        def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
            start = block * block_size + off
            self.buffer[start : start + len(data)] = data
            return 0

        def erase(self, cfg: Any, block: int) -> int:
            return self.prog(cfg, block, 0, b"\xff" * block_size)

    if size % block_size or size < 2 * block_size:
        raise BuildError(f"a littlefs image of {size} bytes: expected a multiple of its block size, {block_size}")
    try:
        system = LittleFS(
            context=Flash(buffer=bytearray(b"\xff" * size)),
            mount=True,
            block_size=block_size,
            block_count=size // block_size,
            read_size=_PROGRAM_SIZE,
            prog_size=_PROGRAM_SIZE,
            cache_size=block_size,  # of this writer alone: fewer calls into Python
            inline_max=INLINE_MAX,
            metadata_max=_METADATA_MAX,
            disk_version=_DISK_VERSION,
        )
        for folder in sorted({str(parent) for path in files for parent in _parents(path)}):
            system.mkdir(folder)
        for path in sorted(files):
            with system.open(path.strip("/"), "wb") as file:
                file.write(files[path])
        system.unmount()
        image: bytes = bytes(system.context.buffer)
    except LittleFSError as error:
        total = sum(map(len, files.values()))
        raise BuildError(
            f"{len(files)} files of {total} bytes do not fit a file system of {size} bytes ({error}): ship fewer"
        ) from error
    return image


def board_image(board: BoardSpec, files: Mapping[str, bytes]) -> bytes:
    """The image of a board's whole file system; it belongs at `board.flash.filesystem_offset`."""
    return littlefs_image(files, board.flash.filesystem_size, board.flash.block_size)


def read_littlefs(image: bytes, block_size: int = 4096) -> dict[str, bytes]:
    """All files of a littlefs image, path -> bytes. Raises BuildError when it holds no file system."""
    return read_littlefs_blocks(
        lambda block: image[block * block_size : (block + 1) * block_size], len(image) // block_size, block_size
    )


def read_littlefs_blocks(read: Callable[[int], bytes], count: int, block_size: int = 4096) -> dict[str, bytes]:
    """All files of a littlefs of `count` blocks, of which `read` gives the one asked for; each is asked for once.

    Raises BuildError when it holds no file system, and what `read` raises.
    """
    from littlefs import LittleFS, LittleFSError, UserContext

    kept = functools.cache(read)
    failures: list[Exception] = []

    class Context(UserContext):
        def read(self, _config: object, block: int, offset: int, size: int) -> bytearray:
            try:
                return bytearray(kept(block)[offset : offset + size])
            except Exception as error:  # which can't pass through the C library
                failures.append(error)
                return bytearray(size)

    files: dict[str, bytes] = {}
    try:
        system = LittleFS(
            context=Context(0),
            mount=False,
            block_size=block_size,
            block_count=count,
            read_size=_PROGRAM_SIZE,
            prog_size=_PROGRAM_SIZE,
            cache_size=block_size,
        )
        system.mount()
        for folder, _, names in system.walk("/"):
            for name in names:
                path = str(PurePosixPath(folder, name))
                with system.open(path, "rb") as file:
                    files[path.lstrip("/")] = file.read()
                if failures:
                    break
    except LittleFSError as error:
        if not failures:
            raise BuildError(f"{count * block_size} bytes are not a littlefs image ({error})") from error
    if failures:
        raise failures[0]
    return files


def _parents(path: str) -> list[PurePosixPath]:
    """The folders above a file, without the root."""
    return list(PurePosixPath(path.strip("/")).parents)[:-1]
