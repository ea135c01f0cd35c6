"""The emulated Pico W as a board: one is booted for the module, with a model on each kind of bus."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from quaver.bench.ports import free_port
from quaver.emulator.bus import Attached
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.rp2040.bluetooth import RadioBus
from quaver.emulator.setup import Setup
from quaver.errors import BoardError
from tests.programs import program


class Counter:
    """An SPI device: answers each byte with its place since the select, and notes when it came."""

    def __init__(self) -> None:
        self.step = 1
        self.place = 0
        self.selects = 0
        self.heard = bytearray()
        self.times: list[int] = []
        self.last = (0, 0, 0)

    def spi_select(self, now: int) -> None:
        self.selects += 1
        self.place = 0
        self.heard.clear()
        self.times.clear()

    def spi_exchange(self, value: int, now: int) -> int:
        self.heard.append(value)
        self.times.append(now)
        self.place += self.step
        return self.place & 0xFF

    def spi_deselect(self, now: int) -> None:
        # The last transfer, told by the next one: bytes heard, their sum, nanoseconds a byte.
        if len(self.times) > 1:
            self.last = (
                len(self.heard),
                sum(self.heard),
                (self.times[-1] - self.times[0]) // (len(self.times) - 1),
            )


class Report(Counter):
    """An SPI device that answers with what its `Counter` heard last: count, sum and pace as decimal text."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter

    def spi_exchange(self, value: int, now: int) -> int:
        text = ",".join(map(str, self.counter.last)).encode() + b";"
        self.place += 1
        return text[self.place - 1] if self.place <= len(text) else 0


class Memory:
    """An I2C device: 256 bytes behind a pointer, like an EEPROM; `present` takes it off the bus."""

    def __init__(self) -> None:
        self.cells = bytearray(range(256))
        self.pointer = 0
        self.present = True
        self.addressed = False

    def i2c_start(self, read: bool, now: int) -> bool:
        self.addressed = not read
        return self.present

    def i2c_write(self, value: int, now: int) -> bool:
        if self.addressed:
            self.pointer, self.addressed = value, False
        else:
            self.cells[self.pointer] = value
            self.pointer = (self.pointer + 1) & 0xFF
        return True

    def i2c_read(self, now: int) -> int:
        value = self.cells[self.pointer]
        self.pointer = (self.pointer + 1) & 0xFF
        return value

    def i2c_stop(self, now: int) -> None: ...


class Reverser:
    """A device on a UART: sends each message back, reversed; `silent` makes it deaf."""

    def __init__(self) -> None:
        self.silent = False

    def uart_exchange(self, data: bytes, now: int) -> bytes:
        return b"" if self.silent else data[::-1]


COUNTER = Counter()
RIG = (
    Attached("counter", "spi0", 17, COUNTER),
    Attached("report", "spi0", 20, Report(COUNTER)),
    Attached("memory", "i2c0", 0x50, Memory()),
    Attached("reverser", "uart1", 0, Reverser()),
)
SPI = program(__file__, "spi")
UART = "from machine import UART, Pin\nuart = UART(1, 9600, tx=Pin(8), rx=Pin(9), timeout=200)\n"


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture(scope="module")
def board(listener: socket.socket) -> Iterator[Rp2040Board]:
    files = {"kept.txt": b"from the host", "lib/answer.py": b"VALUE = 42\n"}
    setup = Setup(files=files, rig=RIG, broker_port=listener.getsockname()[1])
    with Rp2040Board(setup) as board:
        yield board


def test_it_runs_the_official_image(board: Rp2040Board) -> None:
    assert "v1.27.0 on 2025-12-09" in board.exec("import os; print(os.uname().version)")
    assert board.alive() is None


def test_it_has_a_number_of_its_own(board: Rp2040Board) -> None:
    own = ast.literal_eval(board.exec("import machine; print(machine.unique_id())"))
    assert own == board.identity.unique_id


def test_files_of_the_setup_are_there(board: Rp2040Board) -> None:
    assert board.exec("import answer; print(answer.VALUE)") == "42\n"
    assert board.get("kept.txt") == b"from the host"


def test_memory_is_written_from_outside(board: Rp2040Board) -> None:
    address = int(board.exec("import uctypes\nheld = bytearray(6)\nprint(uctypes.addressof(held))"))
    board.write_memory(address + 1, b"quav")
    assert board.exec("print(held)") == "bytearray(b'\\x00quav\\x00')\n"
    for wrong in (0x10000000, 0x20042000 - 3):
        with pytest.raises(BoardError, match="are not in the RAM"):
            board.write_memory(wrong, b"quav")


