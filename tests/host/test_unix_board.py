"""The unix board: the verbs of `Board`, its console, its ends, and the time it lives by."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest

from quaver.board.spec import load_board
from quaver.emulator.bus import Attached
from quaver.emulator.clock import Clock
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.emulator.unix import UnixBoard
from quaver.errors import BoardError
from tests.programs import program
from tests.waiting import wait_for_words, wait_until

MPREMOTE = [sys.executable, "-m", "mpremote"]


@pytest.fixture(scope="module")
def shared():
    """One board for what leaves no trace on it."""
    with open_board("unix:") as board:
        yield board


def _terminal(board):
    return socket.create_connection(("127.0.0.1", int(board.address.rpartition(":")[2])))


def _until(board, text):
    """Wait for a text on the console; returns what was printed until then."""
    return wait_for_words(board, text.encode())


def _mpremote(address, *command):
    result = subprocess.run(
        [*MPREMOTE, "connect", address, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.replace("\r\n", "\n")


def test_exec_returns_what_the_code_printed(shared):
    assert shared.exec("print(6 * 7)\nprint('x')") == "42\nx\n"


def test_exec_keeps_state_between_calls(shared):
    shared.exec("kept = 5")
    assert shared.exec("print(kept)") == "5\n"


def test_an_exception_on_the_board_is_one_line_and_carries_the_traceback(shared):
    with pytest.raises(BoardError, match="ZeroDivisionError") as failure:
        shared.exec("x = 1\nx / 0")
    assert "\n" not in str(failure.value)
    assert "line 2" in failure.value.traceback
    assert shared.exec("print(1)") == "1\n"


def test_files_go_both_ways_and_make_their_folders(shared):
    data = bytes(range(256)) * 40
    shared.put("deep/er/file.bin", data)
    assert shared.get("/deep/er/file.bin") == data


def test_a_file_that_is_not_there_is_one_line(shared):
    with pytest.raises(BoardError, match=r"nowhere\.txt"):
        shared.get("nowhere.txt")


def test_a_text_of_every_size_goes_through_the_raw_repl(shared):
    assert shared.exec(f"print(len({'x' * 20_000!r}))") == "20000\n"


def test_an_exec_that_says_nothing_in_time_is_interrupted(shared):
    with pytest.raises(BoardError, match="interrupted"):
        shared.exec("while True: pass", timeout=0.5)
    assert shared.exec("print(1)") == "1\n"


def test_the_firmware_sees_a_pico_w_and_nothing_of_the_host(shared):
    assert shared.exec("import sys, os\nprint(sys.path, 'etc' in os.listdir('/'))") == "['', '.frozen', '/lib'] False\n"


def test_the_heap_is_the_board_files(shared):
    free = int(shared.exec("import gc\ngc.collect()\nprint(gc.mem_free())"))
    assert 0.95 < free / load_board("unix").heap < 1.03


def test_boot_and_main_run_from_flash_and_again_after_a_reset():
    files = {
        "boot.py": b"print('boot')",
        "main.py": b"import machine, part.one\nprint('main', machine.reset_cause())",
        "part/one.py": b"",
    }
    with open_board("unix:", Setup(files=files)) as board:
        assert "boot\r\nmain 1\r\n" in _until(board, "main 1")
        board.reset()
        assert "boot\r\nmain 2\r\n" in _until(board, "main 2")
        board.exec("with open('kept', 'w') as f: f.write('here')")
        board.reset(run=False)
        assert board.exec("print(open('kept').read(), 'one' in dir())") == "here False\n"
        assert board.console().count(b"boot\r\n") == 2


def test_one_that_is_being_started_is_not_at_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for it; for one at its prompt they would not, and one that wakes would come late."""
    setraw, found = tty.setraw, []

    def looked_at(fd: int) -> None:
        setraw(fd)
        found.append(board._guest.at_prompt())

    with UnixBoard(Setup()) as board:
        monkeypatch.setattr(tty, "setraw", looked_at)
        board.reset(run=False)
    assert found == [False]


def test_console_leaves_out_what_exec_printed():
    with open_board("unix:", Setup(files={"main.py": b"print('mine')"})) as board:
        _until(board, "mine")
        assert board.exec("print('yours')") == "yours\n"
        assert b"yours" not in board.console()


def test_exec_interrupts_a_program_that_runs_for_ever():
    main = program(__file__, "running").encode()
    with open_board("unix:", Setup(files={"main.py": main}, real_time=True)) as board:
        _until(board, "up")
        assert board.exec("print(2)") == "2\n"
        assert board.exec("import asyncio\nprint(asyncio.core.cur_task is not None)") == "True\n"


def test_exec_interrupts_a_computation_that_never_asks_the_host():
    with open_board("unix:", Setup(files={"main.py": b"print('up')\nwhile True: pass"})) as board:
        _until(board, "up")
        assert board.exec("print(3)") == "3\n"


