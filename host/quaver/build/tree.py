"""The build room's list: which files a board's flash gets, and what each is made from."""

from __future__ import annotations

import ast
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from quaver.board.chips import chips
from quaver.board.spec import BoardSpec, load_board, render_board
from quaver.build.compile import compile_mpy
from quaver.build.image import INLINE_MAX
from quaver.build.packs import FOLDER, listed, packed, unpacked
from quaver.errors import BuildError
from quaver.files.carried import payload
from quaver.files.pinned import UMQTT, fetch

# MicroPython runs these two by name, as source.
_SCRIPTS = ("boot.py", "main.py")
_THUMB = "_thumb.py"
_IN_FLASH = "dsp/tables_2048.py"  # else they would take the heap that a transform's own take
# What no node asks for: names for readers of messages, and windows that a measurement does without.
# Of an ESP32: MicroPython itself over the air, and memory that ESP-IDF and Python share.
_ESP32 = ("hal/slots.py", "update/image.py", "hal/held.py")
# How the paths of modules begin that boards have for some links alone.
_OF_LINKS = {
    "links/ble": {"ble"},
    "links/visit": {"ble", "uart"},
    "links/uart": {"uart"},
    "build/uart": {"uart"},
    "quaver_wire/wired": {"uart"},
}
_LEFT_OUT = ("quaver_wire/names.py", "quaver_wire/spectrum.py", "dsp/windows.py")

LISTING = "firmware.txt"
"""On flash: the paths of the firmware's files, a line each, by which a later change knows what to remove; behind the
path of a pack (`quaver.build.packs`) the modules in it."""


PLAN = "sync.plan"
"""On flash, while a change of the firmware waits for its completion; as in firmware/boot.py."""

RELEASE_KEY = "release.key"
"""On flash: the public key that a node trusts with releases, x and y, 64 bytes."""

RELEASE_SEQUENCE = "release.sequence"
"""On flash: the sequence number of the release that runs. What else begins with "release." is an update under way."""