def test_the_devices_error_reaches_the_host(board: Rp2040Board) -> None:
    with pytest.raises(BoardError, match="ZeroDivisionError"):
        board.exec("1/0")


@pytest.mark.parametrize(("count", "way"), [(1, "FIFO"), (20, "FIFO"), (32, "DMA"), (3500, "DMA")])
def test_spi_reads_in_wire_time(board: Rp2040Board, count: int, way: str) -> None:
    code = f"b = bytearray({count}); cs(0); spi.readinto(b, 0xA5); cs(1)\nprint(sum(b)); print(heard())"
    total, heard = board.exec(SPI + code).split()
    assert int(total) == sum((n + 1) & 0xFF for n in range(count)), way
    if count > 1:
        numbers = [int(part) for part in heard.split(",")]
        assert numbers[:2] == [count, count * 0xA5]
        # 8 bits at 8 MHz; through the FIFOs the CPU may add a little
        assert 999 <= numbers[2] <= (1001 if way == "DMA" else 1500)


@pytest.mark.parametrize("count", [8, 100])
def test_spi_writes_and_exchanges(board: Rp2040Board, count: int) -> None:
    code = (
        f"o = bytes(i & 255 for i in range({count})); b = bytearray({count})\n"
        "cs(0); spi.write(o); cs(1); print(heard())\n"
        "cs(0); spi.write_readinto(o, b); cs(1); print(heard()); print(b[-1])"
    )
    written, exchanged, last = board.exec(SPI + code).split()
    assert written.split(",")[:2] == exchanged.split(",")[:2] == [str(count), str(sum(range(count)))]
    assert int(last) == count


def test_spi_time_is_on_the_guests_clock(board: Rp2040Board) -> None:
    code = (
        "import time\nb = bytearray(7000)\ncs(0); t = time.ticks_us(); spi.readinto(b)\n"
        "print(time.ticks_diff(time.ticks_us(), t)); cs(1)"
    )
    assert 7000 <= int(board.exec(SPI + code)) <= 7500  # 7,000 bytes of 1 µs, and the call


def test_spi_reads_with_the_heap_locked(board: Rp2040Board) -> None:
    code = program(__file__, "hot_path")
    assert board.exec(SPI + code) == "1 0\n"


def test_nobody_selected_reads_ones(board: Rp2040Board) -> None:
    assert board.exec(SPI + "print(spi.read(3), spi.read(40) == b'\\xff' * 40)") == ("b'\\xff\\xff\\xff' True\n")


def test_set_sensor_changes_a_model(board: Rp2040Board) -> None:
    board.set_sensor("counter", step=2)
    try:
        assert board.exec(SPI + "cs(0); print(list(spi.read(3))); cs(1)") == "[2, 4, 6]\n"
    finally:
        board.set_sensor("counter", step=1)
    with pytest.raises(BoardError, match="no colour to set"):
        board.set_sensor("counter", colour=1)
    with pytest.raises(BoardError, match="there: counter, memory, report, reverser"):
        board.set_sensor("gyro", step=1)


I2C = "from machine import I2C, Pin\ni2c = I2C(0, scl=Pin(5), sda=Pin(4), freq=400_000)\n"


def test_i2c_finds_reads_and_writes(board: Rp2040Board) -> None:
    code = (
        "print(i2c.scan())\nb = bytearray(6)\ni2c.readfrom_mem_into(0x50, 10, b); print(list(b))\n"
        "i2c.writeto_mem(0x50, 100, b'abc'); print(i2c.readfrom_mem(0x50, 100, 4))"
    )
    assert board.exec(I2C + code) == "[80]\n[10, 11, 12, 13, 14, 15]\nb'abcg'\n"


def test_i2c_takes_the_wires_time(board: Rp2040Board) -> None:
    code = program(__file__, "i2c_time")
    # start, address, register, start, address, 6 bytes, stop at 400 kHz: 84 bits of 2.5 µs, and the software
    assert 210 <= int(board.exec(I2C + code)) <= 330


def test_i2c_absent_device_is_an_oserror(board: Rp2040Board) -> None:
    board.set_sensor("memory", present=False)
    code = "try:\n    i2c.readfrom_mem(0x50, 0, 2)\nexcept OSError as e:\n    print('errno', e.errno)"
    try:
        assert board.exec(I2C + code) == "errno 5\n"
        assert board.exec(I2C + code.replace("0x50", "0x22")) == "errno 5\n"
    finally:
        board.set_sensor("memory", present=True)
    assert board.exec(I2C + "print(i2c.scan())") == "[80]\n"


