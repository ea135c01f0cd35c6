"""The doctor at real counterparts: each known failure is made, and must be the one that it names."""

import dataclasses
import json
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import esp_rig
import pytest
from example_broker import lay_out

from quaver.board.failures import KNOWN, STEPS, KnownFailure, markdown
from quaver.board.guest import guest
from quaver.board.ports import Port
from quaver.build import firmware_files
from quaver.cli import main
from quaver.desk import attach, doctor
from quaver.desk.sync import About
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.files.carried import payload
from quaver.pytest_plugin import default_rig

CONFIG: dict[str, Any] = {
    "node": "n1",
    "wifi": {"ssid": "quaver", "password": "emulated"},
    "broker": {"host": "127.0.0.1", "port": 1883},
    "temperature": {"driver": "tmp117", "bus": "i2c0", "address": 0x48},
}


@pytest.fixture
def start(mosquitto: Any) -> Iterator[Callable[..., UnixBoard]]:
    """Starts a node that is well, but for what the arguments change; it waits at its prompt. One at a time runs."""
    boards: list[UnixBoard] = []

    def start(config: dict[str, Any] | None = CONFIG, port: int = mosquitto.port, **files: bytes | None) -> UnixBoard:
        flash = firmware_files("unix", config) | {path.replace("__", "."): data for path, data in files.items()}
        kept = {path: data for path, data in flash.items() if data is not None}
        for board in boards:
            board.stop()
        boards.append(UnixBoard(Setup(files=kept, rig=default_rig(), broker_port=port)))
        boards[-1].reset(run=False)
        return boards[-1]

    yield start
    for board in boards:
        board.stop()


def failure(where: str, name: str) -> str:
    """Examine; the failure must be the one of that name, and the steps before it well. Returns its line."""
    report = doctor.examine(where, build=firmware_files)
    assert report.failure is not None and report.failure.known.name == name, report
    at = STEPS.index(KNOWN[name].step)
    states = [report.state(step) for step in STEPS]
    assert states == ["ok"] * at + ["failed"] + [""] * (len(STEPS) - at - 1)
    assert set(STEPS[: at if at > 3 else 0]) <= set(report.found)
    return str(report.failure)


def test_a_node_that_is_well_is_told_so_and_goes_on(start: Callable[..., UnixBoard]) -> None:
    board = start()
    board.reset()
    for where in (board.open_pty(), board.address):
        report = doctor.examine(where, build=firmware_files)
        assert report.failure is None
        assert set(report.found) == set(STEPS)
        assert (
            report.found["sensors"]
            == "iis3dwb on spi0; tmp117 on i2c0; sdm120 on uart1, address 1, 2400 baud, parity none"
        )
    assert board.alive() is None
    assert b"node: quaver" in board.console()


