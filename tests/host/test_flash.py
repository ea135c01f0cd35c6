"""Flashing: boards found, many at once, each failure by name and reason, and a second run that touches nothing."""

import errno
import json
import os
import pty
import random
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import esp_rig
import pytest
import serial
from nobody import as_nobody, open_the_way

from quaver.board import ports
from quaver.board.chips import chips
from quaver.board.failures import KnownFailure
from quaver.board.image import fetch_image
from quaver.board.ports import Port, find_ports, named_port, usb_ids
from quaver.board.spec import board_names, load_board, render_board
from quaver.build import compile_mpy, firmware_files, read_littlefs
from quaver.build.flashable import compose
from quaver.build.image import littlefs_image
from quaver.build.libraries import device_libraries
from quaver.build.partitions import read_partitions
from quaver.build.tree import LISTING
from quaver.build.uf2 import FLASH_START, join_pages, make_uf2, read_uf2
from quaver.cli import flash as command
from quaver.cli import main
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.errors import BoardError, BuildError
from quaver.flash import fleet, rp2, serials
from quaver.flash.errors import (
    DriveFullError,
    NoBoardError,
    NoBoardFileError,
    NoBootLoaderError,
    PortDeniedError,
    PortGoneError,
    WrongChipError,
)
from quaver.flash.fleet import Fleet, choose_ports, exit_code
from quaver.provision import identity

_NAME_IT = "name the right BOARD, or none"
_QUIET = lambda _port, _word, _part: None  # noqa: E731


@pytest.fixture
def small(monkeypatch):
    """Images with their first 256 KiB alone, partition table included: a seventh of the time on the wire."""

    def build(name, flash_size=4 << 20, slots=False, image=None, drivers=None):
        spec = load_board(name)
        return compose(spec, fetch_image(spec).read_bytes()[: 1 << 18], firmware_files(name), flash_size, slots)

    monkeypatch.setattr(fleet, "build", build)


@pytest.fixture
def given(monkeypatch):
    """The devices that `quaver flash` gave a code: the mock has a boot loader, and no Python to take one."""
    devices = []
    monkeypatch.setattr(identity, "give_code_at", lambda device, *_: devices.append(device))
    return devices


@pytest.fixture
def boards(tmp_path, given):
    """Starts ESP32 boards on the mock; `boards(chip, name=…)`, each stopped when the test ends."""
    with ExitStack() as stack:

        def start(chip, **settings):
            return stack.enter_context(esp_rig.board(tmp_path, chip, **settings))

        yield start


def test_of_five_boards_two_succeed_three_are_told_and_a_second_run_finishes(boards, small, tmp_path):
    at = random.Random().randint(1, 8)  # of the MicroPython in it: a file system has room where nothing is wrong
    good = [boards("esp32", name=f"good{n}") for n in range(2)]
    bad = boards("esp32", name="bad", fault="flip", at=at)
    wrong = boards("esp32c3", name="wrong")
    gone = boards("esp32", name="gone", fault="vanish", at=at)
    urls = [board.url for board in (*good, bad, wrong, gone)]
    outcomes = Fleet("esp32", _QUIET).flash([named_port(url) for url in urls])
    assert [one.port for one in outcomes] == urls
    assert [(one.outcome, one.reason) for one in outcomes[:2]] == [("flashed", None)] * 2
    assert [one.outcome for one in outcomes[2:]] == ["failed"] * 3
    assert re.match(rf"{bad.url}: MD5 of file does not match data in flash!: try again", outcomes[2].reason), at
    assert outcomes[3].reason == f"{wrong.url}: its chip is an esp32c3, an esp32 has an esp32: {_NAME_IT}"
    assert outcomes[4].reason.startswith(f"{gone.url}: the port vanished ("), at
    assert [one.exit_code for one in outcomes[2:]] == [37, 36, 34]
    assert exit_code(outcomes) == 30
    assert wrong.content(0) == b"\xff" * (4 << 20)

    for board in (bad, gone):
        board.process.kill()
        board.process.wait()
    mended, back = boards("esp32", name="bad"), boards("esp32", name="gone")
    writes = [board.writes() for board in good]
    urls[2], urls[4] = mended.url, back.url
    outcomes = Fleet("esp32", _QUIET).flash([named_port(url) for url in urls])
    words = ["already right"] * 2 + ["flashed", "failed", "flashed"]
    assert [one.outcome for one in outcomes] == words, [one.reason for one in outcomes]
    assert [board.writes() for board in good] == writes
    assert mended.content(0) == back.content(0) == good[0].content(0)


