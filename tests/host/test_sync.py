"""`quaver sync` against emulated boards: what it sends, what it refuses, and a cut at every operation of the flash."""

import binascii
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from quaver.board.failures import KnownFailure
from quaver.board.repl import DeviceError
from quaver.build import firmware_files
from quaver.build.tree import LISTING
from quaver.cli import main
from quaver.desk.sync import About, ask, board_of, put_files, sync
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.emulator.unix import UnixBoard
from quaver.files.carried import payload
from quaver.release.files import listing
from quaver.release.signing import create_key
from tests.programs import program
from tests.waiting import wait_until

BOOT = payload("firmware", "boot.py").read_bytes()
BOARD = b'NAME = "unix"\nCHIP = "unix"\nVERSION = "0"\n'
# Says which set runs, by a word out of each module.
MAIN = program(__file__, "main").encode()


def tree(name: str, *modules: str) -> dict[str, bytes]:
    """A small firmware of the set `name`; its modules are longer than a littlefs block's inline limit."""
    files = {module: f"SET = {name!r}\n{'# ' + name * 100}\n".encode() for module in modules}
    files |= {"boot.py": BOOT, "main.py": MAIN, "board.py": BOARD}
    files[LISTING] = "".join(f"{path}\n" for path in sorted(files)).encode()
    return files


OLD = tree("old", "room/first.py", "old/third.py", "plain.py")
NEW = tree("new", "room/first.py", "new/third.py", "plain.py")
RUNS = {
    "old": "runs room.first=old old.third=old plain=old",
    "new": "runs room.first=new new.third=new plain=new",
}
OWN = {"config.json": b'{"node": "n1"}', "journal/1": b"records", "notes.py": b"# a person's own", "boot.0": b"7"}
# What a node keeps beside: secrets, what it has learned and counted, a change of its own that is under way.
NODE = ("device.key", "session.code", "ca.pem", "config.before", "config.json.new", "condition.json", "commands.taken")


def on_flash(board: UnixBoard) -> dict[str, bytes]:
    """Every file of the board, by way of its own file system."""
    code = program(__file__, "walk")
    return dict(eval(line) for line in board.exec(code, timeout=120.0).splitlines())


def rooted(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"/{path}": data for path, data in files.items()}


@pytest.fixture
def board() -> Iterator[UnixBoard]:
    with UnixBoard(Setup(files={**OLD, **OWN})) as board:
        yield board


def sent(board: UnixBoard, files: Mapping[str, bytes]) -> set[str]:
    return set(sync(board, lambda name: files).changed)


def test_only_what_differs_is_sent_and_what_is_no_part_any_more_goes(board: UnixBoard) -> None:
    for path in NODE:
        board.put(path, path.encode())
    outcome = sync(board, lambda name: NEW)
    assert set(outcome.changed) == {
        "/room/first.py",
        "/new/third.py",
        "/plain.py",
        "/firmware.txt",
    }
    assert outcome.removed == ["/old/third.py", "/old"]
    assert on_flash(board) == rooted({**NEW, **OWN} | {path: path.encode() for path in NODE})
    assert "old" not in board.exec("import os; print(os.listdir('/'))")
    again = sync(board, lambda name: NEW)
    assert (again.changed, again.removed, again.bytes) == ([], [], 0)


def test_a_module_that_hides_another_is_removed(board: UnixBoard) -> None:
    files = {**OLD, "room/first.mpy": b"compiled"}
    del files["room/first.py"]
    assert sync(board, lambda name: files).removed == ["/room/first.py"]


def test_the_real_firmware_comes_to_a_board_that_has_none_and_runs() -> None:
    files = firmware_files("unix")
    with UnixBoard(Setup(files={})) as bare:
        outcome = sync(bare, firmware_files)
        assert outcome.board == "unix" and len(outcome.changed) == len(files)
        assert on_flash(bare).items() >= rooted(files).items()
        assert sync(bare, firmware_files).changed == []


def restart(board: UnixBoard) -> str:
    """The power comes back: which set then runs."""
    before = board.console().count(b"runs ")
    board.reset()
    wait_until(lambda: board.console().count(b"runs ") > before and board.console().endswith(b">>> "), board)
    said = board.console()
    return "runs " + said.decode().rpartition("runs ")[2].splitlines()[0]  # after what a cut left of the word before