def test_uart_exchanges_messages(board: Rp2040Board) -> None:
    code = (
        "import time\nt = time.ticks_us(); uart.write(bytes(range(1, 9)))\nb = bytearray(8)\n"
        "print(uart.readinto(b), list(b)); print(time.ticks_diff(time.ticks_us(), t))"
    )
    message, elapsed = board.exec(UART + code).splitlines()
    assert message == "8 [8, 7, 6, 5, 4, 3, 2, 1]"
    # 16 characters and two silences of 3.5, of 1.0417 ms each
    assert 23_900 <= int(elapsed) <= 26_000


def test_uart_takes_an_answer_longer_than_its_fifo(board: Rp2040Board) -> None:
    code = "uart.write(bytes(range(100)))\nb = bytearray(100)\nprint(uart.readinto(b), b[0], b[-1])"
    assert board.exec(UART + code) == "100 99 0\n"


def test_uart_silence_times_out(board: Rp2040Board) -> None:
    board.set_sensor("reverser", silent=True)
    try:
        assert board.exec(UART + "uart.write(b'x'); print(uart.read(1))") == "None\n"
    finally:
        board.set_sensor("reverser", silent=False)


def test_sleep_is_virtual(board: Rp2040Board) -> None:
    before = board.virtual_time_ns()
    board.exec("import time; time.sleep(20)")
    assert board.virtual_time_ns() - before >= 20_000_000_000


def test_files_outlive_resets(board: Rp2040Board) -> None:
    data = bytes(range(256)) * 20
    board.put("data/made/block.bin", data)
    board.exec("x = 1")
    board.reset()
    assert board.get("/data/made/block.bin") == data
    with pytest.raises(BoardError, match="NameError"):
        board.exec("print(x)")
    assert board.exec("import machine; print(machine.reset_cause() == machine.PWRON_RESET)") == "True\n"


def test_a_missing_file_is_one_line(board: Rp2040Board) -> None:
    with pytest.raises(BoardError, match=r"nowhere\.txt"):
        board.get("nowhere.txt")


def test_main_runs_after_a_reset_and_can_be_held_back(board: Rp2040Board) -> None:
    board.put("main.py", b"f = open('ran', 'a'); f.write('x'); f.close()\nwhile True: pass\n")
    try:
        board.reset()
        wait_for_main = "import os, time\nprint('ran' in os.listdir())"
        while board.exec(wait_for_main) != "True\n":
            board.reset()
        board.exec("import os; os.remove('ran')")
        board.reset(run=False)
        assert board.exec("print('held')") == "held\n"
    finally:
        board.exec("import os; os.remove('main.py')")


def test_the_watchdog_resets_once(board: Rp2040Board) -> None:
    board.put(
        "main.py",
        program(__file__, "watchdog").encode(),
    )
    try:
        board.reset()
        while b"after the watchdog" not in board.console():
            assert board.alive() is None
            board.virtual_time_ns()
        board.exec("import time; time.sleep(2)")
        assert board.console().count(b"after the watchdog") == 1
        assert board.exec("import machine; print(machine.reset_cause() == machine.WDT_RESET)") == "True\n"
    finally:
        board.exec("import os; os.remove('main.py')")


def test_wifi_reaches_the_broker_port(board: Rp2040Board, listener: socket.socket) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            while data := connection.recv(4096):
                connection.sendall(data.upper())

    thread = threading.Thread(target=serve)
    thread.start()
    code = program(__file__, "echo", host=board.host_address)
    assert board.exec(code, timeout=60) == f"{board.identity.ip} {board.identity.wifi_mac.hex()} 1800\n"
    thread.join(30)
    assert not thread.is_alive()


def test_a_refused_connection_is_an_oserror(board: Rp2040Board) -> None:
    code = program(__file__, "refused", port=free_port())
    assert board.exec(code, timeout=60) == "refused True\n"


def test_mpremote_takes_the_address(board: Rp2040Board) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", board.address, "exec", "print(6 * 7)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("42", 0), done.stderr


def test_the_radio_has_room_for_the_guest_whatever_else_came_in() -> None:
    """Its driver waits where the credit is the number of its next frame, and one of 8 bits comes round."""
    radio = RadioBus(bytes(6))
    frame = bytes((12, 0, 0xF3, 0xFF, 7, 2, 0, 12, 0, 0, 0, 0))  # number 7, an Ethernet frame without content
    radio._write_wlan(frame)
    for _ in range(600):
        radio.queue_rx_ethernet_frame(bytes(60))
    credits = {packet[9] for packet in radio._rx_queue}
    assert credits == {7 + 1 + 8}
    radio.power_off()
    assert radio._bus_data_credit == 1
