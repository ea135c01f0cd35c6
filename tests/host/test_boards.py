"""The board files: each loads, each mistake gets one line, and the device's rendering says the same."""

import dataclasses
import re
import struct

import pytest

from quaver.board.chips import chips
from quaver.board.image import fetch_image
from quaver.board.spec import BoardSpec, I2cBus, SpiBus, UartBus, board_names, load_board, read_board, render_board
from quaver.build import build, firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.errors import ArtifactError, BoardFileError, BuildError
from quaver.files.carried import payload
from tests.waiting import wait_for_words


@pytest.mark.parametrize("name", board_names())
def test_every_carried_board_loads(name):
    board = load_board(name)
    assert isinstance(board, BoardSpec)
    assert board.name == name
    assert board.flash.filesystem_offset + board.flash.filesystem_size <= board.flash.size
    assert (board.image is None) == (board.chip == "unix")


def test_the_boards_that_were_promised_are_there():
    assert set(board_names()) >= {
        *("esp32", "esp32_c3", "esp32_c6", "esp32_s2", "esp32_s3", "esp32_s3_oct", "olimex_poe"),
        *("nano_rp2040", "pico", "pico2", "pico2_w", "pico_w", "xiao_c3", "xiao_c6", "xiao_s3", "unix"),
    }


# As the makers label the pins: arduino-esp32, variants/XIAO_…/pins_arduino.h, and MicroPython's pins.csv of both.
XIAO = {
    "xiao_c3": (2, 3, 4, 5, 6, 7, 21, 20, 8, 9, 10),
    "xiao_c6": (0, 1, 2, 21, 22, 23, 16, 17, 19, 20, 18),
    "xiao_s3": (1, 2, 3, 4, 5, 6, 43, 44, 7, 8, 9),
}


@pytest.mark.parametrize("name", XIAO)
def test_a_xiao_is_wired_as_it_is_labelled(name):
    board, pins = load_board(name), XIAO[name]
    assert (board.buses["i2c0"].sda, board.buses["i2c0"].scl) == (pins[4], pins[5])
    spi = board.buses["spi0"]
    assert (spi.sck, spi.miso, spi.mosi, board.pins["spi0_cs"]) == (pins[8], pins[9], pins[10], pins[3])
    assert {board.buses["uart1"].tx, board.buses["uart1"].rx} <= set(pins[:3])