def cut(board: UnixBoard, n: int, files: Mapping[str, bytes]) -> bool:
    """A sync that ends at the n-th operation of the flash; False when it was through before."""
    board.exec(program(__file__, "cut", n=n))
    try:
        sync(board, lambda name: files)
    except DeviceError as error:
        assert error.traceback == "cut"
        return True
    return False


def test_a_cut_at_operations_of_the_flash_leaves_the_old_set_or_the_new() -> None:
    left = []
    for n in range(0, 1000, 3):
        with UnixBoard(Setup(files={**OLD, **OWN})) as board:
            if not cut(board, n, NEW):
                break
            left.append(restart(board))
            assert left[-1] in RUNS.values(), f"after a cut at operation {n}"
            sync(board, lambda name: NEW)
            assert on_flash(board) == rooted({**NEW, **OWN}), f"after a cut at operation {n}"
    # Old for as long as files arrive, new from one operation on; and the cuts reached both.
    switched = left.index(RUNS["new"])
    assert set(left[:switched]) == {RUNS["old"]} and set(left[switched:]) == {RUNS["new"]}
    assert switched > 5 and len(left) - switched > 1


def test_a_cut_in_the_middle_of_a_change_on_the_pico_w() -> None:
    itself = {"board.py": b'NAME, CHIP, VERSION = "pico_w", "rp2040", "0"\n'}
    old, new = {**OLD, **itself}, {**NEW, **itself}
    with Rp2040Board(Setup(files={**old, **OWN})) as board:
        board.exec(program(__file__, "cut_pico_w", n=16))  # 22 are all; the plan is there from the 12th on
        with pytest.raises(DeviceError) as cut_short:
            sync(board, lambda name: new)
        assert cut_short.value.traceback == "cut"
        board.reset(run=False)  # boot.py runs in any case
        assert board.exec("exec(open('/main.py').read())").strip() == RUNS["new"]
        assert sync(board, lambda name: new).changed == []


def test_a_cut_while_the_board_completes_a_change_is_completed_by_its_next_start() -> None:
    plan = "rename\t/room.new\t/other\nrename\t/plain.py.new\t/plain.py\nremove\t/old/third.py\nrmdir\t/old"
    files = {**OLD, "room.new/x.py": b"", "plain.py.new": b"SET = 'new'", "sync.plan": plan.encode()}
    for n in range(1000):
        with UnixBoard(Setup(files={path: data for path, data in files.items() if path != "boot.py"})) as board:
            board.exec(program(__file__, "cut", n=n))
            try:
                board.exec(BOOT.decode())
                break
            except DeviceError as error:
                assert error.traceback == "cut"
            board.exec(BOOT.decode())
            there = on_flash(board)
            assert there["/plain.py"] == b"SET = 'new'" and "/other/x.py" in there, n
            assert not {"/old/third.py", "/sync.plan", "/plain.py.new"} & set(there), n
    assert n > 3


def test_the_next_sync_keeps_what_arrived_before_a_cut(board: UnixBoard) -> None:
    big = {**NEW, "room/first.py": b"#" * 20_000, "plain.py": b"#" * 20_001}
    assert cut(board, 200, big)
    outcome = sync(board, lambda name: big)
    assert len(outcome.changed) == 4
    assert 0 < outcome.bytes < 30_000
    assert on_flash(board) == rooted({**big, **OWN})


def test_a_board_whose_boot_completes_nothing_gets_the_one_that_does_first() -> None:
    before = b"import gc\ngc.threshold(8192)\n"
    for n in range(0, 100, 7):
        with UnixBoard(Setup(files={**OLD, "boot.py": before})) as board:
            through = not cut(board, n, NEW)
            assert restart(board) in RUNS.values(), n
            if through:
                assert on_flash(board)["/boot.py"] == BOOT
                return
    pytest.fail("no sync came through")


def test_a_full_flash_is_one_line_and_nothing_stays_behind(board: UnixBoard) -> None:
    big = {**NEW, "room/first.py": bytes(200_000)}
    board.exec("f = open('/filler', 'wb')\nfor _ in range(1748): f.write(bytes(1000))\nf.close()")
    names = "import os; print(sorted(os.listdir('/')), sorted(os.listdir('/room')))"
    before = board.exec(names)
    with pytest.raises(
        KnownFailure, match=r"needs \d+ KiB of the board's flash, \d+ are free: remove files"
    ) as failure:
        sync(board, lambda name: big)
    assert failure.value.known.name == "no_room"
    # The count was wrong: it is the flash itself that says so.
    with board.execs() as run:
        about = dataclasses.replace(ask(run), room=(4096, 1000))
        with pytest.raises(KnownFailure, match="the board's flash has 0 KiB left: remove files"):
            put_files(run, big, about)
    assert board.exec(names) == before
    assert restart(board) == RUNS["old"]


