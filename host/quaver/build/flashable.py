"""The build room's last step: official image and firmware become the content of a board's flash.

The same input gives the same bytes on any machine: files are sorted, no times are stored, and the parts that come from
elsewhere are pinned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from quaver import __version__
from quaver.board.image import read_image
from quaver.board.spec import BoardSpec, Image, load_board
from quaver.build.image import littlefs_image, read_littlefs_blocks
from quaver.build.libraries import device_libraries
from quaver.build.official import check_format
from quaver.build.own import own_drivers
from quaver.build.partitions import read_partitions, updatable, vfs_partition
from quaver.build.tree import LISTING, PLAN, RELEASE_KEY, RELEASE_SEQUENCE, check_budget, firmware_files
from quaver.build.uf2 import FLASH_START, PAGE, join_pages, make_uf2, read_uf2
from quaver.errors import BuildError
from quaver.files.pinned import Progress, write_atomically

_ERASED = 0xFF


@dataclass(frozen=True)
class Flashable:
    """What a board's flash gets.

    image: the official one, as flash content from image_offset on. filesystem: a whole littlefs, from
    filesystem_offset on. files: what it holds, path -> bytes.
    """

    board: BoardSpec
    image_offset: int
    image: bytes
    filesystem_offset: int
    filesystem: bytes
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """How the file is called where nobody says: "quaver-0.1.0-pico_w.uf2"."""
        return f"quaver-{__version__}-{self.board.name}.{'uf2' if self.board.silicon.loader == 'uf2' else 'bin'}"

    def beside(self, kept: Mapping[str, bytes]) -> Flashable:
        """The same with further files in the file system, which `files` does not name. Raises BuildError."""
        if not kept:
            return self
        filesystem = littlefs_image({**kept, **self.files}, len(self.filesystem), self.board.flash.block_size)
        return replace(self, filesystem=filesystem)

    def own_files(self, found: Mapping[str, bytes]) -> dict[str, bytes]:
        """What a node wrote itself, of the files of its flash: its keys, configuration, journal, what it has learned.

        Empty where there is no Quaver firmware: then the files are somebody else's.
        """
        if LISTING not in found:
            return {}
        firmware = {*found[LISTING].decode(errors="replace").splitlines(), *self.files, LISTING, PLAN, PLAN + ".new"}
        # lib/ is anybody's: only what the firmware has in there is its own.
        heads = [path.split("/")[: 2 if path.startswith("lib/") else 1] for path in firmware if "/" in path]
        folders = tuple({"/".join(head) + "/" for head in heads})
        staged = tuple(folder[:-1] + end for folder in folders for end in (".new/", ".old/"))
        under_way = {path for path in found if path.startswith("release.")} - {RELEASE_KEY, RELEASE_SEQUENCE}
        return {
            path: data
            for path, data in found.items()
            if path not in firmware and path.removesuffix(".new").removesuffix(".old") not in firmware
            if not path.startswith(folders + staged) and path not in under_way
        }

    def runs(self) -> list[tuple[int, bytes]]:
        """The blocks of the file system that matter, (flash address, bytes), neighbours in one piece.

        Those are what is not erased, and what a reader looks at: of the two blocks of a folder, littlefs believes the
        one with the higher revision, so the one that is erased here must not keep what an earlier file system had
        there. The rest may hold anything: littlefs erases a block before it writes there.
        """
        block = self.board.flash.block_size
        read: set[int] = set()

        def looked_at(number: int) -> bytes:
            read.add(number)
            return self.filesystem[number * block : (number + 1) * block]

        read_littlefs_blocks(looked_at, len(self.filesystem) // block, block)
        runs: list[tuple[int, bytearray]] = []
        for at in range(0, len(self.filesystem), block):
            piece = self.filesystem[at : at + block]
            if piece.count(_ERASED) == block and at // block not in read:
                continue
            address = self.filesystem_offset + at
            if runs and runs[-1][0] + len(runs[-1][1]) == address:
                runs[-1][1].extend(piece)
            else:
                runs.append((address, bytearray(piece)))
        return [(address, bytes(data)) for address, data in runs]

    def file(self) -> bytes:
        """One file to flash: a UF2 where the boot loader takes one, else what belongs at image_offset and after."""
        if self.board.silicon.loader == "uf2":
            pages: dict[int, bytes] = {}
            for start, data in [(self.image_offset, self.image), *self.runs()]:
                for at in range(0, len(data), PAGE):
                    pages[FLASH_START + start + at] = data[at : at + PAGE]
            return make_uf2(pages, self.board.silicon.uf2_family)
        gap = self.filesystem_offset - self.image_offset - len(self.image)
        last, data = self.runs()[-1]
        end = last + len(data) - self.filesystem_offset
        return self.image + bytes([_ERASED]) * gap + self.filesystem[:end]


def build(
    board: str,
    config: Mapping[str, object] | None = None,
    flash_size: int | None = None,
    progress: Progress | None = None,
    slots: bool = False,
    image: Image | None = None,
    drivers: Path | None = None,
) -> Flashable:
    """Official image, firmware and libraries of a board, put together.

    flash_size: of the chip in bytes, where it is not the board file's; an ESP32's file system takes what is left.
    slots: two for the image, so that releases can replace it (`partitions.updatable`).
    image: in place of the board file's (`official.given_image`). drivers: a folder of one's own.
    Raises BoardFileError, ArtifactError, BuildError.
    """
    spec = load_board(board)
    if spec.image is None:
        raise BuildError(
            f"{board}: nothing to flash: it is the MicroPython unix port; run it with quaver emulate {board}"
        )
    if image is not None:
        spec = replace(spec, image=image)
    link = str(config.get("link") or spec.links[0]) if config is not None else ""
    if link and link not in spec.links:
        raise BuildError(f"{board}: has no {link}: set link to {' or '.join(spec.links)}, or take another board")
    check_format(spec)
    files = {**firmware_files(board, config), **device_libraries(spec, progress)}
    if drivers is not None:
        files |= own_drivers(drivers, board)
    check_budget(spec, files)
    return compose(spec, read_image(spec, progress), files, flash_size or spec.flash.size, slots)


def compose(
    spec: BoardSpec, image: bytes, files: Mapping[str, bytes], flash_size: int, slots: bool = False
) -> Flashable:
    """The Flashable of an official image, as its publisher's file has it, and files. Raises BuildError."""
    if slots and spec.silicon.loader == "uf2":
        raise BuildError(f"{spec.name}: its boot loader starts one image, always the same: leave out --updatable")
    if spec.silicon.loader == "uf2":
        start, content = join_pages(read_uf2(image, spec.silicon.uf2_family))
        image_offset, offset, size = start - FLASH_START, spec.flash.filesystem_offset, spec.flash.filesystem_size
    else:
        image_offset, content = spec.silicon.image_offset, image
        if slots:
            content = updatable(image, image_offset, flash_size)
        place = vfs_partition(read_partitions(content, image_offset), flash_size)
        offset, size = place.offset, place.size
        if not slots and offset != spec.flash.filesystem_offset:
            raise BuildError(
                f"boards/{spec.name}.toml: flash.filesystem_offset: expected 0x{offset:x}, where the image's own "
                f"partition table puts it, found 0x{spec.flash.filesystem_offset:x}"
            )
    if image_offset + len(content) > offset:
        raise BuildError(f"{spec.name}: the image reaches into the file system at 0x{offset:x}: check the board file")
    filesystem = littlefs_image(files, size, spec.flash.block_size)
    return Flashable(spec, image_offset, image=content, filesystem_offset=offset, filesystem=filesystem, files=files)


def write_flashable(path: Path, data: bytes, private: bool) -> str:
    """Put a built file at `path`, whole or not at all, and return its sha256.

    private: nobody but its owner may read it, from its first byte on. Raises BuildError.
    """
    if path.is_dir():
        raise BuildError(f"{path}: is a folder: name a file")
    if not path.parent.is_dir():
        raise BuildError(f"{path}: there is no folder {path.parent}: create it, or name another file")
    try:
        write_atomically(path, data, private)
    except OSError as error:
        raise BuildError(
            f"{path}: cannot be written ({error.strerror}): free disk space, or name another file"
        ) from error
    return hashlib.sha256(data).hexdigest()