def test_two_slots_for_the_image_are_laid_at_flashing(boards):
    """As the boot loader and MicroPython of the C3's image take them: test_esp32c3_image."""
    board = boards("esp32c3")
    fleet = Fleet("esp32_c3", _QUIET, slots=True)
    words = [fleet.flash([named_port(board.url)])[0].outcome for _ in range(2)]
    assert words == ["flashed", "already right"]
    places = {part.name: (part.offset, part.size) for part in read_partitions(board.content(0), 0)}
    assert places == {
        "nvs": (0x9000, 0x4000),
        "otadata": (0xD000, 0x2000),
        "phy_init": (0xF000, 0x1000),
        "ota_0": (0x10000, 0x1A0000),
        "ota_1": (0x1B0000, 0x1A0000),
        "vfs": (0x350000, 0xB0000),
    }
    files = firmware_files("esp32_c3") | device_libraries(load_board("esp32_c3"))
    assert read_littlefs(board.content(0x350000)) == files


def test_a_file_system_that_holds_our_firmware_stays_with_all_else_in_it(boards, small):
    board = boards("esp32")
    assert Fleet(None, _QUIET).flash([named_port(board.url)])[0].outcome == "flashed"
    place = load_board("esp32").flash
    start, end = place.filesystem_offset, place.filesystem_offset + place.filesystem_size
    files = {**read_littlefs(board.content(start, end)), "config.json": b'{"node":"n7"}'}
    whole = board.content(0)
    board.flash.write_bytes(whole[:start] + littlefs_image(files, place.filesystem_size) + whole[end:])
    served, writes = board.content(0), board.writes()
    assert Fleet(None, _QUIET).flash([named_port(board.url)])[0].outcome == "already right"
    assert (board.content(0), board.writes()) == (served, writes)

    # Another firmware goes, with what it left behind; what the node wrote itself stays.
    own = {
        "config.json": b"{}",
        "device.key": b"k",
        "journal/1": bytes(5000),
        "boot.0": b"7",
        "ca.pem": b"",
        "own.py": b"",
    }
    stale = {"node/gone.mpy": b"M", "old.mpy": b"M", "sync.plan": b"x", "node.new/x.mpy": b"M", "main.py.new": b"#"}
    listing = files[LISTING] + b"old.mpy\nnode/gone.mpy\n"
    files |= {**own, **stale, "main.py": b"#", LISTING: listing}
    board.flash.write_bytes(whole[:start] + littlefs_image(files, place.filesystem_size) + whole[end:])
    assert Fleet(None, _QUIET).flash([named_port(board.url)])[0].outcome == "flashed"
    assert read_littlefs(board.content(start, end)) == {**firmware_files("esp32"), **own}


def test_a_pico_w_that_runs_is_asked_for_what_its_node_wrote(tmp_path):
    spec = load_board("pico_w")
    firmware = {"main.py": b"", "build/node.py": b"", LISTING: b"main.py\nnode/app.py\n"}
    built = compose(spec, fetch_image(spec).read_bytes(), firmware, spec.flash.size)
    own = {"config.json": b"{}", "device.key": b"k", "journal/1": bytes(5000)}
    with UnixBoard(Setup(files={**firmware, **own, "node/old.py": b"", "main.py": b"# older"})) as board:
        assert rp2.own_files(board.address, built) == own
        whole = built.beside(own)
        assert read_littlefs(whole.filesystem) == {**firmware, **own}
        assert whole.file() != built.file()
        board.exec("import os; os.remove('/firmware.txt')")
        assert rp2.own_files(board.address, built) == {}  # somebody else's files
        board.exec("import vfs; kept = vfs.mount(); vfs.umount('/')")
        assert rp2.own_files(board.address, built) == {}
    assert built.beside({}) is built


