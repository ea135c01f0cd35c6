"""Runs the guest's instructions in bursts of compiled code, and one by one where the emulated hardware takes part.

Nearly all instructions touch registers and memory alone. `burst.c` runs those, without a look at anything else
between them, up to the next event of the emulated hardware. Where one loads or stores a word of a peripheral, that word
goes between it and rp2040py's block here, and the burst goes on. Another instruction that it stops at, and every one
while an exception may be due, is rp2040py's. Nothing happens at another cycle than it would.

Both work on one set of registers and memories, rp2040py's. The flags go over and back around the instructions that are
rp2040py's. The hardware divider and the spinlocks, which the guest uses all the time, are kept in the C side's
structure, and rp2040py's block reads and writes them there; so is what `Spin` counts.
"""

from __future__ import annotations

import ctypes
import struct
import time
from typing import Any

from rp2040py.sio import RPSIO

from quaver.emulator.rp2040.native import Burst
from quaver.emulator.rp2040.pio import NEVER_DUE, PioGate
from quaver.emulator.rp2040.spin import Spin

_CYCLE_NS = 8.0  # as in burst.c
_LONGEST = 1 << 17  # cycles of a burst: well below the time between two looks at the host's events
_MOST = 256  # bursts in a row, likewise
_BATCH_S = 0.005
_CLK_SYS_CTRL = 0x3C  # bit 0: by a PLL; in a light sleep it is the crystal's (RP2040 datasheet, 2.15.7)
_LIMIT, _OTHER, _LOADS = range(3)  # `enum stop` of burst.c; else it stores
_FOR_BURST = struct.Struct("=ddII")  # what `struct chip` begins with: nanos to ran
_OF_BURST = struct.Struct("=IQ6I")  # what follows, with ran: to took


class _Chip(ctypes.Structure):
    """`struct chip` of burst.c."""

    _fields_ = (
        ("nanos", ctypes.c_double),
        ("gap", ctypes.c_double),
        ("loaded", ctypes.c_uint32),
        ("ran", ctypes.c_uint32),
        ("cycles", ctypes.c_uint64),
        ("primask", ctypes.c_uint32),
        ("block", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
        ("atomic", ctypes.c_uint32),
        ("operand", ctypes.c_uint32),
        ("took", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("steady", ctypes.c_uint32),
        ("apsr", ctypes.c_uint32),
        ("settled", ctypes.c_uint32),
        ("longest", ctypes.c_uint32),
        ("bootrom_size", ctypes.c_uint32),
        ("flash_size", ctypes.c_uint32),
        ("sram_size", ctypes.c_uint32),
        ("registers", ctypes.c_void_p),
        ("bootrom", ctypes.c_void_p),
        ("flash", ctypes.c_void_p),
        ("sram", ctypes.c_void_p),
        ("timer_epoch", ctypes.c_double),
        ("began", ctypes.c_double),
        ("read_cycles", ctypes.c_uint64),
        ("reads", ctypes.c_uint32),
        ("dividend", ctypes.c_uint32),
        ("divisor", ctypes.c_uint32),
        ("quotient", ctypes.c_uint32),
        ("remainder", ctypes.c_uint32),
        ("divider_csr", ctypes.c_uint32),
        ("spinlocks", ctypes.c_uint32),
    )


_RAN = _Chip.ran.offset


class Bursts:
    """Runs batches of one chip's instructions, in place of rp2040py's loop and with the same result."""

    def __init__(self, mcu: Any, gate: PioGate, burst: Burst, spin: Spin | None = None) -> None:
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
        self._fields = memoryview(self._chip).cast("B")
        self._registers = memoryview(mcu.core.registers)
        _share(mcu.sio, self._chip)
        if spin is not None:
            spin.counts = self._chip

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
            elif not core.interrupts_updated and self._run_bursts(batch, blocks):
                continue
            else:
                cycles = core.execute_instruction()
                clock.tick(cycles * _CYCLE_NS)
            for block in blocks:
                if not block.stopped:
                    block.advance(cycles)

    def _run_bursts(self, batch: Any, blocks: list[Any]) -> bool:
        """Up to the next event of the clock or of these PIO blocks, or to what an access changes of the things that the
        loop looks at: True; or to an instruction that is rp2040py's: False.
        """
        core, clock, chip, fields = self._mcu.core, self._mcu.clock, self._chip, self._fields
        burst, address, pack, unpack = self._burst, self._address, _FOR_BURST.pack_into, _OF_BURST.unpack_from
        peripherals, registers = self._mcu.peripherals, self._registers
        chip.apsr = core.apsr
        chip.primask = masked = core.pm
        chip.settled = not (
            core.pending_interrupts & core.enabled_interrupts
            or core.pending_nmi
            or core.pending_svcall
            or core.pending_systick
            or core.pending_pend_sv
        )
        chip.cycles = core.cycles
        chip.timer_epoch = self._mcu.timer._epoch_nanos
        chip.longest = _LONGEST
        chip.steady = loaded = ran = 0
        for _ in range(_MOST):
            if blocks:
                chip.longest = self._to_step(blocks)
            pack(fields, 0, clock.nanos, clock.nanos_to_next_alarm, loaded, ran)  # the batch's end is an alarm
            stop = burst(address)
            ran, core.cycles, primask, number, offset, atomic, operand, took = unpack(fields, _RAN)
            if primask != masked:
                core.pm = masked = primask
            if stop <= _OTHER:
                break
            # Before the next event, so that nothing happens meanwhile.
            clock.tick(ran * _CYCLE_NS)
            for block in blocks:
                if not block.stopped:
                    block.advance(ran)
            if stop == _LOADS:
                registers[operand] = loaded = peripherals[number].read_uint32(offset) & 0xFFFFFFFF
            else:
                peripherals[number].write_uint32_atomic(offset, operand, atomic)
            ran = took  # which pass after the access: with the next burst
            if core.interrupts_updated or batch.stopped:
                stop = _LIMIT
                core.cycles += ran
                break
        else:
            stop = _LIMIT
            core.cycles += ran
        core.apsr = chip.apsr
        if ran:
            clock.tick(ran * _CYCLE_NS)
            for block in blocks:
                if not block.stopped:
                    block.advance(ran)
        return stop == _LIMIT

    @staticmethod
    def _to_step(blocks: list[Any]) -> int:
        """Cycles up to the next step of a PIO program, at least 1."""
        longest = _LONGEST
        for block in blocks:
            if not block.stopped and block.next_due_fp < NEVER_DUE:
                longest = min(longest, (block.next_due_fp - block.cycle_fp + 255) >> 8)
        return max(1, longest)


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
