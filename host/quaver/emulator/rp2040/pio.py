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
        self._skipped: list[Any] = []
        for base, block in zip(_BASES, self._blocks, strict=True):
            mcu.peripherals[base] = _Watched(block, self, end_batch)
        self._native = _native_loop()
        if self._native is not None:
            # The compiled loop takes its list of blocks and then the time, once, before its first
            # instruction. The list must be whole again by then: GPIO pins read their PIO outputs from it.
            self._native.time = SimpleNamespace(monotonic=self._monotonic)

    def awake(self) -> list[Any]:
        """Begin a batch: the blocks that it has to advance."""
        awake = [block for block in self._blocks if _is_active(block)]
        self._skipped = [block for block in self._blocks if block not in awake]
        return awake

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

    def skips(self, block: Any) -> bool:
        """Whether the running batch leaves this block out although it has something to do now."""
        return block in self._skipped and _is_active(block)


class _Watched:
    """A PIO block as the bus sees it: each access is passed on, then the gate looks whether it woke."""

    def __init__(self, block: Any, gate: PioGate, end_batch: Callable[[], None]) -> None:
        self._block = block
        self._gate = gate
        self._end_batch = end_batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)

    def read_uint32(self, offset: int) -> int:
        value: int = self._block.read_uint32(offset)
        self._look()
        return value

    def write_uint32(self, offset: int, value: int) -> None:
        self._block.write_uint32(offset, value)
        self._look()

    def write_uint32_atomic(self, offset: int, value: int, atomic_type: int) -> None:
        self._block.write_uint32_atomic(offset, value, atomic_type)
        self._look()

    def _look(self) -> None:
        if self._gate.skips(self._block):
            self._end_batch()


def _is_active(block: Any) -> bool:
    if block.stopped:
        return False
    if block.next_due_fp < NEVER_DUE:
        return True
    return any(m.enabled and m.waiting and m.wait_type in _WAITS_OUTSIDE for m in block.machines)


def _native_loop() -> Any:
    """The module of the compiled instruction loop, None where rp2040py runs in pure Python."""
    try:
        from rp2040py.native import _simulator
    except ImportError:
        return None
    return _simulator