def firmware_files(
    board: str, config: Mapping[str, object] | None = None, instead: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """The files of a node's flash, path -> bytes: what `littlefs_image` and `Setup.files` take.

    boot.py and main.py stay source; all of firmware/, quaver_wire, umqtt and the rendered board are
    .mpy for the board's architecture, in packs; LISTING names them. config becomes config.json; None leaves it out.
    instead: sources that take the place of those of the same path on the device.
    Raises BoardFileError, BuildError (a mistake in a source, too big for the board), ArtifactError.
    """
    spec = load_board(board)
    sources = {**_sources(spec), **(instead or {})}
    files = {path: sources.pop(path) for path in _SCRIPTS if path in sources}
    sources = {path: source for path, source in sources.items() if not _has_twin(path, sources)}
    files |= _modules_of({path: source for path, source in sources.items() if not _is_empty(path, source)}, spec)
    files = with_packs(files, spec)
    if config is not None:
        files["config.json"] = json.dumps(config, separators=(",", ":")).encode()
    check_budget(spec, files)
    return files


def with_packs(files: Mapping[str, bytes], spec: BoardSpec) -> dict[str, bytes]:
    """What a board gets of these: each module in a pack, and LISTING. Raises BuildError.

    Those at the top stay files of their own: what must be there before packs can be read.
    """
    modules = {path: data for path, data in files.items() if path.endswith(".mpy") and "/" in path}
    made, index = packed(modules, spec.silicon.in_place)
    made |= {path: data for path, data in files.items() if path not in modules}
    return made | {LISTING: listed(made, index)}


def without_packs(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files with each module by its path, as it is in its pack, and without LISTING."""
    modules = unpacked(files, files[LISTING])
    others = {path: data for path, data in files.items() if not path.startswith(FOLDER + "/") and path != LISTING}
    return others | modules


def with_twins(files: Mapping[str, bytes], board: str) -> dict[str, bytes]:
    """The firmware's files, and the portable twins of a board's modules in assembly, which its flash does not get: to
    be compared. In packs of their own."""
    spec = load_board(board)
    sources = _sources(spec)
    twins = _modules_of({path: source for path, source in sources.items() if _has_twin(path, sources)}, spec)
    made, index = packed(twins, spec.silicon.in_place)
    return {**files, **made, LISTING: files[LISTING] + listed(made, index)}


def _has_twin(path: str, sources: Mapping[str, bytes]) -> bool:
    """Whether the board has the same in assembly: what imports it takes that."""
    return path.removesuffix(".py") + "_thumb.py" in sources


def _is_empty(path: str, source: bytes) -> bool:
    """Whether it is a package's file without code: MicroPython does without one."""
    return path.endswith("/__init__.py") and all(
        isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) for step in ast.parse(source).body
    )


def _modules_of(sources: Mapping[str, bytes], spec: BoardSpec) -> dict[str, bytes]:
    files = {}
    for path, source in sorted(sources.items()):
        files[path.removesuffix(".py") + ".mpy"] = _compile(source, path, spec)
    return files


def _sources(spec: BoardSpec) -> dict[str, bytes]:
    """Every module of the device by its path there."""
    sources = dict(_modules(payload("firmware"), ""))
    sources.update(_modules(payload("protocols", "quaver_wire"), "quaver_wire/"))
    sources.update(_umqtt())
    sources["board.py"] = render_board(spec).encode()
    return {path: source for path, source in sources.items() if path not in _LEFT_OUT and _belongs(path, spec)}


def _modules(root: Path, under: str) -> Iterator[tuple[str, bytes]]:
    if not root.is_dir():
        raise BuildError(f"{root}: is missing: reinstall quaver or use a whole checkout")
    for path in root.rglob("*.py"):
        yield under + path.relative_to(root).as_posix(), path.read_bytes()


def _compile(source: bytes, path: str, spec: BoardSpec) -> bytes:
    """compile_mpy, but a mistake is named by where the source lies in the repository. On unix with lines."""
    try:
        return compile_mpy(source, path, spec.arch, lines=spec.image is None)
    except BuildError as error:
        room = "protocols" if path.startswith("quaver_wire/") else "firmware"
        raise BuildError(f"{room}/{error}") from error


def _belongs(path: str, spec: BoardSpec) -> bool:
    """Whether a module is for this board: no other chip's hal, no Thumb assembly where there is no assembler for it."""
    if any(path.startswith(start) and links.isdisjoint(spec.links) for start, links in _OF_LINKS.items()):
        return False
    if path.startswith("extra/"):  # quaver.build.own has them
        return False
    if path in _ESP32:
        return spec.silicon.hal == "esp32"
    if path.startswith("hal/chip/"):
        module = path.removeprefix("hal/chip/").removesuffix(".py")
        if module in ("in_place", "name_table"):
            return spec.silicon.in_place
        if module.startswith("view_"):
            return spec.silicon.in_place and module == f"view_{spec.chip}"
        return module == spec.silicon.hal or module not in {chip.hal for chip in chips().values()}
    if path == _IN_FLASH:
        return spec.silicon.in_place
    return not path.endswith(_THUMB) or spec.silicon.assembler == "thumb"


def _umqtt() -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fetch(UMQTT)) as archive:
        for entry in archive.getmembers():
            inside = entry.name.partition("/")[2]
            found = archive.extractfile(entry)
            if found and inside.startswith("umqtt/") and inside.endswith(".py"):
                # At the root, which comes before the ESP32 image's own umqtt: that one has no simple2.
                yield inside, found.read()


def check_budget(spec: BoardSpec, files: Mapping[str, bytes]) -> None:
    """Refuse firmware that leaves too little of the file system to the node's own data."""
    block = spec.flash.block_size
    folders = {path.rpartition("/")[0] for path in files}
    # A file takes whole blocks, unless it is so small that it lies in its folder's; a folder takes a pair of them.
    blocks = sum(-(-len(data) // block) for data in files.values() if len(data) > INLINE_MAX)
    taken = (blocks + len(folders) * 2) * block
    if taken > spec.flash.budget:
        raise BuildError(
            f"{spec.name}: the firmware needs {taken} bytes of flash, its budget is {spec.flash.budget} "
            f"(boards/{spec.name}.toml, flash.budget)"
        )
