"""What a sync costs on an emulated Pico W, in the board's own time: an unchanged tree, and one changed file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quaver.bench import Figure
from quaver.board.repl import Exec
from quaver.board.spec import load_board
from quaver.desk.sync import ask, current_firmware, put_files
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup

_UART_BYTES_S = 11_520  # 115,200 baud, ten bits a byte: the bridge of an ESP32 board
_ERASE_S = 0.045  # of a sector of 4 KiB: W25Q16JV datasheet, AC electrical characteristics, typical
_ONE = "code/build.node"  # the file that is changed
_UNCHANGED_GOAL_S = 1.0
_CHANGED_GOAL_S = 2.0


def run_sync(step: Callable[[str], None]) -> list[Figure]:
    """Both syncs, without the board's start afterwards; step: told, in a few words, what is being measured.

    Time is paced, so that the board's waits for the host are as long as they are; the USB of a Pico W carries 1 MB/s
    and is not what a sync waits for. The emulated flash erases in no time: what a real one takes is added.
    Raises what a sync raises.
    """
    files = current_firmware("pico_w")
    changed = {**files, _ONE: files[_ONE] + bytes(16)}
    step("booting the Pico W")
    with Rp2040Board(Setup(files=files, real_time=True)) as board, board.execs() as run:
        step("comparing a tree that is as it should be")
        unchanged, sent = _cost(board, run, files)
        step("bringing one file up to date")
        one, sent_one = _cost(board, run, changed)
    # The file's blocks; each folder's pair of blocks may be due for compaction twice: the file's, and the plan's.
    erased = -(-len(changed[_ONE]) // load_board("pico_w").flash.block_size) + 4
    erasing = f"with {erased} sectors erased at {_ERASE_S * 1000:.0f} ms each (W25Q16JV)"
    uart = "an ESP32's bridge at 115,200 baud carries the bytes in that time, beside what its board takes"
    return [
        Figure("unchanged tree", round(unchanged, 2), "s", _UNCHANGED_GOAL_S),
        Figure("one changed file", round(one + erased * _ERASE_S, 2), "s", _CHANGED_GOAL_S, note=erasing),
        Figure("unchanged tree, bytes", sent, "B"),
        Figure("unchanged tree, on the wire", round(sent / _UART_BYTES_S, 2), "s", note=uart),
        Figure("one changed file, bytes", sent_one, "B"),
        Figure("one changed file, on the wire", round(sent_one / _UART_BYTES_S, 2), "s", note=uart),
    ]


def _cost(board: Rp2040Board, run: Exec, files: Mapping[str, bytes]) -> tuple[float, int]:
    """Virtual seconds, and bytes both ways."""
    carried = 0

    def counted(code: str, timeout: float = 30.0) -> str:
        nonlocal carried
        said = run(code, timeout)
        carried += len(code) + len(said)
        return said

    began = board.virtual_time_ns()
    put_files(counted, files, ask(counted))
    return (board.virtual_time_ns() - began) / 1e9, carried
