"""From sources to flash: what is compiled for whom, and that MicroPython itself mounts and imports the result."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from quaver.board.spec import board_names, load_board
from quaver.build import board_image, compile_mpy, firmware_files, littlefs_image, read_littlefs, tree
from quaver.build.in_place import blocks
from quaver.build.tree import without_packs
from quaver.errors import BuildError
from quaver.files.carried import payload
from quaver.release.files import listing
from tests.programs import program

# The architecture's number in an .mpy with native code: bits 2 to 5 of its third byte (py/persistentcode.h).
_ARCHES = {"x64": 2, "armv6m": 4, "armv7emsp": 7, "xtensawin": 10, "rv32imc": 11}
_MICROPYTHON = Path(sys.executable).with_name("micropython")
_VIPER = b"@micropython.viper\ndef double(a: int) -> int:\n    return a + a\n"


def _micropython(image, tmp_path, code, progsize=32):
    """What `code` prints on the MicroPython unix port with `image` mounted as its flash."""
    (tmp_path / "flash.img").write_bytes(image)
    script = tmp_path / "script.py"
    head = program(__file__, "mount", image=str(tmp_path / "flash.img"), progsize=progsize)
    script.write_text(head + code)
    heap = ("-X", "heapsize=8m")  # the image is in it
    return subprocess.run([_MICROPYTHON, *heap, script], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A firmware tree of our own in place of the package's; returns a function that adds a file."""
    for folder in ("firmware/hal/chip", "firmware/dsp", "protocols/quaver_wire"):
        (tmp_path / folder).mkdir(parents=True)

    def add(path, text):
        (tmp_path / path).write_text(text)

    add("firmware/boot.py", "import gc\n")
    add("firmware/main.py", "import board\n")
    add("firmware/hal/__init__.py", "A = 1\n")
    for name in ("common", "rp2", "esp32", "unix"):
        add(f"firmware/hal/chip/{name}.py", "A = 1\n")
    add("firmware/dsp/fft.py", "B = 2\n")
    add("protocols/quaver_wire/__init__.py", "C = 3\n")
    monkeypatch.setattr(tree, "payload", lambda *parts: tmp_path.joinpath(*parts))
    return add


@pytest.mark.parametrize("progsize", [32, 256])
def test_micropython_mounts_reads_and_writes_the_image(tmp_path, progsize):
    files = {f"sizes/{size}.bin": bytes(size) for size in (0, 1, 127, 128, 129, 255, 4096, 9000)}
    image = littlefs_image({**files, "a/b/c/deep.txt": b"deep"}, 256 * 1024)
    said = _micropython(
        image,
        tmp_path,
        program(__file__, "sizes"),
        progsize,
    )
    lines = said.splitlines()
    assert sorted(lines[:-1]) == sorted(f"{size}.bin {size} True" for size in (0, 1, 127, 128, 129, 255, 4096, 9000))
    assert lines[-1] == "deeper 64"


def test_an_image_holds_its_files_and_is_the_same_every_time():
    files = {"main.py": b"print(1)\n", "dsp/fft.mpy": bytes(range(256)) * 40, "lib/umqtt/x.mpy": b""}
    image = littlefs_image(files, 128 * 1024)
    assert len(image) == 128 * 1024
    assert read_littlefs(image) == files
    assert littlefs_image(dict(reversed(files.items())), 128 * 1024) == image


def test_a_boards_image_fills_its_file_system():
    board = load_board("pico_w")
    assert len(board_image(board, {"main.py": b""})) == board.flash.filesystem_size


def test_what_is_too_big_or_no_image_is_said_in_one_line():
    with pytest.raises(BuildError, match="1 files of 90000 bytes do not fit a file system of 65536 bytes"):
        littlefs_image({"big": bytes(90_000)}, 65_536)
    with pytest.raises(BuildError, match="multiple of its block size"):
        littlefs_image({}, 65_000)
    with pytest.raises(BuildError, match="not a littlefs image"):
        read_littlefs(bytes(65_536))