@pytest.mark.parametrize("name", ["nano_rp2040", "pico", "pico2", "pico2_w", "pico_w"])
def test_an_rp2s_pins_can_be_what_they_are_taken_for(name):
    """RP2040 datasheet, section 1.4.3, and RP2350 datasheet, section 1.2.3: what GPIO n can be repeats with n."""
    board = load_board(name)
    spi, i2c = (board.buses[bus] for bus in ("spi0", "i2c0"))
    assert (spi.miso % 4, board.pins["spi0_cs"] % 4, spi.sck % 4, spi.mosi % 4) == (0, 1, 2, 3)
    assert {pin // 8 % 2 for pin in (spi.miso, board.pins["spi0_cs"], spi.sck, spi.mosi)} == {spi.id}
    assert (i2c.sda % 2, i2c.scl % 2) == (0, 1)
    assert {pin // 2 % 2 for pin in (i2c.sda, i2c.scl)} == {i2c.id}
    for uart in (bus for bus in board.buses.values() if isinstance(bus, UartBus)):
        assert (uart.tx % 4, uart.rx % 4) == (0, 1)
        assert {(pin + 4) // 8 % 2 for pin in (uart.tx, uart.rx)} == {uart.id}


def test_a_board_without_a_radio_has_the_wire_and_a_uart_of_its_own_for_it():
    for board in map(load_board, board_names()):
        assert board.links == (board.radios or ("uart",)) or board.name == "unix"
        assert "uart" not in board.links or "uart0" in board.buses


def test_where_nobody_names_a_board_a_chip_has_one():
    named = {chip.name: chip.board for chip in chips().values() if chip.loader}
    assert all(load_board(board).chip == chip for chip, board in named.items())
    assert {load_board(name).chip for name in board_names()} - {"unix"} == set(named)


def test_a_node_without_its_link_is_refused_by_the_build_and_measures_on_a_board():
    for name, link in (("pico", "wifi"), ("esp32_s2", "ble")):
        with pytest.raises(BuildError, match=f"^{name}: has no {link}: set link to "):
            build(name, {"node": "n1", "link": link})
    wired = render_board(dataclasses.replace(load_board("unix"), radios=())).encode()
    config = {"node": "n1", "link": "wifi", "interval_s": 1, "outbox": {"durable": True}}
    files = firmware_files("unix", config, {"board.py": wired})
    with UnixBoard(Setup(files=files)) as board:
        board.reset()
        wait_for_words(board, b"node: config: link: expected one of uart")
        wait_for_words(board, b"node: temperature: no answer")  # it goes on


def test_an_image_that_no_package_carries_is_for_a_person_to_name():
    with pytest.raises(ArtifactError, match=r"^pico2_w: its image RPI_PICO2_W.* name it with --image and --sha256$"):
        fetch_image(load_board("pico2_w"))


def test_pico_w_wiring_is_the_default_of_all_rooms_and_unix_has_the_same():
    pico, unix = load_board("pico_w"), load_board("unix")
    assert pico.buses == {name: bus for name, bus in unix.buses.items() if name != "uart0"}
    assert pico.pins == unix.pins == {"spi0_cs": 17}
    assert pico.buses["spi0"] == SpiBus(0, 18, 19, 16, 8_000_000)
    assert pico.buses["i2c0"] == I2cBus(0, 5, 4, 400_000)
    assert pico.buses["uart1"] == UartBus(1, 8, 9, 2400)
    assert pico.flash.block_size == unix.flash.block_size


def test_pico_w_flash_layout_is_the_official_images_own():
    """The image's binary info names its block device: picotool's BINARY_INFO_TYPE_BLOCK_DEVICE (7)."""
    board = load_board("pico_w")
    uf2 = fetch_image(board).read_bytes()
    flash = {}
    for at in range(0, len(uf2), 512):
        magic, _, _, address, size, _, _, family = struct.unpack_from("<8I", uf2, at)
        assert (magic, family) == (0x0A324655, 0xE48BFF56)  # a UF2 block, for the RP2040
        flash[address] = uf2[at + 32 : at + 32 + size]
    image = b"".join(flash[address] for address in sorted(flash))
    base = min(flash)
    marker = image.index(struct.pack("<I", 0x7188EBF2))
    start, end = struct.unpack_from("<2I", image, marker + 4)
    pointers = struct.unpack_from(f"<{(end - start) // 4}I", image, start - base)
    inside = [pointer - base for pointer in pointers if 0 <= pointer - base < len(image)]
    # One record is: type, tag, name, address, size, … (pico-sdk, binary_info_block_device_t).
    devices = [struct.unpack_from("<2I", image, at + 8) for at in inside if image[at] == 7]
    expected = (base + board.flash.filesystem_offset, board.flash.filesystem_size)
    assert expected in devices


def test_rendered_board_is_plain_python_with_the_files_facts():
    board = load_board("esp32")
    names: dict[str, object] = {}
    exec(render_board(board), names)
    assert names["NAME"] == "esp32"
    assert names["CHIP"] == "esp32"
    assert names["BUSES"]["spi0"] == ("spi", 2, 18, 23, 19, 8_000_000)
    assert names["BUSES"]["i2c0"] == ("i2c", 0, 22, 21, 400_000)
    assert names["BUSES"]["uart1"] == ("uart", 1, 17, 16, 2400)
    assert names["PINS"] == {"spi0_cs": 5}
    assert names["LINKS"] == ("wifi", "ble")
    assert names["LED"] is None


@pytest.mark.parametrize(
    ("pattern", "put", "key", "says"),
    [
        (r"^size = .*$", "", "flash.size", "expected a whole number from 65536 to 134217728, found nothing"),
        (r"^size = .*$", "size = '2 MB'", "flash.size", "found '2 MB'"),
        (r"^size = .*$", "size = true", "flash.size", "found True"),
        (r"^filesystem_size = .*$", "filesystem_size = 0xe0000", "flash.filesystem_size", "found 917504"),
        (r"^filesystem_offset = .*$", "filesystem_offset = 1000", "flash.filesystem_offset", "in steps of 4096"),
        (
            r"^chip = .*$",
            'chip = "z80"',
            "chip",
            "expected one of rp2040, rp2350, esp32, esp32s2, esp32s3, esp32c3, esp32c6, unix",
        ),
        (r"^sha256 = .*$", 'sha256 = "abc"', "image.sha256", "expected text like [0-9a-f]{64}"),
        (r"^url = .*$", 'url = "ftp://x"', "image.url", "found 'ftp://x'"),
        (r"^radios = .*$", 'radios = ["wifi", "zigbee"]', "radios", "expected a list of some of wifi, ble"),
        (r"^led = .*$", "led = 2.5", "led", "expected a GPIO from 0 to 29 or the name of a pin"),
        (r"^heap_budget = .*$", "heap_budget = 999_999", "memory.heap_budget", "from 0 to 205568"),
        (
            r"^heap_budget = .*$",
            "heap_budget = 1\nidf_budget = 5\nidf_piece_budget = 6",
            "memory.idf_piece_budget",
            "from 0 to 5, found 6",
        ),
        (r"^miso = .*$", "miso = 30", "buses.spi0.miso", "expected a whole number from 0 to 29, found 30"),
        (r"^miso = .*$", "miso = 4", "buses.i2c0.sda", "found 4, which is also buses.spi0.miso"),
        (r"^\[buses.spi0\]$", "[buses.can0]", "buses.can0", "expected a bus named spi0, i2c0, uart1"),
        (r"^frequency = .*$", "frequency = 400_000\nspeed = 1", "buses.i2c0.speed", "found an unknown key"),
        (r"^title = .*$", 'title = "x"\nowner = "me"', "owner", "found an unknown key"),
        (r"^\[flash\]$", "[flush]", "flash", "expected a table, found nothing"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_what_was_expected(tmp_path, pattern, put, key, says):
    text = payload("boards", "pico_w.toml").read_text()
    changed, count = re.subn(pattern, put, text, count=1, flags=re.MULTILINE)
    assert count == 1
    path = tmp_path / "boards" / "mine.toml"
    path.parent.mkdir()
    path.write_text(changed)
    with pytest.raises(BoardFileError) as caught:
        read_board(path)
    line = str(caught.value)
    assert line.startswith(f"boards/mine.toml: {key}: expected ")
    assert says in line
    assert "\n" not in line


def test_what_is_no_toml_or_not_there_says_so(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("chip = \n")
    with pytest.raises(BoardFileError, match=r"x\.toml: expected TOML, found an error: .*line 1"):
        read_board(path)
    with pytest.raises(BoardFileError, match=r"none\.toml: cannot be read"):
        read_board(tmp_path / "none.toml")
    with pytest.raises(BoardFileError, match=r"'pico_x' is unknown: expected one of esp32, .*pico_w"):
        load_board("pico_x")