@pytest.mark.parametrize("name", [name for name in board_names() if load_board(name).silicon.loader == "esp"])
def test_every_esp32_board_is_flashed_by_its_name(boards, monkeypatch, name):
    spec = load_board(name)
    # of the image its first 64 KiB, and of the firmware what says the board's name: the quickest on the wire
    files = {"main.py": b"", "board.mpy": compile_mpy(render_board(spec).encode(), "board.py", spec.arch)}
    built = compose(spec, fetch_image(spec).read_bytes()[: 1 << 16], files, spec.flash.size)
    monkeypatch.setattr(fleet, "build", lambda *_, **__: built)
    board = boards(spec.chip, size=spec.flash.size)
    assert Fleet(name, _QUIET).flash([named_port(board.url)])[0].outcome == "flashed"
    assert read_littlefs(board.content(spec.flash.filesystem_offset)) == files


def test_a_larger_flash_gets_a_file_system_to_its_end(boards, small):
    board = boards("esp32s3", size=16 << 20)
    outcome = Fleet(None, _QUIET).flash([named_port(board.url)])[0]
    assert (outcome.board, outcome.outcome) == ("esp32_s3", "flashed")
    assert "main.py" in read_littlefs(board.content(0x200000))


def test_each_failure_has_a_line_and_an_exit_code_of_its_own(boards, small, monkeypatch):
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
    nobody = f"socket://127.0.0.1:{silent.getsockname()[1]}"
    old = boards("esp32c3", fault="old")
    mute = boards("esp32", fault="mute")
    monkeypatch.setattr("quaver.flash.esp._ATTEMPTS", 1)
    fleet_ = Fleet(None, _QUIET, report_s=1.0)
    outcomes = {one.port: one for one in fleet_.flash([named_port(url) for url in (nobody, old.url, mute.url)])}
    silent.close()
    assert outcomes[nobody].exit_code == NoBootLoaderError.exit_code
    assert "hold the button BOOT" in outcomes[nobody].reason
    assert outcomes[old.url].exit_code == 36
    assert "requires chip revision in range v0.3 - v1.99 (this chip is revision v0.0): use" in outcomes[old.url].reason
    assert outcomes[mute.url].exit_code == 38
    assert "did not report its version within 1 s (its last output: nothing)" in outcomes[mute.url].reason
    assert all("\n" not in one.reason for one in outcomes.values())


def test_the_command_prints_a_table_or_json_and_ends_with_the_failures_code(boards, small, given, capsys):
    right, wrong = boards("esp32"), boards("esp32c3")
    assert main(["flash", "esp32", "--json", "--port", right.url, "--port", wrong.url]) == 36
    printed = capsys.readouterr()
    first, second = (json.loads(line) for line in printed.out.splitlines())
    assert (first["board"], first["outcome"], first["image"]) == (
        "esp32",
        "flashed",
        "MicroPython 1.27.0, quaver 0.1.0",
    )
    assert re.fullmatch("[0-9a-f]{12}", first["unique_id"])
    assert (second["port"], second["outcome"]) == (wrong.url, "failed")
    assert (
        printed.err.splitlines()[-1]
        == f"quaver: {wrong.url}: its chip is an esp32c3, an esp32 has an esp32: {_NAME_IT}"
    )
    assert f"{right.url}: writing" in printed.err
    assert given == [right.url]
    assert main(["flash", "--port", right.url]) == 0
    assert "already right" in capsys.readouterr().out


def test_ctrl_c_ends_every_board(boards, small):
    board = boards("esp32")

    def watch(_port, word, part):
        if word == "writing":
            fleet_._stop.set()

    fleet_ = Fleet("esp32", watch)
    with pytest.raises(fleet.Stopped):
        fleet_.flash([named_port(board.url)])
    assert Fleet("esp32", _QUIET).flash([named_port(board.url)])[0].outcome == "flashed"


def test_with_several_boards_a_person_is_asked_and_a_script_is_told(monkeypatch, capsys):
    found = [Port(f"/dev/ttyUSB{n}", "unknown", (0x10C4, 0xEA60), None, "CP210x bridge", ("esp32",)) for n in range(3)]
    found.append(Port("/dev/ttyS7", "unknown", (1, 2), None, "a mouse"))
    monkeypatch.setattr(fleet, "find_ports", lambda: found)
    assert main(["flash", "esp32"]) == 84
    assert "3 boards are connected: /dev/ttyUSB0 (CP210x bridge); " in capsys.readouterr().err
    assert choose_ports([], True, None) == found[:3]
    answers = iter(["7", "x", "1,3"])
    monkeypatch.setattr(command.click, "prompt", lambda *_args, **_more: next(answers))
    assert choose_ports([], False, command._ask) == [found[0], found[2]]
    assert "expected numbers from 1 to 3, or all" in capsys.readouterr().err
    monkeypatch.setattr(fleet, "find_ports", list)
    with pytest.raises(NoBoardError, match="no board was found on USB"):
        choose_ports([], False, None)
    assert main(["flash"]) == 80
    assert main(["flash", "nano"]) == 3
    with pytest.raises(NoBoardFileError, match="unix: nothing to flash"):
        Fleet("unix", _QUIET)