@pytest.mark.parametrize("arch", _ARCHES)
def test_viper_is_compiled_for_the_boards_architecture(arch):
    compiled = compile_mpy(_VIPER, "dsp/double.py", arch)
    assert compiled[:2] == b"M\x06"
    assert compiled[2] >> 2 & 0x0F == _ARCHES[arch]
    assert compile_mpy(_VIPER, "dsp/double.py", arch) == compiled


def test_the_rp2350_runs_the_very_kernels_that_run_in_the_rp2040s_emulator():
    """All but the byte that names the architecture, which MicroPython's loader takes from armv6m up to its own."""
    kernels = sorted(payload("firmware", "dsp").glob("*_thumb.py"))
    assert kernels
    for path in kernels:
        small, large = (compile_mpy(path.read_bytes(), f"dsp/{path.name}", arch) for arch in ("armv6m", "armv7emsp"))
        assert small[:2] + small[3:] == large[:2] + large[3:]
        assert (small[2] >> 2 & 0x0F, large[2] >> 2 & 0x0F) == (_ARCHES["armv6m"], _ARCHES["armv7emsp"])


@pytest.mark.parametrize(("name", "emulated"), [("xiao_c3", "esp32_c3"), ("pico", "pico_w"), ("nano_rp2040", "pico_w")])
def test_a_board_has_the_code_that_runs_in_its_chips_emulator(name, emulated):
    """But for the modules of links that one of the two has not."""
    its, known = (tree._modules_of(tree._sources(spec), spec) for spec in map(load_board, (name, emulated)))
    assert its.pop("board.mpy") != known.pop("board.mpy")
    of_links = {"build/uart.mpy", "links/uart.mpy", "quaver_wire/wired.mpy"}
    of_links |= {f"links/{path}.mpy" for path in ("ble", "ble_central", "ble_mtu", "ble_onboard", "ble_sleep")}
    assert its.keys() ^ known.keys() == (of_links if name in ("pico", "nano_rp2040") else set())
    assert all(its[path] == known[path] for path in its.keys() & known.keys())


@pytest.mark.parametrize(("lines", "line"), [(True, 6), (False, 1)])
def test_compiled_code_runs_and_its_traceback_names_the_source(tmp_path, lines, line):
    source = _VIPER + b"def fail():\n    pass\n    raise OSError(5)\n"
    image = littlefs_image({"dsp/k.mpy": compile_mpy(source, "dsp/k.py", "x64", lines)}, 65_536)
    said = _micropython(
        image,
        tmp_path,
        "from dsp import k\n"
        "print(k.double(21))\n"
        "try:\n    k.fail()\n"
        "except OSError as error:\n    sys.print_exception(error, sys.stdout)\n",
    )
    assert said.startswith("42\n")
    assert f'File "dsp.k", line {line}, in fail' in said


@pytest.mark.parametrize(("name", "lines"), [("unix", True), ("pico_w", False), ("esp32_c3", False)])
def test_only_the_unix_boards_tracebacks_name_lines(name, lines):
    source, spec = b"def fail():\n    pass\n\n    raise OSError(5)\n", load_board(name)
    assert tree._modules_of({"dsp/k.py": source}, spec) == {
        "dsp/k.mpy": compile_mpy(source, "dsp/k.py", spec.arch, lines)
    }


def test_a_syntax_error_names_file_line_and_reason(sources):
    sources("firmware/dsp/bad.py", "a = 1\nb = = 2\n")
    with pytest.raises(BuildError, match=r"^firmware/dsp/bad\.py, line 2: SyntaxError: invalid syntax$"):
        firmware_files("pico_w")


