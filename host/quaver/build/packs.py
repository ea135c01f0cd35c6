"""The build room's packs: modules that share a file, because littlefs gives each file whole blocks of 4 kB.

firmware/packs.py has the format, and reads them. Which modules share one follows from their names and sizes alone. In
the order of their paths each goes to one of the last eight packs that has its bytes free in its last block, or begins a
pack; those below 1,024 bytes come last, and fill up any pack. So a module that changes its size changes its own pack,
and seldom a second one: what a node has to fetch. Packed in the order of sizes they would take a seventh less on a Pico
W, and one change 14 kB instead of 4.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterable, Mapping, Sequence

from quaver.build.in_place import blocks, laid_out
from quaver.errors import BuildError

FOLDER = "code"
"""On flash: the folder of packs, each named by its first module."""

_OPEN = 8  # packs that still take a module
_SMALL = 1024  # bytes, of a module that fills up any pack
_LONGEST = 0xFFFF  # bytes: offsets are u16
_SLACK = 0x1000  # of them for offsets, and for what a layout adds


def packed(modules: Mapping[str, bytes], in_place: bool) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    """Packs, path -> bytes, of the .mpy files `modules`, and the modules of each, as the index names them.

    in_place: each is laid out so that its code is used where it lies. Raises BuildError.
    """
    files, index = _packed(tuple(sorted(modules.items())), in_place)
    return dict(files), {path: list(members) for path, members in index.items()}


@functools.lru_cache(16)  # the layouts of an ESP32-C3 take a tenth of a second
def _packed(
    sorted_modules: tuple[tuple[str, bytes], ...], in_place: bool
) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    modules = dict(sorted_modules)
    done: list[list[str]] = []
    files: dict[str, bytes] = {}
    for small, path in sorted((len(code) < _SMALL, path) for path, code in modules.items()):
        for members in done if small else done[-_OPEN:]:
            room = blocks(len(files[_path(members)]))
            if blocks(_least([*members, path], modules)) > room:
                continue  # most: a layout takes its time
            more = _pack([*members, path], modules, in_place)
            if more and blocks(len(more)) == room:
                members.append(path)
                files[_path(members)] = more
                break
        else:
            alone = _pack([path], modules, in_place)
            if not alone:
                raise BuildError(f"{_name(path)}: is longer than {_LONGEST - _SLACK} bytes: divide the module")
            done.append([path])
            files[_path([path])] = alone
    return files, {_path(members): [_name(member) for member in members] for members in done}


def listed(files: Iterable[str], index: Mapping[str, Sequence[str]]) -> bytes:
    """The list of the firmware's files; behind a pack the modules in it, each behind a space."""
    return "".join("\n ".join([path, *index.get(path, ())]) + "\n" for path in sorted(files)).encode()


def unpacked(files: Mapping[str, bytes], listing: bytes) -> dict[str, bytes]:
    """The modules in the packs among `files`, by their paths, as they are there. Raises BuildError."""
    found: dict[str, bytes] = {}
    for entry in re.split("\n(?! )", listing.decode()):
        path, *members = entry.split("\n ")
        if not members:
            continue
        try:
            pack = files[path]
            ends = struct.unpack_from(f"<{len(members) + 1}H", pack)
        except (KeyError, struct.error) as error:
            raise BuildError(f"{path}: is missing or cut short") from error
        found |= {f"{name}.mpy": pack[ends[at] : ends[at + 1]] for at, name in enumerate(members)}
    return found


def _name(path: str) -> str:
    return path.removesuffix(".mpy")


def _path(members: Sequence[str]) -> str:
    return f"{FOLDER}/{_name(members[0]).replace('/', '.')}"


def _least(members: Sequence[str], modules: Mapping[str, bytes]) -> int:
    """Bytes that the pack of these modules has, however they are laid out."""
    return 2 * (len(members) + 1) + sum(len(modules[path]) for path in members)


def _pack(members: Sequence[str], modules: Mapping[str, bytes], in_place: bool) -> bytes:
    """The pack of these modules, empty when it would be too long."""
    if _least(members, modules) > _LONGEST - _SLACK:
        return b""
    pack = bytearray(2 * (len(members) + 1))
    ends = [len(pack)]
    for path in members:
        pack += laid_out(modules[path], len(pack)) if in_place else modules[path]
        ends.append(len(pack))
    struct.pack_into(f"<{len(ends)}H", pack, 0, *ends)
    return bytes(pack)
