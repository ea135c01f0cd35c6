"""The unix board's hardware: buses, pins and network as the firmware meets them."""

import ast
import itertools
import socket
import threading
import time
from collections.abc import Callable

import pytest

from quaver.bench.ports import free_port
from quaver.emulator.bus import Attached
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import BoardError
from tests.programs import program


class Registers:
    """A part with 128 registers of one byte: SPI with the read bit on top, I2C with a pointer that goes on."""

    def __init__(self) -> None:
        self.memory = bytearray(range(128))
        self.absent = False
        self.selected_at: list[int] = []
        self.byte_times: list[int] = []
        self._command: int | None = None
        self._pointer = 0

    def spi_select(self, now: int) -> None:
        self.selected_at.append(now)
        self._command = None

    def spi_deselect(self, now: int) -> None:
        self.selected_at.append(-now)

    def spi_exchange(self, value: int, now: int) -> int:
        self.byte_times.append(now)
        if self._command is None:
            self._command = value
            self._pointer = value & 0x7F
            return 0
        if self._command & 0x80:
            result = self.memory[self._pointer]
        else:
            result, self.memory[self._pointer] = 0, value
        self._pointer = (self._pointer + 1) % 128
        return result

    def i2c_start(self, read: bool, now: int) -> bool:
        self._command = 0 if read else None
        return not self.absent

    def i2c_write(self, value: int, now: int) -> bool:
        self.byte_times.append(now)
        if self._command is None:
            self._command = value
            self._pointer = value & 0x7F
        else:
            self.memory[self._pointer] = value
            self._pointer = (self._pointer + 1) % 128
        return True

    def i2c_read(self, now: int) -> int:
        self.byte_times.append(now)
        self._pointer = (self._pointer + 1) % 128
        return self.memory[self._pointer - 1]

    def i2c_stop(self, now: int) -> None:
        pass


class Echo:
    """A UART device that sends back what it got."""

    def __init__(self) -> None:
        self.fault: str | None = None

    def uart_exchange(self, data: bytes, now: int) -> bytes:
        return b"" if self.fault == "absent" else data


class Broken:
    def uart_exchange(self, data: bytes, now: int) -> bytes:
        raise RuntimeError("its server\nis gone")


@pytest.fixture(scope="module")
def rig():
    return {"spi": Registers(), "i2c": Registers(), "uart": Echo()}


@pytest.fixture(scope="module")
def board(rig):
    parts = (
        Attached("spi", "spi0", 17, rig["spi"]),
        Attached("i2c", "i2c0", 0x48, rig["i2c"]),
        Attached("uart", "uart1", 0, rig["uart"]),
    )
    with open_board("unix:", Setup(rig=parts)) as board:
        board.exec(program(__file__, "setup"))
        yield board


def test_spi_reads_and_writes_registers(board, rig):
    text = board.exec(program(__file__, "spi"))
    assert text == (r"bytearray(b'\x04\xaa\xbb\x07')" "\n" r"b'\x00\xaa\xbb'" "\n" r"bytearray(b'\x00\xbb\x07')" "\n")


def test_spi_time_is_the_wires(board, rig):
    rig["spi"].byte_times.clear()
    took = int(
        board.exec(
            "b = bytearray(3500)\ncs(0)\na = time.ticks_us()\nspi.readinto(b)\n"
            "print(time.ticks_diff(time.ticks_us(), a))\ncs(1)"
        )
    )
    assert 2800 <= took <= 2805  # 3,500 bytes of 8 bits at 10 MHz
    times = rig["spi"].byte_times
    assert len(times) == 3500
    assert {after - before for before, after in itertools.pairwise(times)} == {800}


def test_a_spi_bus_with_nobody_selected_reads_zeros(board):
    assert board.exec("b = bytearray(b'xyz')\nspi.readinto(b)\nprint(b)") == r"bytearray(b'\x00\x00\x00')" "\n"


def test_spi_transfers_longer_than_one_request(board, rig):
    rig["spi"].memory[:] = range(128)
    text = board.exec(
        "w = bytearray(20000)\nw[0] = 0x80\nr = bytearray(20000)\n"
        "cs(0); spi.write_readinto(w, r); cs(1)\nprint(r[128:140], r[19999])\ncs(0); spi.write(w); cs(1)"
    )
    assert text.startswith(r"bytearray(b'\x7f\x00\x01\x02")


def test_i2c_registers_errors_and_scan(board, rig):
    text = board.exec(program(__file__, "i2c"))
    assert text == (r"bytearray(b'\x0f\x01\x02')" "\n" r"1 b'\x02\x12' [72]" "\n" "[Errno 5] EIO\n")
    board.set_sensor("i2c", absent=True)
    assert board.exec("print(i2c.scan())") == "[]\n"
    board.set_sensor("i2c", absent=False)


def test_i2c_time_is_the_wires(board):
    took = int(
        board.exec(
            "b = bytearray(6)\na = time.ticks_us()\ni2c.readfrom_mem_into(0x48, 0, b)\n"
            "print(time.ticks_diff(time.ticks_us(), a))"
        )
    )
    assert 205 <= took <= 215  # 84 bits at 400 kHz