# What does not stay up.


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        (b"raise ValueError('no such thing')", "ValueError: no such thing: restore its files"),
        (
            b"import machine, time\nprint('password=QXZWJKVQ')\ntime.sleep(.3)\nmachine.reset()",
            "it restarts|ends without",
        ),
    ],
)
def test_a_node_that_does_not_stay_up_shows_what_it_prints(
    start: Callable[..., UnixBoard], program: bytes, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = firmware_files("unix", CONFIG)
    board = start(main__py=b"print('node: quaver 0 on unix,')\nprint('I am here')\n" + program)
    with pytest.MonkeyPatch.context() as patch:
        mine = {**files, "main.py": b"print('node: quaver 0 on unix,')\nprint('I am here')\n" + program}
        patch.setattr("quaver.desk.doctor._version", lambda *_: "as it is")
        report = doctor.examine(board.address, build=lambda _: mine)
    assert report.failure is not None and report.failure.known.name == "stays_not_up", report
    assert any(word in str(report.failure) for word in cause.split("|")), str(report.failure)
    assert "I am here" in report.failure.console
    assert "QXZW" not in " ".join(report.failure.console)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("rst:0xc (SW_CPU_RESET)\r\nGuru Meditation Error: Core 1 panic'ed", "MicroPython itself fails"),
        ("\r\nBrownout detector was triggered\r\n\r\nrst:0xc (SW_CPU_RESET)", "its supply voltage drops"),
        ("E (5412) task_wdt: Task watchdog got triggered", "its watchdog resets it"),
        ("rst:0x10 (RTCWDT_RTC_RESET),boot:0x13\r\nflash read err, 1000", "its flash holds no image"),
        ("Traceback (most recent call last):\nImportError: no module named 'node'", "ImportError: no module named"),
    ],
)  # fmt: skip
def test_a_board_that_gives_no_prompt_shows_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, cause: str
) -> None:
    """A panic again and again, on a port where nobody hears Ctrl-C."""
    monkeypatch.setattr(doctor, "_PROMPT_S", 0.3)
    monkeypatch.setattr(doctor, "_WATCH_S", 1.0)
    master, slave = pty.openpty()
    ended = threading.Event()

    def board() -> None:
        while not ended.wait(0.05):
            os.write(master, said.encode() + b"\r\nwifi password: QXZWJKVQ\r\n")

    thread = threading.Thread(target=board)
    thread.start()
    try:
        assert main(["doctor", "--port", os.ttyname(slave)]) == 122
    finally:
        ended.set()
        termios.tcflush(master, termios.TCIOFLUSH)
        thread.join()
        os.close(master)
        os.close(slave)
    told = capsys.readouterr()
    assert f"shows no MicroPython prompt: {cause}" in told.err
    assert said.splitlines()[-1] in told.out and "QXZW" not in told.out + told.err


# The cable and the port.


def test_no_board_no_driver_and_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(attach, "find_ports", list)
    monkeypatch.setattr(attach, "_USB_DEVICES", tmp_path)
    with pytest.raises(KnownFailure, match="no board is connected: plug one in"):
        attach.choose(None)
    for name, vendor, product in (("usb1", "1d6b", "0002"), ("1-2", "1a86", "7523")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "idVendor").write_text(f"{vendor}\n")
        (tmp_path / name / "idProduct").write_text(f"{product}\n")
    with pytest.raises(KnownFailure, match=r"\(1a86:7523, 1-2\) is on USB, but has no serial port: load its kernel"):
        attach.choose(None)
    ports = [Port(f"/dev/ttyACM{n}", "micropython", None, None, "") for n in range(2)]
    monkeypatch.setattr(attach, "find_ports", lambda: ports)
    with pytest.raises(KnownFailure, match="2 boards are connected: name one with --port; connected: /dev/ttyACM0, "):
        attach.choose(None)


def test_no_permission(start: Callable[..., UnixBoard]) -> None:
    where = start().open_pty()
    Path(where).chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may open anything
    try:
        line = failure(where, "no_permission")
    finally:
        os.seteuid(user)
    assert line.startswith(f"{where} can't be opened: it belongs to ")
    assert "sudo usermod -aG " in line


def test_a_busy_port_names_who_has_it(start: Callable[..., UnixBoard]) -> None:
    where = start().open_pty()
    code = "import serial, sys; port = serial.Serial(sys.argv[1], exclusive=True); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        line = failure(where, "port_busy")
        holder.communicate(b"\n")
    assert f"(process {holder.pid}): stop that program, or wait" in line


# Who answers.


