"""The numbers of commands: none is ever given twice, whatever becomes of the process, the clock and the file."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from quaver.errors import KeyStoreError
from quaver.fleet.command_numbers import Counter

NODE, OTHER = bytes(8), bytes(7) + b"\1"


def test_numbers_rise_within_an_hour_and_begin_anew_with_the_time(tmp_path: Path) -> None:
    now = 1_790_000_000.0
    counter = Counter(tmp_path, lambda: now)
    assert [counter.take(NODE) for _ in range(3)] == [(1_790_000_000, n) for n in range(3)]
    assert counter.take(OTHER) == (1_790_000_000, 0)
    backup = (tmp_path / "commands.json").read_bytes()
    now += 3600
    assert counter.take(NODE) == (1_790_003_600, 0)
    now -= 1_000_000  # a clock that was set back
    assert counter.take(NODE) == (1_790_003_600, 1)
    (tmp_path / "commands.json").write_bytes(backup)
    now += 1_100_000
    assert counter.take(NODE)[0] > 1_790_003_600
    assert stat.S_IMODE((tmp_path / "commands.json").stat().st_mode) == 0o600


def test_two_who_command_at_once_get_different_numbers(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from quaver.fleet.command_numbers import Counter\n"
    code += "c = Counter(Path(sys.argv[1]))\nfor _ in range(30): print(c.take(bytes(8)))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    taken = [line for process in running for line in process.communicate(timeout=30)[0].splitlines()]
    assert len(taken) == len(set(taken)) == 60


@pytest.mark.parametrize("lock", ["lambda *_: None", "broken"])
def test_without_a_lock_that_holds_no_number_is_given_twice(tmp_path: Path, lock: str) -> None:
    """As on a share whose locks hold on one machine alone, or that has none."""
    code = f"""
import fcntl, sys
from pathlib import Path
from quaver.fleet.command_numbers import Counter
def broken(*_):
    raise OSError(37, "No locks available")
fcntl.flock = {lock}
counter = Counter(Path(sys.argv[1]))
for n in range(40):
    print(n % 2, counter.take(bytes([n % 2]) * 8))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    taken = [line for process in running for line in process.communicate(timeout=60)[0].splitlines()]
    assert len(taken) == len(set(taken)) == 200


def test_a_file_that_another_machine_sees_late_repeats_no_number(tmp_path: Path) -> None:
    now = 1_790_000_000.0
    counter = Counter(tmp_path, lambda: now)
    counter.take(NODE)
    late = (tmp_path / "commands.json").read_bytes()
    taken = [counter.take(NODE) for _ in range(5)]
    (tmp_path / "commands.json").write_bytes(late)
    assert counter.take(NODE) == (taken[-1][0], taken[-1][1] + 1)
    now += 100_000
    counter.take(NODE)
    assert len(list((tmp_path / ".commands.claims").iterdir())) == 1, "old claims go"


def test_a_corrupt_file_gives_no_number(tmp_path: Path) -> None:
    (tmp_path / "commands.json").write_text("{")
    (tmp_path / "commands.json").chmod(0o600)
    with pytest.raises(KeyStoreError, match="corrupt"):
        Counter(tmp_path).take(NODE)
    (tmp_path / "commands.json").chmod(0o644)
    with pytest.raises(KeyStoreError, match="other users can read it"):
        Counter(tmp_path).take(NODE)