def test_what_is_damaged_on_the_way_is_not_installed(board: UnixBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = binascii.b2a_base64

    def flip(data: bytes, newline: bool = True) -> bytes:
        return plain(data.replace(b"newnew", b"newnwe", 1), newline=newline)

    monkeypatch.setattr("quaver.desk.sync.binascii.b2a_base64", flip)
    words = r"\d of 4 files are corrupt after the transfer, the first is /.*: check the cable"
    with pytest.raises(KnownFailure, match=words) as failure:
        sync(board, lambda name: NEW)
    assert failure.value.known.name == "altered_files"
    monkeypatch.undo()
    assert restart(board) == RUNS["old"]
    again = sync(board, lambda name: NEW)
    assert 0 < again.bytes < sum(len(NEW[path[1:]]) for path in again.changed)  # only what was damaged goes again
    assert restart(board) == RUNS["new"]


PICO_W = About(
    "rp2", "Raspberry Pi Pico W with RP2040", "micropython", (1, 27, 0), 0x1106, True, None, True, (), (4096, 100)
)


def test_the_board_is_known_by_its_chip_and_its_firmware() -> None:
    def of(**facts: object) -> str:
        return board_of(dataclasses.replace(PICO_W, **facts)).name  # type: ignore[arg-type]

    assert of() == of(board=("pico_w", "rp2040", "0.1.0")) == "pico_w"
    assert of(machine="Generic ESP32C3 module with ESP32C3") == "esp32_c3"
    assert of(machine="Generic ESP32S3 module with ESP32-S3") == "esp32_s3"
    # the board's own image says its name; a generic one is taken for the chip's usual board
    assert of(machine="Raspberry Pi Pico with RP2040", wifi=False) == "pico"
    assert of(machine="Arduino Nano RP2040 Connect with RP2040") == "nano_rp2040"
    assert of(machine="Raspberry Pi Pico2 with RP2350", wifi=False) == "pico2"
    assert of(machine="Raspberry Pi Pico 2 W with RP2350") == "pico2_w"
    assert of(board=("xiao_c3", "esp32c3", "0.1.0"), machine="ESP32C3 module with ESP32C3") == "xiao_c3"
    for facts, name, words in (
        (
            {"machine": "Generic ESP32 module with ESP32", "wifi": False},
            "unknown_chip",
            "without the Wi-Fi of a ESP32-DevKitC",
        ),
        (
            {"machine": "Raspberry Pi Pico 2 W with RP2350-RISCV"},
            "unknown_chip",
            "Pico 2 W with RP2350-RISCV: use",
        ),
        (
            {"board": ("esp32", "esp32", "0.1.0")},
            "wrong_chip",
            "is for esp32, but it is a Rasp",
        ),
        ({"interpreter": "circuitpython"}, "other_interpreter", "runs circuitpython, not MicroPython"),
    ):
        with pytest.raises(KnownFailure, match=words) as failure:
            of(**facts)
        assert failure.value.known.name == name


def test_a_sync_during_a_trial_decides_what_runs(board: UnixBoard) -> None:
    """The version on trial is gone as well as the one that would have come back, and nothing of either is left."""
    new = b"SET = 'on trial'\n"
    for path, data in (
        ("release.key", b"k" * 64),
        ("release.sequence", b"6"),
        ("release.next", b"signed"),
        ("release.list", listing({"plain.py": new})),
        ("plain.py.new", new),
        ("release.plan", b"7 -\n=/plain.py\n"),
    ):
        board.put(path, data)
    assert restart(board) == "runs room.first=old old.third=old plain=on trial"
    sync(board, lambda name: NEW)
    kept = {"release.key": b"k" * 64, "release.sequence": b"6"}
    assert on_flash(board) == rooted({**NEW, **OWN, **kept})
    assert restart(board) == RUNS["new"]


def test_the_command_hands_out_the_release_key(
    board: UnixBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUAVER_RELEASE_KEY", str(tmp_path / "key.pem"))
    key = create_key(tmp_path / "key.pem", "eight or more")
    board.put("release.key", b"of somebody else" * 4)
    assert main(["sync", "--port", board.address]) == 0
    assert "  written  /release.key\n" in capsys.readouterr().out
    assert board.get("release.key") == key.public.xy