def test_a_computation_may_be_interrupted_wherever_it_stands():
    # Almost always inside the allocator or the table of names, whose locks are held then.
    code = "n = 0\nwhile True:\n  n += 1\n  exec('name_%d = [n] * 50\\ndel name_%d' % (n % 500, n % 500))"
    with open_board("unix:") as board:
        for _ in range(10):
            with pytest.raises(BoardError, match="interrupted"):
                board.exec(f"try:\n  name\nexcept NameError:\n  pass\n{code}", timeout=0.05)
            assert board.exec("import gc\ngc.collect()\nfresh_name = [n]\nprint(fresh_name[0] > 0)") == "True\n"


def test_what_is_deaf_to_ctrl_c_is_not_interrupted():
    main = program(__file__, "deaf").encode()
    with open_board("unix:", Setup(files={"main.py": main})) as board:
        _until(board, "deaf")
        assert board.exec("print(n)") == "3000000\n"


def test_what_is_deaf_to_ctrl_c_reads_it():
    main = program(__file__, "deaf_reader").encode()
    with open_board("unix:", Setup(files={"main.py": main})) as board, _terminal(board) as terminal:
        _until(board, "deaf")
        terminal.sendall(b"\x03a\x03")
        _until(board, "read b'\\x03a\\x03'")


def test_ctrl_c_in_bursts_does_not_end_the_board():
    main = program(__file__, "stubborn").encode()
    with open_board("unix:", Setup(files={"main.py": main})) as board, _terminal(board) as terminal:
        _until(board, "up")
        terminal.sendall(b"\x03\x03\x03\x03\x03")
        _until(board, "heard")
        assert board.alive() is None


def test_mpremote_over_the_socket(shared, tmp_path):
    (tmp_path / "sent.py").write_text("print('sent')")
    assert _mpremote(shared.address, "exec", "print(7)") == "7\n"
    _mpremote(shared.address, "fs", "cp", str(tmp_path / "sent.py"), ":sent.py")
    assert _mpremote(shared.address, "fs", "cat", ":sent.py") == "print('sent')"
    assert "sent.py" in _mpremote(shared.address, "fs", "ls")
    assert _mpremote(shared.address, "run", str(tmp_path / "sent.py")) == "sent\n"


def test_mpremote_over_a_pty(shared):
    pty = shared.open_pty()
    assert _mpremote(pty, "exec", "import machine; print(machine.freq())") == "125000000\n"
    assert _mpremote(pty, "soft-reset", "eval", "1 + 1") == "2\n"


def test_a_soft_reset_runs_main_again_from_the_friendly_prompt_only():
    with open_board("unix:", Setup(files={"main.py": b"print('main')"})) as board:
        _until(board, ">>> ")
        with _terminal(board) as terminal:
            terminal.sendall(b"\x04")
            text = _until(board, "soft reboot\r\nmain\r\n")
            assert text.count("main\r\n") == 2
            terminal.sendall(b"\x01\x04")
            prompt = b"raw REPL; CTRL-B to exit\r\n>"
            wait_until(lambda: board.console().endswith(prompt) and board.console().count(b"soft") == 2, board)
            assert board.console().count(b"main\r\n") == 2


@pytest.mark.parametrize("port", ["socket", "pty"])
def test_a_running_board_is_driven_through_its_port(port):
    with open_board("unix:", Setup(files={"main.py": b"print('main', flush := 1)"})) as owner:
        where = owner.address if port == "socket" else f"serial:{owner.open_pty()}"
        with open_board(where) as board:
            assert board.exec("print(1 + 1)") == "2\n"
            board.put("dir/there.txt", b"text")
            assert owner.get("dir/there.txt") == board.get("dir/there.txt") == b"text"
            board.reset()
            _until(board, "main 1")
            board.reset(run=False)
            assert board.exec("import machine\nprint(machine.reset_cause())") == "2\n"
            with pytest.raises(BoardError, match="real board"):
                board.set_sensor("vibration", fault="absent")
        assert owner.alive() is None


def test_a_port_that_is_not_there_is_one_line():
    for where in ("serial:/dev/ttyNOTHING", "socket://127.0.0.1:1", "usb:3", "serial:"):
        with pytest.raises(BoardError) as failure:
            open_board(where)
        assert "\n" not in str(failure.value)


def test_a_guest_that_crashes_is_one_line_with_the_signal():
    with open_board("unix:") as board:
        with pytest.raises(BoardError, match="SIGSEGV") as failure:
            board.exec("import uctypes\nuctypes.bytearray_at(8, 8)[0]")
        assert "\n" not in str(failure.value)
        assert "SIGSEGV" in (board.alive() or "")
        with pytest.raises(BoardError, match="SIGSEGV"):
            board.put("x", b"")


def test_a_heap_too_small_to_boot_is_one_line(monkeypatch):
    monkeypatch.setattr("quaver.emulator.unix_guest._SHIM_HEAP", -400_000)
    with pytest.raises(BoardError, match="MemoryError") as failure:
        open_board("unix:")
    assert "\n" not in str(failure.value)


