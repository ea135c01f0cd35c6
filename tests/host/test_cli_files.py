"""sync, files, reset and console as a person runs them: processes of their own, at an emulated board's port."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quaver.board.failures import KnownFailure
from quaver.board.serial import SerialBoard
from quaver.build import firmware_files
from quaver.desk.terminal import talk
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.errors import BoardError
from tests.waiting import wait_for_words

QUAVER = Path(sys.executable).with_name("quaver")
WAIT_S = 20.0
STOPPED = "the board is at its prompt now: quaver reset starts its firmware\n"


def quaver(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([QUAVER, *map(str, arguments)], capture_output=True, text=True, timeout=WAIT_S, cwd=cwd)


def refused(result: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    assert result.returncode == code, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("quaver: ") and words in line


@pytest.fixture
def board() -> Iterator[UnixBoard]:
    files = {"main.py": b"print('main', 6 * 7)\nwhile True: pass\n", "dir/kept.txt": b"kept"}
    with UnixBoard(Setup(files=files, real_time=True)) as board:
        yield board


def ran(board: UnixBoard, times: int) -> None:
    """Wait until the board's main.py has started so often."""
    wait_for_words(board, b"main 42", times)


def test_files_go_both_ways(board: UnixBoard, tmp_path: Path) -> None:
    port = board.open_pty()
    data = bytes(range(256)) * 20
    (tmp_path / "local.bin").write_bytes(data)
    result = quaver("files", "put", "local.bin", "new/folder/there.bin", "--port", port, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "new/folder/there.bin: 5120 bytes\n", STOPPED)
    assert quaver("files", "ls", "new/folder", "--port", port).stdout == "      5120 there.bin\n"
    assert "         0 dir/\n" in quaver("files", "ls", "--port", board.address).stdout
    shown = subprocess.run([QUAVER, "files", "cat", "dir/kept.txt", "--port", port], capture_output=True)
    assert shown.stdout == b"kept"
    assert quaver("files", "get", "new/folder/there.bin", "--port", port, cwd=tmp_path).returncode == 0
    assert (tmp_path / "there.bin").read_bytes() == data
    assert quaver("files", "rm", "new/folder/there.bin", "--port", port).returncode == 0
    assert quaver("files", "rm", "new/folder", "--port", port).returncode == 0
    assert "folder" not in quaver("files", "ls", "new", "--port", port).stdout


def test_files_that_are_not_there_or_do_not_fit_are_one_line(board: UnixBoard, tmp_path: Path) -> None:
    port = board.open_pty()
    refused(quaver("files", "cat", "nope", "--port", port), 6, "nope on the board: No such file or directory")
    refused(quaver("files", "rm", "dir", "--port", port), 6, "dir on the board: Directory not empty")
    refused(quaver("files", "put", "nope", "--port", port), 1, "nope: can't be read (No such file or directory)")
    refused(quaver("files", "get", "dir/kept.txt", "/proc/x/y", "--port", port), 1, "/proc/x/y: can't be written")
    board.exec("f = open('/filler', 'wb')\nfor _ in range(1870): f.write(bytes(1000))\nf.close()")
    (tmp_path / "big").write_bytes(bytes(60_000))
    refused(quaver("files", "put", tmp_path / "big", "--port", port), 6, "/big can't be written on the board (No space")
    assert "big" not in board.exec("import os; print(os.listdir('/'))")


def test_keys_stay_on_the_board_and_a_configuration_is_its_readers_alone(board: UnixBoard, tmp_path: Path) -> None:
    board.put("device.key", b"secret")
    board.put("config.json", b"{}")
    port = board.open_pty()
    for command in (["cat", "device.key"], ["get", "/dir/../device.key"], ["put", "config.json", "session.code"]):
        (tmp_path / "config.json").write_bytes(b"{}")
        refused(quaver("files", *command, "--port", port, cwd=tmp_path), 1, "is a key, which must exist only once")
    assert quaver("files", "get", "config.json", "--port", port, cwd=tmp_path).returncode == 0
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_reset_starts_the_firmware_again(board: UnixBoard) -> None:
    port = board.open_pty()
    ran(board, 1)
    assert quaver("reset", "--port", port).stdout == f"{port}: restarted\n"
    ran(board, 2)


def test_sync_says_what_it_did_and_then_that_there_is_nothing_to_do(board: UnixBoard) -> None:
    port = board.open_pty()
    files = firmware_files("unix")
    lines = quaver("sync", "--port", port).stdout.splitlines()
    assert set(lines[:-1]) == {f"  written  /{path}" for path in files}
    assert lines[-1].startswith(f"unix: {len(files)} of {len(files)} files written (")
    assert quaver("sync", "--port", port).stdout.startswith(f"unix: up to date, {len(files)} files compared in ")
    assert board.get("dir/kept.txt") == b"kept"


@pytest.mark.parametrize(
    ("port", "code", "words"),
    [
        ("/dev/nope", 82, "/dev/nope is not there: plug the board in or check the name; connected: "),
        ("/etc/passwd", 83, "/etc/passwd is not a serial port"),
        ("/dev/null", 83, "/dev/null is not a serial port"),
        ("socket://127.0.0.1:1", 87, "refuses connections (Connection refused)"),
        ("socket://nonsense", 6, "expected socket://host:port"),
    ],
)
def test_a_port_that_is_none(port: str, code: int, words: str) -> None:
    refused(quaver("reset", "--port", port), code, words)


def test_a_board_that_gives_no_prompt() -> None:
    master, slave = pty.openpty()
    with SerialBoard(f"serial:{os.ttyname(slave)}") as silent, pytest.raises(KnownFailure) as failure:
        silent.interrupt(0.3)
    assert failure.value.exit_code == 90
    assert str(failure.value).startswith(f"{os.ttyname(slave)} shows no MicroPython prompt: ")
    os.close(master)
    os.close(slave)


class Terminal:
    """A person at a terminal that runs one command."""

    def __init__(self, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [QUAVER, *arguments], stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )
        self.shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def see(self, words: bytes) -> None:
        deadline = time.monotonic() + WAIT_S
        while words not in self.shown:
            assert select.select([self.master], [], [], max(deadline - time.monotonic(), 0))[0], self.shown
            self.shown += os.read(self.master, 4096)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def console(board: UnixBoard) -> Iterator[Terminal]:
    terminal = Terminal("console", "--port", board.open_pty())
    yield terminal
    terminal.close()


def test_the_console_is_the_boards_and_ctrl_bracket_leaves_it_as_it_was(console: Terminal) -> None:
    console.see(b"Ctrl-] closes")
    console.type(b"\x03")  # stops the firmware, not the command
    console.see(b"KeyboardInterrupt")
    console.see(b">>> ")
    console.type(b"print(6 * 111)\r")
    console.see(b"666")
    console.type(b"\x1d")
    assert console.process.wait(WAIT_S) == 0
    assert termios.tcgetattr(console.slave) == console.before


def test_a_console_whose_board_goes_says_so(board: UnixBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.board.serial._RETURN_S", 0.1)
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with SerialBoard(f"serial:{board.open_pty()}") as attached:
        board.stop()
        with pytest.raises(BoardError, match="is gone"):
            talk(attached, slave, slave, "hello")
    assert os.read(master, 4096).startswith(b"hello\r\n")
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_console_needs_a_terminal() -> None:
    result = subprocess.run([QUAVER, "console", "--port", "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True)
    assert result.returncode == 1 and b"the console needs a terminal" in result.stderr
