"""aioble out of the Pico W's official image: the modules that it was frozen from, and what is refused in one line."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from bumble.core import UUID, AdvertisingData
from bumble.device import Peer

from quaver.board.image import read_image
from quaver.board.local import run
from quaver.board.spec import load_board
from quaver.build import build
from quaver.build.libraries import device_libraries
from quaver.build.thaw import thaw
from quaver.build.uf2 import join_pages, read_uf2
from quaver.emulator.esp32c3 import Esp32C3Board
from quaver.emulator.radio import Air
from quaver.emulator.setup import Setup
from quaver.errors import BuildError
from tests.programs import program

# sha256 of what mpy-cross 1.27.0 makes of the files of aioble (micropython-lib, tag v1.27.0), each with the line that
# freezing appends, `__version__ = '0.4.0'` for core.py.
_COMPILED = {
    "aioble/__init__.mpy": "82cb9af713a22ade2fa4002c18be4a45742bce78cc9c7786751e628176e143f6",
    "aioble/central.mpy": "3df0319a2a84961cc1080ca68677177b24678a649e535867ad48dbfcd15aa48f",
    "aioble/client.mpy": "5f93769e85329e700e77e1d2ffdafed5acea49688e53ff85c27acc747836b3bc",
    "aioble/core.mpy": "c74327b4ad3e029a7f20f04a690723944e3a81e93ff61dbc1c641ba5bca29d0f",
    "aioble/device.mpy": "8845d4381ec892de084e5709b8c6c12f4da7768e37ecfe115715ba4a9535b6a0",
    "aioble/l2cap.mpy": "b4f96a96147854375e4ae393af15308639c2e507e39e8f45d0130ad496cc3641",
    "aioble/peripheral.mpy": "385bed9735b82cf3ab997c47d8504b4da0f19fce5028350c5d01e55f70b3f364",
    "aioble/security.mpy": "ab1555729464eae3395324135cdebf1e69841bdcdf970458640cb58eb396f2ac",
    "aioble/server.mpy": "e85814fd470e2d90554a67a2ca0d0e957a1b7c6c489cf534af4a885ebd868743",
}

_BLUETOOTH = program(__file__, "bluetooth")
_PROGRAM = program(__file__, "central")
_PERIPHERAL = program(__file__, "peripheral")


@pytest.fixture(scope="module")
def pico_w() -> tuple[int, bytes]:
    """The address of its image's first byte, and the image as flash content."""
    board = load_board("pico_w")
    return join_pages(read_uf2(read_image(board), board.silicon.uf2_family))


def test_they_are_the_files_that_the_compiler_makes_of_the_source(pico_w: tuple[int, bytes]) -> None:
    start, image = pico_w
    assert {path: hashlib.sha256(data).hexdigest() for path, data in thaw(image, start, "aioble").items()} == _COMPILED


def test_micropython_imports_and_runs_them(tmp_path: Path) -> None:
    (tmp_path / "aioble").mkdir()
    (tmp_path / "bluetooth.py").write_text(_BLUETOOTH)
    for path, data in device_libraries(load_board("esp32_c3")).items():
        (tmp_path / path.removeprefix("lib/")).write_bytes(data)
    assert run(_PROGRAM, "", folder=tmp_path) == [
        [50_000, "02010603031a1803096e31", None, True, None],
        ["n7", -40, True, "Device(ADDR_RANDOM, 28:01:02:03:04:05)"],
        5,
        ["ClientDescriptor", "L2CAPChannel", "BufferedCharacteristic", "pair"],
    ]


def test_an_esp32_c3_advertises_and_serves_with_them() -> None:
    files = device_libraries(load_board("esp32_c3"))
    with Air(seed=1) as air, Esp32C3Board(Setup(air=air, name="n1", files=files)) as board:
        board.exec(_PERIPHERAL)
        device = air.device("peer", bytes.fromhex("280102030405"))

        async def read() -> tuple[str, bytes]:
            found = asyncio.get_running_loop().create_future()
            await device.power_on()
            device.on("advertisement", lambda seen: found.done() or found.set_result(seen))
            await device.start_scanning()
            seen = await found
            peer = Peer(await device.connect(seen.address))
            await peer.discover_services()
            (service,) = peer.get_services_by_uuid(UUID(0x181A))
            (value,) = await service.discover_characteristics()
            return seen.data.get(AdvertisingData.COMPLETE_LOCAL_NAME), await value.read_value()

        assert air.run(read()) == ("n1", b"first")


def test_an_image_that_is_not_whole_or_another_is_refused(pico_w: tuple[int, bytes]) -> None:
    start, image = pico_w
    names = image.index(b"aioble/__init__.py")
    for other, words in (
        (b"", "no table of qstrs"),
        (b"\xff" * len(image), "no table of qstrs"),
        (read_image(load_board("esp32_c3")), "no table of qstrs"),
        (image[: len(image) // 2], "the image has "),
        (image[:names] + b"x" + image[names + 1 :], "no frozen package aioble"),
    ):
        with pytest.raises(BuildError, match=f"^[^\n]*{words}[^\n]*: [^\n]+$"):
            thaw(other, start, "aioble")
    with pytest.raises(BuildError, match="no frozen package ble: name an image that has it"):
        thaw(image, start, "ble")


@pytest.mark.parametrize("end", range(10, 100, 10))
def test_whatever_is_cut_off_nothing_wrong_comes_out(pico_w: tuple[int, bytes], end: int) -> None:
    start, image = pico_w
    try:
        files = thaw(image[: len(image) * end // 100], start, "aioble")
    except BuildError as error:
        assert "\n" not in str(error)
    else:
        assert {path: hashlib.sha256(data).hexdigest() for path, data in files.items()} == _COMPILED


def test_a_build_has_them_where_the_image_does_not() -> None:
    for board in ("esp32", "esp32_c3", "esp32_s3"):
        there = {path for path in build(board).files if path.startswith("lib/aioble/")}
        assert there == {f"lib/{path}" for path in _COMPILED}
    assert not any("aioble" in path for path in build("pico_w").files)