def test_uart_answers_arrive_at_the_wires_pace(board):
    text = board.exec(program(__file__, "uart"))
    # 10 bytes of 10 bits at 9,600 baud: 10.4 ms there, as much back, and 10 ms of silence to call it the end
    assert text == "0 False\n10 0\n10 bytearray(b'0123456789') 20\nNone\n"


def test_an_absent_uart_device_is_a_time_out(board):
    board.set_sensor("uart", fault="absent")
    text = board.exec(
        "a = time.ticks_ms()\nuart.write(b'?')\nprint(uart.read(4), time.ticks_diff(time.ticks_ms(), a) >= 100)"
    )
    board.set_sensor("uart", fault=None)
    assert text == "None True\n"


def test_a_uart_is_a_stream_for_asyncio(board):
    text = board.exec(program(__file__, "stream"))
    assert text == "b'line\\n'\nquiet\n"


def test_transfers_allocate_nothing(board):
    text = board.exec(program(__file__, "hot_path"))
    assert text == "done\n"


def test_an_asyncio_sleep_allocates_nothing(board):
    text = board.exec(program(__file__, "idle"))
    assert text == "0\n"


def test_an_exchange_cut_short_is_made_good(board):
    text = board.exec(program(__file__, "stale_link"))
    assert text == "b' !'\nb'!'\n"


def test_ctrl_c_in_a_loop_of_transfers_leaves_the_line_whole(board):
    code = "b = bytearray(64)\nwhile True:\n  cs(0); spi.readinto(b); cs(1)"
    for _ in range(5):
        with pytest.raises(BoardError, match="interrupted"):
            board.exec(code, timeout=0.05)
        assert board.exec("cs(1)\nprint(i2c.readfrom_mem(0x48, 0x20, 2))") == "b' !'\n"


def test_pins_keep_their_level_and_selects_reach_the_device(board, rig):
    rig["spi"].selected_at.clear()
    text = board.exec(
        "led = machine.Pin('LED', machine.Pin.OUT)\nled.on(); print(led.value()); led.toggle(); print(led())\n"
        "cs.low(); cs.low(); cs.high()\nprint(machine.Pin(17)())"
    )
    assert text == "1\n0\n1\n"
    assert [at >= 0 for at in rig["spi"].selected_at] == [True, False]


def test_a_reset_lets_go_of_the_chip_select(rig):
    model = Registers()
    with open_board("unix:", Setup(rig=(Attached("s", "spi0", 17, model),))) as board:
        board.exec("import machine\nmachine.Pin(17, machine.Pin.OUT, value=0)")
        board.reset()
        assert len(model.selected_at) == 2


def test_a_model_that_breaks_ends_the_board_with_one_line():
    with open_board("unix:", Setup(rig=(Attached("meter", "uart1", 0, Broken()),))) as board:
        with pytest.raises(BoardError, match="RuntimeError: its server is gone") as failure:
            board.exec("import machine\nmachine.UART(1, 9600).write(b'?')")
        assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Attached("s", "spi7", 17, Registers()), "no bus spi7"),
        (Attached("s", "uart1", 0, Registers()), "can't be put on uart1"),
    ],
)
def test_a_rig_that_does_not_fit_is_one_line(part, words):
    with pytest.raises(BoardError, match=words):
        open_board("unix:", Setup(rig=(part,)))


def test_a_sensor_or_attribute_that_is_not_there_is_one_line(board):
    with pytest.raises(BoardError, match=r"'gyro' is not on this board: it has spi, i2c, uart"):
        board.set_sensor("gyro", fault="absent")
    with pytest.raises(BoardError, match="no 'colour'"):
        board.set_sensor("uart", colour="red")


# The network.

_JOIN = program(__file__, "join")