def test_after_stop_every_verb_says_so():
    board = open_board("unix:")
    board.stop()
    board.stop()
    assert "stopped" in (board.alive() or "")
    with pytest.raises(BoardError, match="stopped"):
        board.exec("print(1)")


@pytest.mark.parametrize("hangup", ["SIG_DFL", "SIG_IGN"])  # ignored is what nohup hands down
def test_a_killed_host_leaves_no_guest(hangup):
    script = (
        f"import signal\nsignal.signal(signal.SIGHUP, signal.{hangup})\n"
        "from quaver.emulator.setup import Setup\n"
        "from quaver.emulator.targets import open_board\n"
        "board = open_board('unix:', Setup(files={'main.py': b'while True: pass'}))\n"
        "print(board._guest._process.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        assert host.stdout is not None
        guest = int(host.stdout.readline())
        watch = os.pidfd_open(guest)
        host.send_signal(signal.SIGKILL)
        host.wait()
        assert select.select([watch], [], [], 10)[0], "the guest outlived its host"
        os.close(watch)


def test_a_simulated_day_of_asyncio_passes_within_one_exec(shared):
    text = shared.exec(
        program(__file__, "day"),
        timeout=120,
    )
    assert sorted(re.findall(r"'(\w+)', (\d+)", text)) == [("fast", "86400"), ("slow", "86400")]


def test_asyncio_keeps_its_rules_on_the_boards_clock(shared):
    text = shared.exec(program(__file__, "gather"))
    assert text == (
        "['a', 'b', 'event', 'cancelled lost', 'c', 'cancelled late', 'timeout', 'f', "
        "\"ValueError('f',)\", 'value', 'value']\n"
    )


def test_counters_wrap_as_on_a_microcontroller(shared):
    assert (
        shared.exec(
            "import time\na = time.ticks_us()\ntime.sleep(1100)\nb = time.ticks_us()\n"
            "print(0 <= b < 1 << 30, time.ticks_diff(time.ticks_add(5, -10), 5))"
        )
        == "True -10\n"
    )


def test_the_date_is_settable_and_goes_on(shared):
    assert (
        shared.exec(
            "import machine, time\nmachine.RTC().datetime((2026, 2, 28, 0, 23, 59, 59, 0))\ntime.sleep(2)\n"
            "print(time.localtime()[:6])"
        )
        == "(2026, 3, 1, 0, 0, 1)\n"
    )


def test_real_time_paces_the_board():
    with open_board("unix:", Setup(real_time=True)) as board:
        began = time.monotonic()
        board.exec("import time\ntime.sleep_ms(300)")
        assert time.monotonic() - began >= 0.3
        began = time.monotonic()
        took = int(board.exec("a = time.ticks_ms()\ntime.sleep_ms(100)\nprint(time.ticks_diff(time.ticks_ms(), a))"))
        assert 100 <= took <= (time.monotonic() - began) * 1000


def test_boards_on_one_clock_act_in_the_order_of_its_time():
    seen: list[tuple[int, str]] = []

    class Bell:
        def __init__(self, name):
            self.name = name

        def uart_exchange(self, data, now):
            seen.append((now, self.name))
            return b""

    clock = Clock()
    with (
        UnixBoard(Setup(rig=(Attached("bell", "uart1", 0, Bell("a")),)), clock=clock) as first,
        UnixBoard(Setup(rig=(Attached("bell", "uart1", 0, Bell("b")),)), clock=clock) as second,
    ):
        threads = [
            threading.Thread(target=first.exec, args=(program(__file__, "sparse_writes", ms=70),)),
            threading.Thread(target=second.exec, args=(program(__file__, "sparse_writes", ms=110),)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    times = [when for when, _ in seen]
    assert len(seen) == 80
    assert times == sorted(times)


def test_the_watchdog_bites_a_board_that_sleeps_too_long_and_one_that_computes_too_long(monkeypatch):
    monkeypatch.setattr("quaver.emulator.unix_guest._HANG_S", 0.3)
    main = program(__file__, "watchdog").encode()
    with open_board("unix:", Setup(files={"main.py": main})) as board:
        text = _until(board, "bitten again 3")
        assert "fed" in text and "bitten 3" in text and "never" not in text


def test_a_blank_file_system_boots_to_the_prompt(shared, tmp_path: Path):
    assert shared.exec("import os\nprint(os.statvfs('/')[2] * 4096)") == f"{load_board('unix').flash.filesystem_size}\n"


JOIN = program(__file__, "join")


def test_an_access_point_has_a_name_and_a_password():
    with UnixBoard(Setup()) as board:
        board.set_sensor("wifi", ssid="plant", password="correct horse")
        assert board.exec(JOIN).splitlines() == ["[b'plant']", "-2 False", "-3 False", "3 True"]