def test_a_port_that_may_not_be_opened_is_busy_or_gone_says_so():
    master, slave = pty.openpty()
    device = os.ttyname(slave)
    Path(device).chmod(0o600)
    kind, line = as_nobody(lambda: serials.open_port(device))
    assert kind == "KnownFailure"
    assert re.fullmatch(rf"{device} can't be opened: it belongs to .*: sudo usermod -aG .*, then log in again", line)
    with serial.Serial(device, exclusive=True):
        Path(device).chmod(0o666)
        kind, line = as_nobody(lambda: serials.open_port(device))
        assert kind == "KnownFailure" and line.startswith(f"{device} is in use by another program: stop that")
    os.close(slave)
    os.close(master)
    with pytest.raises(KnownFailure, match="is not there: plug the board in"):
        serials.open_port(device)


# --- the drive of an RP2040's boot loader ---------------------------------------------------------------------------


@pytest.fixture
def drive(tmp_path):
    folder = tmp_path / "RPI-RP2"
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_bytes(b"UF2 Bootloader v2.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n")
    return named_port(str(folder))


def test_a_drive_is_known_by_its_file_and_takes_the_image_whole(drive):
    assert (drive.kind, drive.chips, drive.description) == ("rp2-bootsel", ("rp2040",), "Raspberry Pi RP2")
    parts = []
    rp2.copy_uf2(drive, b"u" * 100_000, chips()["rp2040"], parts.append)
    assert [path.read_bytes() for path in Path(drive.device).glob("*.UF2")] == [b"u" * 100_000]
    assert parts[-1] == 1.0 and parts == sorted(parts)


@pytest.mark.parametrize("name", [name for name in board_names() if load_board(name).silicon.loader == "uf2"])
def test_each_drive_gets_its_own_chips_image_with_the_files_where_they_belong(tmp_path, name):
    """The image is made up: a page of one, and the first block that RP2350-E10 asks for."""
    spec = load_board(name)
    chip = spec.silicon
    (tmp_path / "INFO_UF2.TXT").write_bytes(b"Model: Raspberry Pi\r\nBoard-ID: " + chip.drive.encode() + b"\r\n")
    drive = named_port(str(tmp_path))
    assert drive.chips == (chip.name,)
    image = make_uf2({FLASH_START: b"\1" * 256}, chip.uf2_family)
    if chip.name == "rp2350":
        image = make_uf2({0x10FFFF00: b"\xef" * 256}, 0xE48BFF57)[-512:] + image
    files = {"main.py": b"print(1)\n" * 5000}
    rp2.copy_uf2(drive, compose(spec, image, files, spec.flash.size).file(), chip, lambda _part: None)
    start, flash = join_pages(read_uf2((tmp_path / "QUAVER.UF2").read_bytes(), chip.uf2_family))
    assert start == FLASH_START and flash[:256] == b"\1" * 256
    filesystem = flash[spec.flash.filesystem_offset :].ljust(spec.flash.filesystem_size, b"\xff")  # the rest is erased
    assert read_littlefs(filesystem) == files
    others = [other for other in chips().values() if other.loader == "uf2" and other is not chip]
    for other in others:
        with pytest.raises(BuildError, match="is for another chip"):
            read_uf2(image, other.uf2_family)
        with pytest.raises(WrongChipError):
            rp2.copy_uf2(drive, b"", other, lambda _part: None)


def test_a_full_drive_leaves_nothing_half_written(drive):
    (Path(drive.device) / "QUAVER.UF2").symlink_to("/dev/full")
    with pytest.raises(DriveFullError, match=r"no space for the image \(No space left on device\): unplug"):
        rp2.copy_uf2(drive, b"u" * 100_000, chips()["rp2040"], lambda _part: None)
    assert [path.name for path in Path(drive.device).iterdir()] == ["INFO_UF2.TXT"]