@pytest.mark.parametrize(("name", "hal"), [("pico_w", "rp2"), ("esp32_c3", "esp32"), ("unix", "unix")])
def test_a_board_gets_its_own_hal_and_only_armv6m_gets_thumb(sources, name, hal):
    sources("firmware/dsp/fft_thumb.py", "@micropython.asm_thumb\ndef one(r0):\n    mov(r0, 1)\n")
    files = without_packs(firmware_files(name))
    assert {path for path in files if path.startswith("hal/")} == {
        "hal/__init__.mpy",
        "hal/chip/common.mpy",
        f"hal/chip/{hal}.mpy",
    }
    assert ("dsp/fft_thumb.mpy" in files) == (name == "pico_w")


def test_scripts_stay_source_and_the_config_is_json(sources):
    files = firmware_files("unix", {"site": "Würzburg", "interval_s": 1})
    assert files["boot.py"] == b"import gc\n"
    assert files["main.py"] == b"import board\n"
    assert files["config.json"] == b'{"site":"W\\u00fcrzburg","interval_s":1}'
    assert "config.json" not in firmware_files("unix")
    packs = {path for path in files if path.startswith("code/")}
    assert set(files) - packs == {"boot.py", "main.py", "config.json", "firmware.txt", "board.mpy"}
    listed = [line for line in files["firmware.txt"].decode().splitlines() if line[0] != " "]
    assert listed == sorted(packs | {"boot.py", "main.py", "board.mpy"})
    assert {"dsp/fft.mpy", "umqtt/simple2.mpy"} <= set(without_packs(files))


def test_firmware_that_leaves_no_room_for_data_is_refused(sources):
    for number in range(14):
        sources(f"firmware/dsp/table{number}.py", f"T = {bytes(50_000)!r}\n")
    with pytest.raises(BuildError, match=r"pico_w: the firmware needs \d+ bytes of flash, its budget is 688000"):
        firmware_files("pico_w")


def test_both_versions_of_the_firmware_fit_a_pico_w_beside_a_full_journal():
    board = load_board("pico_w")
    files = firmware_files("pico_w")
    image = board_image(board, files)
    free = sum(image[at : at + 4096] == b"\xff" * 4096 for at in range(0, len(image), 4096))
    changed = sum(blocks(len(data)) for path, data in files.items() if path != "boot.py")
    journal = (180 << 10) // 4096 + 3 * 2  # outbox.flash_kb, and its folders
    release = blocks(len(listing({path: data for path, data in files.items() if path != "boot.py"}))) + 1
    assert changed + journal + release + 6 <= free  # what the node keeps free: update/stage.py, _SPARE


def test_a_module_that_no_pack_can_hold_is_refused(sources):
    sources("firmware/dsp/table.py", f"T = {bytes(70_000)!r}\n")
    with pytest.raises(BuildError, match=r"^dsp/table: is longer than 61439 bytes: divide the module$"):
        firmware_files("unix")


@pytest.mark.parametrize("name", board_names())
def test_the_real_firmware_compiles_for_every_board_and_fits(name):
    board = load_board(name)
    files = firmware_files(name, {})
    assert read_littlefs(board_image(board, files)) == files


def test_the_real_tree_imports_on_micropython(tmp_path):
    image = board_image(load_board("unix"), firmware_files("unix", {"site": "x"}))
    said = _micropython(
        image,
        tmp_path,
        program(__file__, "firmware"),
    )
    assert said == "unix ('spi', 0, 18, 19, 16, 8000000) 17 {'site': 'x'}\n"


@pytest.mark.parametrize("name", ["pico_w", "esp32", "unix"])
def test_every_module_that_the_firmware_reads_by_name_is_there(name):
    """An import that is missing shows when the board starts; one by name may show years later."""
    root = Path(__file__).resolve().parents[2] / "firmware"
    named = {found for path in root.rglob("*.py") for found in re.findall(r'\bload\("([\w.]+)"\)', path.read_text())}
    assert len(named) >= 5
    files = without_packs(firmware_files(name))
    missing = {module for module in named if module.replace(".", "/") + ".mpy" not in files}
    assert missing == (set() if name == "esp32" else {"hal.slots", "update.image"})  # of an ESP32 alone
