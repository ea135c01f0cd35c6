"""The bench room's sync: what an unchanged tree and one changed file cost on an emulated Pico W, in its own time."""

from __future__ import annotations

from dataclasses import dataclass

from quaver.boards import load_board
from quaver.emulator.board import Setup
from quaver.emulator.repl import Exec
from quaver.emulator.rp2040 import Rp2040Board
from quaver.sync import ask, current_firmware, put_files

_UART_BYTES_S = 11_520  # 115,200 baud, ten bits a byte: the bridge of an ESP32 board
_ERASE_S = 0.045  # of a 4 KiB sector, W25Q16JV datasheet, table of AC characteristics: the emulator's takes none


@dataclass(frozen=True)
class SyncCost:
    """One sync. seconds: of the board's time, paced, so that its waits for the host are as long as they are.

    sent, received: bytes over the console. erased: sectors that the change writes at least; programming them is not
    in `seconds`, for the emulator takes no time for it.
    """

    seconds: float
    sent: int
    received: int
    erased: int

    @property
    def silicon_s(self) -> float:
        """With the time that a real flash takes to erase."""
        return self.seconds + self.erased * _ERASE_S

    @property
    def uart_s(self) -> float:
        """The bytes alone, over a bridge at 115,200 baud."""
        return (self.sent + self.received) / _UART_BYTES_S


def measure_sync() -> tuple[SyncCost, SyncCost]:
    """(an unchanged tree, one changed file of some 2 KiB), without the board's restart. Raises what a sync raises.

    The USB of a Pico W carries 1 MB/s and more: its bytes are not what a sync waits for.
    """
    files = current_firmware("pico_w")
    changed = {**files, "node/app.mpy": files["node/app.mpy"] + bytes(16)}
    block = load_board("pico_w").flash.block_size
    with Rp2040Board(Setup(files=files, real_time=True)) as board, board.execs() as run:
        unchanged = _cost(board, run, files, 0)
        # The file, the directory that it is in twice, and the one that has the plan twice.
        one = _cost(board, run, changed, -(-len(changed["node/app.mpy"]) // block) + 4)
    return unchanged, one


def _cost(board: Rp2040Board, run: Exec, files: dict[str, bytes], erased: int) -> SyncCost:
    sent = received = 0

    def counted(code: str, timeout: float = 30.0) -> str:
        nonlocal sent, received
        said = run(code, timeout)
        sent, received = sent + len(code), received + len(said)
        return said

    began = board.virtual_time_ns()
    put_files(counted, files, ask(counted))
    return SyncCost((board.virtual_time_ns() - began) / 1e9, sent, received, erased)
