"""Keeps idle PIO blocks out of the emulator's instruction loop.

rp2040py advances both PIO blocks after each instruction. The Pico W's radio leaves a state machine enabled
for ever, stalled on its empty FIFO, so that every instruction of the guest pays for a call that does nothing.
Here a batch of instructions runs with the blocks that have something due; whatever could wake one of the
others (a register access, by the CPU or by DMA) ends the batch, and the next one looks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from rp2040py.execute_batch import execute_batch

NEVER_DUE = 1 << 62  # rp2040py's "no state machine of this block has anything to do"
_WAITS_OUTSIDE = (1, 4)  # stalled on a pin or an IRQ flag: these wake without a register access
_BASES = (0x50200, 0x50300)  # keys of PIO0 and PIO1 in rp2040py's table of peripherals


class PioGate:
    """Chooses the PIO blocks of each batch. `end_batch` is called when that choice has become wrong."""

    def __init__(self, mcu: Any, end_batch: Callable[[], None]) -> None:
        self._mcu = mcu
        self._blocks: list[Any] = list(mcu.pio)
        self._watched = [_Watched(block, end_batch) for block in self._blocks]
        mcu.peripherals.update(zip(_BASES, self._watched, strict=True))
        self._native = _native_loop()
        if self._native is not None:
            # The compiled loop takes its list of blocks and then the time, once, before its first
            # instruction. The list must be whole again by then: GPIO pins read their PIO outputs from it.
            self._native.time = SimpleNamespace(monotonic=self._monotonic)

    def awake(self) -> list[Any]:
        """Begin a batch: the blocks that it has to advance."""
        for watched in self._watched:
            watched.skipped = not _is_active(watched.block)
        return [watched.block for watched in self._watched if not watched.skipped]

    def run(self, batch: Any) -> None:
        """Run a batch by rp2040py's own loop."""
        if self._native is not None:
            self._mcu.pio = self.awake()
        execute_batch(batch, 1)

    def _monotonic(self) -> float:
        self._mcu.pio = self._blocks
        return time.monotonic()

    def quiet(self) -> bool:
        """Whether no PIO program has a step to make."""
        return not any(_is_active(block) for block in self._blocks)


class _Watched:
    """A PIO block as the bus sees it: each access is passed on, then it looks whether a block that the running batch
    leaves out (`skipped`) has woken.
    """

    def __init__(self, block: Any, end_batch: Callable[[], None]) -> None:
        self.block = block
        self.skipped = False
        self._end_batch = end_batch
        self._read, self._write = block.read_uint32, block.write_uint32_atomic

    def __getattr__(self, name: str) -> Any:
        return getattr(self.block, name)

    def read_uint32(self, offset: int) -> int:
        value: int = self._read(offset)
        if self.skipped and _is_active(self.block):
            self._end_batch()
        return value

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self._write(offset, value, atomic_type)
        if self.skipped and _is_active(self.block):
            self._end_batch()


def _is_active(block: Any) -> bool:
    if block.stopped:
        return False
    if block.next_due_fp < NEVER_DUE:
        return True
    for machine in block.machines:  # a loop, as it is quick: each access to a block that sleeps asks
        if machine.enabled and machine.waiting and machine.wait_type in _WAITS_OUTSIDE:
            return True
    return False


def _native_loop() -> Any:
    """The module of the compiled instruction loop, None where rp2040py runs in pure Python."""
    try:
        from rp2040py.native import _simulator
    except ImportError:
        return None
    return _simulator
