"""PICOBOOT against the RP2040's own boot ROM: what is written is there, what is right stays, a refusal is told."""

import socket
import threading

import pytest
from rp2040_rom import RomDevice

from quaver.board.image import fetch_image
from quaver.board.ports import Port
from quaver.board.spec import load_board
from quaver.build import read_littlefs
from quaver.build.flashable import compose
from quaver.build.uf2 import make_uf2, read_uf2
from quaver.flash import fleet, rp2
from quaver.flash.errors import PortGoneError, WriteError
from quaver.flash.picoboot import PicobootSession

_DATA = bytes(range(256)) * 40 + b"\xff" * 3000 + b"end"


@pytest.fixture(scope="module")
def rom():
    return RomDevice()


def test_the_roms_flash_takes_what_is_written_and_gives_it_back(rom):
    with PicobootSession("usb:1-1", rom) as session:
        assert session.differs(0x12000, _DATA)
        parts = []
        session.write([(0x12000, _DATA)], parts.append)
        assert parts[-1] == 1.0 and parts == sorted(parts)
        assert bytes(rom.flash[0x12000 : 0x12000 + len(_DATA)]) == _DATA
        assert set(rom.flash[0x11000:0x12000]) == {0xFF}
        assert session.read(0x12000 + 100, 1000) == _DATA[100:1100]
        assert not session.differs(0x12000, _DATA)


def test_a_second_run_erases_only_the_sector_that_is_wrong(rom):
    with PicobootSession("usb:1-1", rom) as session:
        session.write([(0x12000, _DATA)], lambda _part: None)
        rom.flash[0x12000 + 5000] ^= 1
        rom.flash[0x12000 + len(_DATA) + 5] = 0x55  # in the last sector, behind our bytes
        erased = []
        sector = session._sector
        session._sector = lambda address, data: (erased.append(address), sector(address, data))
        session.write([(0x12000, _DATA)], lambda _part: None)
        assert erased == [0x13000, 0x15000]
        assert bytes(rom.flash[0x12000 : 0x12000 + len(_DATA)]) == _DATA


def test_a_refusal_is_told_with_the_roms_own_reason(rom):
    with (
        PicobootSession("usb:1-1", rom) as session,
        pytest.raises(WriteError, match=r"refused \(address not in flash\)"),
    ):
        session.read(0x30000000, 256)


def test_the_end_of_a_session_restarts_the_board_and_a_lost_one_is_told(rom):
    with PicobootSession("usb:1-1", rom) as session:
        session.reset()
        assert rom.run_until_rebooted()
        rom.unplugged = True
        with pytest.raises(
            PortGoneError, match=r"usb:1-1: the boot loader does not answer \(.*\): replug with BOOTSEL"
        ):
            session.read(0, 256)


def test_a_board_without_a_drive_is_flashed_through_its_rom_and_then_left_alone(monkeypatch):
    spec = load_board("pico_w")
    image = read_uf2(fetch_image(spec).read_bytes(), spec.silicon.uf2_family)
    built = compose(
        spec,
        make_uf2({at: image[at] for at in sorted(image)[:48]}, spec.silicon.uf2_family),
        {"main.py": b"print(1)\n"},
        2 << 20,
    )
    monkeypatch.setattr(fleet, "build", lambda *_more, **_named: built)
    rom = RomDevice()
    monkeypatch.setattr(fleet, "find_device", lambda location: rom)
    server = socket.create_server(("127.0.0.1", 0))
    url = f"socket://127.0.0.1:{server.getsockname()[1]}"

    def ports():
        assert rom.run_until_rebooted()
        return [Port(url, "micropython", (0x2E8A, 5), "e66164084373532c", "", ("rp2040",), "1-2")]

    monkeypatch.setattr(fleet, "find_ports", list)
    monkeypatch.setattr(rp2, "find_ports", ports)

    def firmware():
        for _ in range(2):
            client, _ = server.accept()
            typed = b""
            while b"\x04" not in typed:  # a soft reset
                typed += client.recv(16)
            client.sendall(b"node: quaver 0.1.0 on pico_w, node\r\n")
            client.recv(1)  # until it is closed from there
            client.close()

    thread = threading.Thread(target=firmware)
    thread.start()
    bare = Port("usb:1-2", "rp2-bootsel", (0x2E8A, 3), None, "", ("rp2040",), "1-2")
    outcome = fleet.Fleet(None, lambda *_: None).flash([bare])[0]
    assert (outcome.board, outcome.outcome, outcome.reason) == ("pico_w", "flashed", None)
    assert outcome.unique_id == "e66164084373532c"
    flash = bytes(rom.flash[: 2 << 20])
    assert flash[: len(built.image)] == built.image
    assert read_littlefs(flash[built.filesystem_offset :]) == built.files

    again = RomDevice()
    again.flash[: len(flash)] = flash
    monkeypatch.setattr(PicobootSession, "_sector", None)
    rom = again
    outcome = fleet.Fleet(None, lambda *_: None).flash([bare])[0]
    assert (outcome.outcome, outcome.reason) == ("already right", None)
    thread.join()
    server.close()