def test_a_drive_that_vanishes_in_the_middle_is_told_and_one_that_goes_at_the_end_is_right(drive, monkeypatch):
    left = [2]

    def sync(_fd):
        left[0] -= 1
        if left[0] < 0:
            (Path(drive.device) / "INFO_UF2.TXT").unlink(missing_ok=True)
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(rp2.os, "fsync", sync)
    with pytest.raises(PortGoneError, match="the drive vanished while the image was written"):
        rp2.copy_uf2(drive, b"u" * 200_000, chips()["rp2040"], lambda _part: None)
    (Path(drive.device) / "INFO_UF2.TXT").write_bytes(b"Board-ID: RPI-RP2\r\n")
    left[0] = 2
    rp2.copy_uf2(drive, b"u" * 3 * (1 << 15), chips()["rp2040"], lambda _part: None)


def test_another_boards_drive_and_one_without_permission_are_refused(drive, tmp_path):
    folder = Path(drive.device)
    open_the_way(tmp_path)
    folder.chmod(0o555)
    kind, line = as_nobody(lambda: rp2.copy_uf2(drive, b"u", chips()["rp2040"], lambda _part: None))
    assert kind == PortDeniedError.__name__ and "no permission to write to the drive" in line
    (folder / "INFO_UF2.TXT").write_bytes(b"Board-ID: SAMD21G18A-Feather-v0\r\n")
    with pytest.raises(BoardError, match=r"the folder has no INFO_UF2\.TXT of an RP2040's drive"):
        named_port(str(folder))
    outcome = Fleet("esp32", _QUIET).flash([drive])[0]
    assert outcome.reason == f"{folder}: its chip is an rp2040, an esp32 has an esp32: {_NAME_IT}"


def test_a_boot_loader_that_is_gone_says_so():
    bare = Port("usb:1-2", "rp2-bootsel", (0x2E8A, 3), None, "", ("rp2040",), "1-2")
    outcome = Fleet(None, _QUIET).flash([bare])[0]
    assert outcome.exit_code in (34, 35)  # 35 on a system without USB
    assert outcome.reason.startswith("usb:1-2: ")


# --- what is connected ----------------------------------------------------------------------------------------------


def test_ports_are_found_by_usb_ids_and_drives_by_their_mounts(tmp_path, monkeypatch, drive):
    from serial.tools import list_ports
    from serial.tools.list_ports_common import ListPortInfo

    def port(device, vid, pid, number, location):
        info = ListPortInfo(device)
        info.vid, info.pid, info.serial_number, info.location = vid, pid, number, location
        return info

    given = [
        port("/dev/ttyUSB10", 0x10C4, 0xEA60, "0001", "1-1.4"),
        port("/dev/ttyUSB9", 0x1A86, 0x7523, None, "1-1.3"),
        port("/dev/ttyACM0", 0x2E8A, 0x0005, "e66164084373532c", "1-1.2:1.0"),
        port("/dev/ttyACM1", 0x9999, 0x0001, None, None),
        port("/dev/ttyS0", None, None, None, None),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: given)
    spaced = tmp_path / "a b"
    Path(drive.device).rename(spaced)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"proc /proc proc rw 0 0\n/dev/sdz1 {str(spaced).replace(' ', chr(92) + '040')} vfat rw 0 0\n")
    monkeypatch.setattr(ports, "_MOUNTS", mounts)
    tree = tmp_path / "devices/usb1/1-1/1-1.1/1-1.1:1.0/host4/block/sdz/sdz1"
    tree.mkdir(parents=True)
    (tmp_path / "block").mkdir()
    (tmp_path / "block/sdz1").symlink_to(tree)
    monkeypatch.setattr(ports, "_BLOCK", tmp_path / "block")
    for place in ("1-1.1", "1-1.7"):
        (tmp_path / "usb" / place).mkdir(parents=True)
        (tmp_path / "usb" / place / "idVendor").write_text("2e8a\n")
        (tmp_path / "usb" / place / "idProduct").write_text("0003\n")
    monkeypatch.setattr(ports, "_USB_DEVICES", tmp_path / "usb")
    found = {one.device: one for one in find_ports()}
    assert list(found) == ["/dev/ttyACM0", "/dev/ttyACM1", "/dev/ttyUSB9", "/dev/ttyUSB10", str(spaced), "usb:1-1.7"]
    pico = found["/dev/ttyACM0"]
    assert (pico.kind, pico.unique_id, pico.chips, pico.location) == (
        "micropython",
        "e66164084373532c",
        ("rp2040", "rp2350"),
        "1-1.2",
    )
    assert found["/dev/ttyUSB10"].chips == ("esp32", "esp32s3", "esp32c3", "esp32s2", "esp32c6")
    assert (found["/dev/ttyACM1"].kind, found["/dev/ttyACM1"].chips) == ("unknown", ())
    assert found[str(spaced)].location == "1-1.1"
    assert named_port("e66164084373532c") == pico
    with pytest.raises(BoardError, match=r"is not there: .* connected: /dev/ttyACM0, /dev/ttyACM1, "):
        named_port("/dev/ttyUSB3")
    with pytest.raises(BoardError, match="expected socket://host:port"):
        named_port("socket://here")


