"""Runs the guest's instructions in bursts of compiled code, and one by one where the emulated hardware takes part.

Nearly all instructions touch registers and memory alone. `burst.c` runs those, without a look at anything else
between them, up to the next event of the emulated hardware; the one instruction that it stops at, and every one
while an exception may be due, is rp2040py's. Nothing happens at another cycle than it would.

Both work on one set of registers and memories, rp2040py's. The flags go over and back with each burst. The
hardware divider and the spinlocks, which the guest uses all the time, are kept in the C side's structure, and
rp2040py's block reads and writes them there.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

from rp2040py.sio import RPSIO

from quaver.emulator.rp2040.native import Burst
from quaver.emulator.rp2040.pio import NEVER_DUE, PioGate

_CYCLE_NS = 8.0  # rp2040py's clock is at 125 MHz whatever the guest sets up
_LONGEST = 1 << 17  # cycles of a burst: well below the time between two looks at the host's events
_BATCH_S = 0.005
_CLK_SYS_CTRL = 0x3C  # bit 0: by a PLL; in a light sleep it is the crystal's (RP2040 datasheet, 2.15.7)
_MARGIN_NS = 0.001  # the gap to an alarm is a rounded difference: rather a burst too short than one too long
_DIVISION_CYCLES = 8  # counted by rp2040py, though they take no time


class _Chip(ctypes.Structure):
    """`struct chip` of burst.c."""

    _fields_ = (
        ("registers", ctypes.c_void_p),
        ("bootrom", ctypes.c_void_p),
        ("flash", ctypes.c_void_p),
        ("sram", ctypes.c_void_p),
        ("bootrom_size", ctypes.c_uint32),
        ("flash_size", ctypes.c_uint32),
        ("sram_size", ctypes.c_uint32),
        ("apsr", ctypes.c_uint32),
        ("primask", ctypes.c_uint32),
        ("settled", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("divisions", ctypes.c_uint32),
        ("dividend", ctypes.c_uint32),
        ("divisor", ctypes.c_uint32),
        ("quotient", ctypes.c_uint32),
        ("remainder", ctypes.c_uint32),
        ("divider_csr", ctypes.c_uint32),
        ("spinlocks", ctypes.c_uint32),
    )


class Bursts:
    """Runs batches of one chip's instructions, in place of rp2040py's loop and with the same result."""

    def __init__(self, mcu: Any, gate: PioGate, burst: Burst) -> None:
        self._mcu = mcu
        self.light_sleep_ns = 0.0
        self._clocks = mcu.clocks
        self._gate = gate
        self._burst = burst
        self._chip = _Chip()
        self._address = ctypes.addressof(self._chip)
        for name, memory in (
            ("registers", mcu.core.registers),
            ("bootrom", mcu.bootrom),
            ("flash", mcu.flash),
            ("sram", mcu.sram),
        ):
            view = memoryview(memory).cast("B")
            setattr(self._chip, name, ctypes.addressof(ctypes.c_char.from_buffer(view)))
            if name != "registers":
                setattr(self._chip, f"{name}_size", view.nbytes)
        _share(mcu.sio, self._chip)

    def run(self, batch: Any) -> None:
        """Run until `batch.stopped`, or for 5 ms. batch: as rp2040py's `execute_batch` takes it."""
        core, clock = self._mcu.core, self._mcu.clock
        if self._mcu.run_pin_low:
            return
        blocks = self._gate.awake()
        end = time.monotonic() + _BATCH_S
        while not batch.stopped and time.monotonic() < end:
            if core.waiting:
                gap = clock.nanos_to_next_alarm
                if not self._clocks.read_uint32(_CLK_SYS_CTRL) & 1:
                    self.light_sleep_ns += gap
                clock.tick(gap)
                cycles = int(gap / _CYCLE_NS) or 1
            elif not core.interrupts_updated and self._run_burst(blocks):
                continue
            else:
                cycles = core.execute_instruction()
                clock.tick(cycles * _CYCLE_NS)
            for block in blocks:
                if not block.stopped:
                    block.advance(cycles)

    def _run_burst(self, blocks: list[Any]) -> bool:
        """Up to the next event of the clock or of these PIO blocks; whether it came so far, or to an instruction that
        is rp2040py's. Nothing but an event changes what the loop looks at.
        """
        core, clock, chip = self._mcu.core, self._mcu.clock, self._chip
        limit = _LONGEST
        if clock.has_scheduled_alarm:
            limit = min(limit, int((clock.nanos_to_next_alarm - _MARGIN_NS) / _CYCLE_NS) + 1)
        for block in blocks:
            if not block.stopped and block.next_due_fp < NEVER_DUE:
                limit = min(limit, (block.next_due_fp - block.cycle_fp + 255) >> 8)
        limit = max(1, limit)
        masked = core.pm
        chip.apsr = core.apsr
        chip.primask = masked
        chip.settled = not (
            core.pending_interrupts & core.enabled_interrupts
            or core.pending_nmi
            or core.pending_svcall
            or core.pending_systick
            or core.pending_pend_sv
        )
        cycles = self._burst(self._address, limit)
        if not cycles:
            return False
        core.apsr = chip.apsr
        core.cycles += cycles + _DIVISION_CYCLES * chip.divisions
        if chip.primask != masked:
            core.pm = bool(chip.primask)
        clock.tick(cycles * _CYCLE_NS)
        for block in blocks:
            if not block.stopped:
                block.advance(cycles)
        return cycles >= limit


def _kept(name: str) -> property:
    def read(block: _SharedSio) -> int:
        value: int = getattr(block.chip, name)
        return value

    def write(block: _SharedSio, value: float) -> None:  # rp2040py has fractions for quotients, cut off when read
        setattr(block.chip, name, int(value) & 0xFFFFFFFF)

    return property(read, write)


class _SharedSio(RPSIO):  # type: ignore[misc, unused-ignore]
    """The single-cycle I/O block, with what bursts know of it in their structure."""

    chip: _Chip
    div_dividend = _kept("dividend")
    div_divisor = _kept("divisor")
    div_quotient = _kept("quotient")
    div_remainder = _kept("remainder")
    div_csr = _kept("divider_csr")
    spin_lock = _kept("spinlocks")


def _share(sio: Any, chip: _Chip) -> None:
    """Make an RPSIO a _SharedSio where it is: others hold it already."""
    state = dict(vars(sio))
    sio.chip = chip
    sio.__class__ = _SharedSio
    for name, value in state.items():
        setattr(sio, name, value)