class Peer:
    """A TCP server on loopback that answers each connection with `talk`."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._talk = talk
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()


def _late_echo(connection: socket.socket) -> None:
    while data := connection.recv(100):
        time.sleep(0.1)  # a peer that needs real time: what is under test is that virtual time waits for it
        connection.sendall(data)


def test_wifi_joins_and_goes(board):
    assert board.exec(_JOIN + "print(wlan.status(), wlan.ifconfig()[0])") == "3 127.0.0.1\n"
    board.set_sensor("wifi", present=False)
    text = board.exec(
        "print(wlan.isconnected(), wlan.status())\ns = socket.socket()\n"
        "try: s.connect(('127.0.0.1', 1))\nexcept OSError as error: print(error.errno)"
    )
    board.set_sensor("wifi", present=True)
    assert text == "False -2\n113\n"
    assert board.exec("print(wlan.isconnected())") == "True\n"


def test_an_answer_over_tcp_needs_no_virtual_time(board):
    with Peer(_late_echo) as peer:
        text = board.exec(_JOIN + program(__file__, "asyncio_echo", port=peer.port))
    assert text == "b'ping\\n'\n" * 3 + "True\n"


def test_blocking_sockets_with_time_outs_and_sleeps_in_between(board):
    with Peer(_late_echo) as peer:
        text = board.exec(_JOIN + program(__file__, "blocking", port=peer.port))
    assert text == "b'abc' True\nNone\nb'x'\n110 3600\n"


def test_a_poll_over_a_socket_times_out_on_the_boards_clock(board):
    with Peer(lambda connection: connection.recv(1) and None) as peer:
        text = board.exec(_JOIN + program(__file__, "poll", port=peer.port))
    assert text == "[]\n100\n"


def test_port_1883_of_the_host_is_the_broker_it_set_up():
    with (
        Peer(lambda connection: connection.sendall(b"broker\n")) as peer,
        open_board("unix:", Setup(broker_port=peer.port)) as board,
    ):
        text = board.exec(_JOIN + program(__file__, "read_all", host=board.host_address))
    assert text == "b'broker\\n' b''\n"


def test_a_peer_that_refuses_is_an_error_at_once(board):
    text = board.exec(_JOIN + program(__file__, "refused", port=free_port()))
    assert text == "111\n111\n"


def test_a_message_from_outside_ends_a_long_wait_in_real_time():
    def late(connection: socket.socket) -> None:
        time.sleep(0.2)
        connection.sendall(b"now\n")
        connection.recv(1)

    with Peer(late) as peer, open_board("unix:", Setup(real_time=True)) as board:
        text = board.exec(_JOIN + program(__file__, "slow_line", port=peer.port))
    assert text == "b'now\\n'\nTrue\n"


COUNTING = program(__file__, "counting")


@pytest.fixture
def tachometer():
    from quaver.emulator.sensors.tachometer import Tachometer

    return Tachometer(6000)  # an edge every 10 ms


@pytest.fixture
def pin_board(tachometer):
    with open_board("unix:", Setup(rig=(Attached("tachometer", "gpio", 15, tachometer),))) as board:
        yield board


@pytest.mark.parametrize(
    "wait",
    [
        "time.sleep_ms(100)",
        "for _ in range(1000): time.sleep_us(100)",
        "end = time.ticks_add(time.ticks_us(), 100_000)\nwhile time.ticks_diff(end, time.ticks_us()) > 0: pass",
        "import asyncio\nasync def doze(): await asyncio.sleep_ms(100)\nasyncio.run(doze())",
        "import machine\nspi = machine.SPI(0, 8_000, sck=machine.Pin(18))\nspi.write(bytes(100))",
    ],
    ids=["sleeps", "sleeps briefly", "polls the time", "awaits", "transfers"],
)
def test_a_pin_interrupts_at_the_time_of_its_edge_whatever_the_board_does(pin_board, wait):
    text = pin_board.exec(f"{COUNTING}{wait}\npin.irq(None)\ntime.sleep_ms(30)\nprint(times)")
    times = ast.literal_eval(text)
    assert len(times) == 10
    assert all(abs(b - a - 10_000) <= 2 for a, b in itertools.pairwise(times))


def test_time_does_not_run_back_for_an_interrupt(pin_board):
    text = pin_board.exec(program(__file__, "rising"))
    seen = ast.literal_eval(text)
    assert len(seen) == 54 and seen == sorted(seen)


def test_in_real_time_a_pin_interrupts_too(tachometer):
    parts = (Attached("tachometer", "gpio", 15, tachometer),)
    with open_board("unix:", Setup(rig=parts, real_time=True)) as board:
        text = board.exec(
            f"import time\nbegan = time.ticks_us()\n{COUNTING}time.sleep_ms(100)\n"
            "ended = time.ticks_us()\npin.irq(None)\nprint([len(times), ended - began])"
        )
    edges, us = ast.literal_eval(text)
    assert edges >= 9 and edges == pytest.approx(us / 10_000, abs=2)  # more than 10 where a busy machine sleeps longer


def test_falling_edges_and_the_level(pin_board):
    text = pin_board.exec(program(__file__, "levels"))
    levels = ast.literal_eval(text)
    assert len(levels) in (10, 11)
    assert all(a[1] != b[1] and abs(b[0] - a[0] - 5_000) <= 2 for a, b in itertools.pairwise(levels))


def test_a_hard_handler_that_allocates_is_told_and_ends(pin_board):
    text = pin_board.exec(program(__file__, "hard"))
    assert text.count("MemoryError") == 1
    assert text.split()[-1] == "0"


def test_a_change_of_the_model_shows_within_a_moment(pin_board, tachometer):
    pin_board.exec(COUNTING + "time.sleep_ms(50)")
    pin_board.set_sensor("tachometer", fault="absent")
    pin_board.exec("time.sleep_ms(100); times.clear(); time.sleep_ms(200)")
    assert pin_board.exec("print(len(times))").strip() == "0"
    pin_board.set_sensor("tachometer", fault=None, rpm=12000)
    pin_board.exec("time.sleep_ms(100); times.clear(); time.sleep_ms(200)")
    assert int(pin_board.exec("print(len(times))")) == 40


def test_what_does_not_drive_a_pin_is_refused():
    with pytest.raises(BoardError, match="can't be put on gpio"):
        open_board("unix:", Setup(rig=(Attached("echo", "gpio", 15, Echo()),)))