def test_two_boards_with_one_id_are_told_apart_by_their_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the makers of cheap bridges give all of them "0001"."""
    twins = [
        Port(f"/dev/ttyUSB{n}", "unknown", (0x10C4, 0xEA60), "0001", "CP210x", ("esp32",), f"1-{n + 1}") for n in (0, 1)
    ]
    monkeypatch.setattr(ports, "find_ports", lambda: twins)
    assert named_port("/dev/ttyUSB1") == twins[1]
    words = "2 boards have the unique id 0001: name one by its device, with --port; connected: "
    words += "/dev/ttyUSB0 (USB 1-1), /dev/ttyUSB1 (USB 1-2)"
    for name in ("flash", "sync", "reset", "provision", "doctor"):
        assert main([name, "--port", "0001"]) == 121
        assert capsys.readouterr().err.splitlines()[-1] == f"quaver: {words}"
    assert main(["files", "ls", "--port", "0001"]) == 121


def test_the_table_of_usb_ids_speaks_of_boards_that_there_are():
    from quaver.board.spec import board_names

    chips = {load_board(name).chip for name in board_names()}
    assert all(row.chips and set(row.chips) <= chips for row in usb_ids().values())
    assert usb_ids()[(0x2E8A, 0x0003)].kind == "rp2-bootsel"


def test_the_firmwares_word_is_waited_for_and_asked_for_once():
    """A firmware that began before anybody listened is started again, and heard."""
    server = socket.create_server(("127.0.0.1", 0))
    typed = bytearray()

    def firmware():
        client, _ = server.accept()
        with client:
            client.sendall(b"node: online\r\n")
            while b"\x04" not in typed:
                typed.extend(client.recv(16))
            client.sendall(b"MPY: soft reboot\r\nnode: quaver 9.9.9 on pico_w, n1\r\n")

    thread = threading.Thread(target=firmware)
    thread.start()
    url = f"socket://127.0.0.1:{server.getsockname()[1]}"
    report = serials.wait_for_report(lambda: url, rerun=True)
    thread.join()
    server.close()
    assert (report.version, report.board) == ("9.9.9", "pico_w")
    assert bytes(typed) == b"\r\x03\x03\x04"


def test_esptool_itself_finds_what_was_flashed(boards, small):
    """The other way round: the stock tool verifies our built file against the flash that `quaver flash` wrote."""
    board = boards("esp32c3")
    assert main(["flash", "--port", board.url]) == 0
    path = board.flash.with_suffix(".bin")
    path.write_bytes(fleet.build("esp32_c3").file())
    esptool = Path(sys.executable).with_name("esptool")
    arguments = ["--port", board.url, "--after", "no-reset", "verify-flash", "0x0", path]
    done = subprocess.run([esptool, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verification successful" in done.stdout


def test_the_bench_compares_with_esptool_alone(tmp_path, monkeypatch):
    from quaver.bench import flash as bench

    image = tmp_path / "image.bin"
    image.write_bytes(fetch_image(load_board("esp32")).read_bytes()[: 1 << 18])
    monkeypatch.setattr(bench, "fetch_image", lambda *_: image)
    monkeypatch.setattr(bench, "_RUNS", 1)
    said = []
    figures = bench.run_flash(said.append)
    assert [figure.unit for figure in figures] == ["s", "s", "s", "%"]
    assert all(figure.value > 0 for figure in figures[:3])
    assert said[-1] == "flashing 262,144 bytes, 1 of 1"