def test_boot_loaders_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PROMPT_S", 0.5)
    monkeypatch.setattr(doctor, "_WATCH_S", 1.0)
    (tmp_path / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    assert "holding BOOTSEL" in failure(str(tmp_path), "boot_loader_rp2")
    with esp_rig.board(tmp_path, "esp32c3") as board:
        assert "is ESP32-C3 in its boot loader: flash it" in failure(board.url, "boot_loader_esp")


def test_a_port_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PROMPT_S", 0.3)
    monkeypatch.setattr(doctor, "_WATCH_S", 1.0)
    master, slave = pty.openpty()
    try:
        assert "shows no MicroPython prompt: press its reset button" in failure(os.ttyname(slave), "no_prompt")
    finally:
        os.close(master)
        os.close(slave)


WELL = About("linux", "linux", "micropython", (1, 27, 0), 0x0B06, True, ("unix", "unix", "0"), True, (), (4096, 99))
PICO_W = dataclasses.replace(WELL, platform="rp2", machine="Raspberry Pi Pico W with RP2040", board=None)


@pytest.mark.parametrize(
    ("about", "name", "words"),
    [
        (dataclasses.replace(PICO_W, interpreter="circuitpython"), "other_interpreter", "runs circuitpython, not"),
        (dataclasses.replace(PICO_W, version=(1, 24, 1)), "old_image", "runs MicroPython 1.24.1, the firmware needs"),
        (dataclasses.replace(PICO_W, mpy=0x1105), "other_bytecode", "of version 5, the firmware's have version 6"),
    ],
)
def test_images_that_are_not_ours(about: About, name: str, words: str) -> None:
    assert doctor._image(PICO_W) == "MicroPython 1.27.0"
    with pytest.raises(KnownFailure, match=words) as found:
        doctor._image(about)
    assert found.value.known.name == name


def test_an_image_without_its_modules_and_a_firmware_for_another_chip(start: Callable[..., UnixBoard]) -> None:
    lacking = start(hashlib__py=b"raise ImportError")
    assert "lacks hashlib" in failure(lacking.address, "lacking_image")
    other = start(board__mpy=None, board__py=b"NAME, CHIP, VERSION = 'pico_w', 'rp2040', '0.1.0'")
    assert "is for rp2040, but it is a linux" in failure(other.address, "wrong_chip")


# Its flash.


def test_a_file_system_that_is_not_there_or_is_read_only(start: Callable[..., UnixBoard]) -> None:
    board = start()
    board.exec("import vfs; kept = vfs.mount(); vfs.umount('/')")
    assert "has no file system: flash it" in failure(board.address, "no_file_system")
    board.exec(
        "import vfs; kept = {at: each for each, at in vfs.mount()}['/']; "
        "vfs.umount('/'); vfs.mount(kept, '/', readonly=True)"
    )
    assert "can't be written (Read-only file system)" in failure(board.address, "no_write")


def test_a_damaged_folder_is_named(start: Callable[..., UnixBoard]) -> None:
    board = start(**{"sick/a-name-of-its-own": b"x"})
    fd = board._guest._flash
    image = os.pread(fd, os.fstat(fd).st_size, 0)
    for block in range(0, len(image), 4096):
        if b"a-name-of-its-own" in image[block : block + 4096]:
            os.pwrite(fd, bytes(4096), block)
    assert "/sick on the board can't be read (corrupt)" in failure(board.address, "damaged_file_system")


def test_a_full_flash(start: Callable[..., UnixBoard]) -> None:
    board = start()
    board.exec(
        "import os\nfree, block = os.statvfs('/')[3], bytes(4096)\nwith open('/full', 'wb') as file:\n"
        " for _ in range(free - 3): file.write(block)\nwhile os.statvfs('/')[3] > 3: open('/full', 'ab').write(block)"
    )
    assert "KiB left: remove files of your own" in failure(board.address, "full_file_system")


# What is on it.


def test_firmware_that_is_not_as_it_should_be(start: Callable[..., UnixBoard], monkeypatch: pytest.MonkeyPatch) -> None:
    bare = start(None, **dict.fromkeys(firmware_files("unix")))
    assert "has no Quaver firmware: install it (quaver sync)" in failure(bare.address, "no_firmware")
    changed = start(**{"code/node.seal": b"damaged"})
    assert "1 firmware files differ" in failure(changed.address, "changed_firmware")
    waiting = start(sync__plan=b"remove\tx", boot__py=b"")
    assert "an update of the firmware is not finished" in failure(waiting.address, "unfinished_change")
    well = start()
    monkeypatch.setattr(doctor, "__version__", "9.9.9")
    assert "is 0.1.0, this is Quaver 9.9.9" in failure(well.address, "other_firmware")


def test_configurations_that_are_not(start: Callable[..., UnixBoard]) -> None:
    assert "has no config.json" in failure(start(None).address, "no_config")
    board = start(CONFIG | {"interval_s": "often"})
    assert "config.json: interval_s: expected float from" in failure(board.address, "bad_config")
    board.put("config.json", b"{")
    assert "config.json: not JSON: correct it" in failure(board.address, "bad_config")


def test_a_node_that_is_blank_and_a_key_that_is_none(start: Callable[..., UnixBoard]) -> None:
    board = start(None, session__code=bytes(16))
    assert "the node is blank: it has no device key yet: enrol it (quaver provision)" in failure(
        board.address, "blank_node"
    )
    board.put("device.key", b'{"generation": 1, "key": "00"}')
    assert "so nothing is sealed: re-enrol the node" in failure(board.address, "bad_key")


def test_what_the_machine_and_the_broker_are_said_to_be(start: Callable[..., UnixBoard]) -> None:
    board = start(CONFIG | {"machine": {"bearing": "9999", "group": 1}})
    assert "config.json: machine.bearing" in failure(board.address, "bad_config")
    for ca, words in (("/none.pem", "(no such file): copy the CA's"), ("/main.py", "(neither PEM nor DER)")):
        board.put("config.json", json.dumps(CONFIG | {"broker": CONFIG["broker"] | {"ca": ca}}).encode())
        assert f"names {ca}, which is not a certificate on the board {words}" in failure(board.address, "no_ca")


# What hangs on it, and what it speaks to.


def test_a_sensor_that_does_not_answer(start: Callable[..., UnixBoard]) -> None:
    board = start()
    for name, words in (
        ("tmp117", "the temperature sensor (tmp117 on i2c0) fails: no answer: check its wiring"),
        ("iis3dwb", "the vibration sensor (iis3dwb on spi0) fails: no answer: check its wiring"),
    ):
        board.set_sensor(name, fault="absent")
        assert words in failure(board.address, "no_sensor")


def test_sensors_of_other_makes(start: Callable[..., UnixBoard]) -> None:
    other = {"temperature": {"driver": "sht4x"}, "energy": None, "pulses": {"bus": "gpio15"}}
    report = doctor.examine(start(CONFIG | other).address, build=firmware_files)
    assert report.failure is None
    assert report.found["sensors"] == "iis3dwb on spi0; sht4x on i2c0; pulses on gpio15"


def test_a_meter_is_named_with_the_settings_of_its_line(start: Callable[..., UnixBoard]) -> None:
    board = start(CONFIG | {"vibration": None, "energy": {"baudrate": 9600, "parity": "even"}})
    assert "(sdm120 on uart1, address 1, 9600 baud, parity even) fails: no answer: check its wiring, its power and" in (
        failure(board.address, "no_sensor")
    )
    board.set_sensor("sdm120", baudrate=9600, parity="even", echo=True, refused={0x0046: 2})
    report = doctor.examine(board.address, build=firmware_files)
    assert report.failure is None
    assert report.found["sensors"].endswith("parity even (refuses register 0x0046 (2, no such register))")
    board.set_sensor("sdm120", fault="absent")
    assert "fails: an echo of the adapter, and no answer: check" in failure(board.address, "no_sensor")


def test_networks_that_can_not_be_joined(start: Callable[..., UnixBoard]) -> None:
    nameless = start(CONFIG | {"wifi": {"ssid": ""}})
    assert "wifi.ssid in config.json is empty" in failure(nameless.address, "no_network_name")
    board = start()
    board.set_sensor("wifi", present=False)
    assert "the network quaver was not found (found: none)" in failure(board.address, "no_network")
    board.set_sensor("wifi", present=True)
    refuses = "import network\nnetwork.WLAN.isconnected = lambda self: False\nnetwork.WLAN.status = lambda self: {}"
    for status, name, words in (
        (-3, "wrong_password", "the network quaver refuses the password: correct wifi.password"),
        (-1, "no_join", "the network quaver can't be joined: connection failed: check the access point"),
    ):
        board.exec(refuses.format(status))
        assert words in failure(board.address, name)


def test_brokers_that_do_not_take_the_node(
    start: Callable[..., UnixBoard], start_mosquitto: Callable[..., Any], mosquitto: Any
) -> None:
    nowhere = start(CONFIG | {"broker": {"host": ""}})
    assert "broker.host is empty" in failure(nowhere.address, "no_broker")
    board = start()
    mosquitto.stop()
    assert "the broker 127.0.0.1:1883: broker unreachable" in failure(board.address, "no_broker")


def test_a_broker_that_refuses(start: Callable[..., UnixBoard], start_mosquitto: Callable[..., Any]) -> None:
    strict = start_mosquitto("allow_anonymous false")
    board = start(port=strict.port)
    assert "correct broker.user and broker.password" in failure(board.address, "broker_refuses")


def test_a_broker_with_tls(
    start: Callable[..., UnixBoard], start_mosquitto: Callable[..., Any], mosquitto: Any, tmp_path: Path
) -> None:
    settings = lay_out(tmp_path, {"n1": "one secret"}, "IP:127.0.0.1")
    broker = {"host": "127.0.0.1", "user": "n1", "password": "one secret", "ca": "/ca.pem"}
    key = json.dumps({"generation": 1, "key": "11" * 32}).encode()
    ca = (tmp_path / "ca.crt").read_bytes()
    board = start(CONFIG | {"broker": broker}, start_mosquitto(settings).port, ca__pem=ca, device__key=key)
    report = doctor.examine(board.address, build=firmware_files)
    assert report.failure is None, report
    assert report.found["config"] == "config.json is valid, records are sealed"
    plain = start(CONFIG | {"broker": broker}, mosquitto.port, ca__pem=ca)
    assert "no TLS at the broker's port: check broker.host" in failure(plain.address, "broker_not_trusted")


def test_a_time_server_that_is_not_there(start: Callable[..., UnixBoard]) -> None:
    board = start(CONFIG | {"time_server": "time.invalid"})
    assert "the time server time.invalid: time server unreachable" in failure(board.address, "no_time")
    # One that answers at once, in place of a port that only root may open: the date comes to the chip.
    with board.execs() as run:
        run("import sys, gc, asyncio, board, hal; gc.collect()")
        run(guest(doctor.__file__, "check_config"))
        run("_port = hal.port(board)\nimport links.ntp")
        run("async def ask(host, limit_ms):\n  return 1893456000000, 5\nsys.modules['links.ntp'].ask = ask")
        said = run(guest(doctor.__file__, "check_broker"))
        assert "time ('time.invalid', '')" in said, said


# The table, and what a person sees.


def test_every_failure_of_the_table_is_made_here() -> None:
    made = Path(__file__).read_text() + (Path(__file__).parent / "test_cli_files.py").read_text()
    made += (Path(__file__).parent / "test_sync.py").read_text()
    told_by_its_words = {
        "no_board",
        "no_driver",
        "which_board",
        "no_port",
        "no_serial_port",
        "no_console",
        "same_id",
        "restarts",
    }
    assert [name for name in KNOWN if f'"{name}"' not in made and name not in told_by_its_words] == []
    codes = [known.code for known in KNOWN.values()]
    assert len(set(codes)) == len(codes) and max(codes) < 126
    assert {known.step for known in KNOWN.values()} == set(STEPS)


def test_the_document_is_the_table() -> None:
    assert payload("docs", "doctor.md").read_text() == markdown(), "run tools/doctor_table.py"


def test_the_command_ends_with_the_failures_code(
    start: Callable[..., UnixBoard], capsys: pytest.CaptureFixture[str]
) -> None:
    board = start(None)
    assert main(["doctor", "--port", board.address, "--json"]) == KNOWN["no_config"].code
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [one["state"] for one in report["steps"]].count("failed") == 1
    assert report["failure"]["name"] == "no_config" and report["failure"]["remedy"] in captured.err
    assert main(["doctor", "--port", board.address]) == KNOWN["no_config"].code
    shown = capsys.readouterr()
    assert "config        failed   the board has no config.json" in shown.out
    assert shown.err.splitlines()[-1].startswith("quaver: the board has no config.json: write one")
