"""The emulated chip in bursts of compiled code against the same chip run by rp2040py alone: nothing may differ."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rp2040py.execute_batch import execute_batch
from rp2040py.rp2040 import RP2040

from quaver.emulator.rp2040 import native
from quaver.emulator.rp2040.burst import Bursts
from quaver.emulator.rp2040.dispatch import SilentLogger

SRAM, FLASH, BOOTROM, SIO = 0x20000000, 0x10000000, 0, 0xD0000000
CODE, DATA, STACK = 0x20001000, 0x20004000, 0x20008000
SIZE = 0x1000  # of each of the three
EDGES = (
    0,
    1,
    2,
    3,
    4,
    31,
    32,
    33,
    64,
    255,
    256,
    0x7FFFFFFF,
    0x80000000,
    0x80000001,
    0xFFFFFF00,
    0xFFFFFFFE,
    0xFFFFFFFF,
)
_SOFTWARE_IRQ = 27  # from 26 on no hardware holds them up
_INSTR_MEM0, _SM0_CLKDIV, _CTRL = 0x48, 0xC8, 0x00  # RP2040 datasheet, 3.7
# Of TIMER (TIMERAWH, TIMERAWL), SPI0 (SSPDR, SSPSR), PADS_BANK0 (GPIO0, and where bits of it are set) and DMA (INTE0,
# far from what starts a transfer): RP2040 datasheet, 4.6.5, 4.4.4, 2.19.6.3 and 2.5.7.
PERIPHERALS = (0x40054024, 0x40054028, 0x4003C008, 0x4003C00C, 0x4001C004, 0x4001E004, 0x50000404)
WRITTEN = (0x4001C004, 0x50000404)  # of these, what a store to them leaves
SIO_REGISTERS = (0x000, 0x060, 0x064, 0x068, 0x06C, 0x070, 0x074, 0x078, 0x100, 0x104, 0x17C)

# The first bits of each encoding, and its second half where it has one; ARM DDI 0419, A5.2 and A5.3.
ENCODINGS = {
    "LSL (immediate)": "00000",
    "LSR (immediate)": "00001",
    "ASR (immediate)": "00010",
    "ADD (register) T1": "0001100",
    "SUB (register)": "0001101",
    "ADD (immediate) T1": "0001110",
    "SUB (immediate) T1": "0001111",
    "MOV (immediate)": "00100",
    "CMP (immediate)": "00101",
    "ADD (immediate) T2": "00110",
    "SUB (immediate) T2": "00111",
    "AND": "0100000000",
    "EOR": "0100000001",
    "LSL (register)": "0100000010",
    "LSR (register)": "0100000011",
    "ASR (register)": "0100000100",
    "ADC": "0100000101",
    "SBC": "0100000110",
    "ROR": "0100000111",
    "TST": "0100001000",
    "RSB": "0100001001",
    "CMP (register) T1": "0100001010",
    "CMN": "0100001011",
    "ORR": "0100001100",
    "MUL": "0100001101",
    "BIC": "0100001110",
    "MVN": "0100001111",
    "ADD (register) T2": "01000100",
    "CMP (register) T2": "01000101",
    "MOV (register)": "01000110",
    "BX": "010001110....000",
    "BLX": "010001111....000",
    "LDR (literal)": "01001",
    "STR (register)": "0101000",
    "STRH (register)": "0101001",
    "STRB (register)": "0101010",
    "LDRSB": "0101011",
    "LDR (register)": "0101100",
    "LDRH (register)": "0101101",
    "LDRB (register)": "0101110",
    "LDRSH": "0101111",
    "STR (immediate)": "01100",
    "LDR (immediate)": "01101",
    "STRB (immediate)": "01110",
    "LDRB (immediate)": "01111",
    "STRH (immediate)": "10000",
    "LDRH (immediate)": "10001",
    "STR (SP)": "10010",
    "LDR (SP)": "10011",
    "ADR": "10100",
    "ADD (SP) T1": "10101",
    "ADD (SP) T2": "101100000",
    "SUB (SP)": "101100001",
    "SXTH": "1011001000",
    "SXTB": "1011001001",
    "UXTH": "1011001010",
    "UXTB": "1011001011",
    "PUSH": "1011010",
    "CPS": "10110110011.0010",
    "REV": "1011101000",
    "REV16": "1011101001",
    "REVSH": "1011101011",
    "POP": "1011110",
    "NOP": "1011111100000000",
    "STM": "11000",
    "LDM": "11001",
    "B T1": "1101",
    "B T2": "11100",
    "BL": "11110........... 11.1............",
    "MRS": "1111001111101111 1000....00010000",
    "MSR": "111100111000.... 1000100000010000",
    "DMB": "1111001110111111 1000111101011111",
}


class Chip:
    """One emulated chip. run: rp2040py's loop, or that of the bursts."""

    def __init__(self, bursts: bool) -> None:
        self.mcu: Any = RP2040()
        self.mcu.logger = SilentLogger()
        self.run: Callable[[Any], None] = lambda batch: execute_batch(batch, 1)
        self.in_bursts = 0  # instructions
        if bursts:
            burst = native.load_burst()
            assert burst is not None, "there is no C compiler"

            def counted(address: int) -> int:
                stop = burst(address)
                self.in_bursts += loop._chip.instructions
                return stop

            gate: Any = SimpleNamespace(awake=lambda: [block for block in self.mcu.pio if not block.stopped])
            loop = Bursts(self.mcu, gate, counted)
            self.run = loop.run
        self.batch = SimpleNamespace(rp2040=self.mcu, clock=self.mcu.clock, stopped=False)
        self.alarm = self.mcu.clock.create_alarm(lambda: setattr(self.batch, "stopped", True))

    def begin(self, state: dict[str, Any], memory: dict[int, bytes]) -> None:
        core = self.mcu.core
        core.reset()
        for number, value in enumerate(state["registers"]):
            core.registers[number] = value
        core.apsr, core.pm = state["apsr"], state["pm"]
        sio = self.mcu.sio  # its reset takes far longer, most of it for what no burst touches
        sio.div_dividend = sio.div_quotient = sio.div_remainder = sio.div_csr = sio.spin_lock = 0
        sio.div_divisor = 1
        for start in (CODE, DATA, STACK):
            self.mcu.sram[start - SRAM : start - SRAM + SIZE] = memory[start]
        self.mcu.flash[:SIZE] = memory[FLASH]
        self.in_bursts = 0

    def cycles(self, count: int) -> None:
        """Run to the end of the instruction in which this many cycles have passed."""
        self.alarm.schedule(8 * count)
        self.batch.stopped = False
        while not self.batch.stopped:
            self.run(self.batch)

    def state(self) -> dict[str, Any]:
        core, sio = self.mcu.core, self.mcu.sio
        return {
            "registers": memoryview(core.registers).tobytes()[::-1].hex(" ", 4),  # from R15 down
            "apsr": hex(core.apsr),
            "system": (core.pm, core.ipsr, core.waiting, core.event_registered, core.pending_interrupts),
            "cycles": core.cycles,
            "nanos": self.mcu.clock.nanos,
            "divider": [
                int(value) & 0xFFFFFFFF
                for value in (sio.div_dividend, sio.div_divisor, sio.div_quotient, sio.div_remainder, sio.div_csr)
            ],
            "spinlocks": sio.spin_lock,
            "peripherals": [hex(self.mcu.read_uint32(address)) for address in WRITTEN],
            "sram": bytes(self.mcu.sram[CODE - SRAM : STACK - SRAM + SIZE]),
        }

    def memory(self) -> bytes:
        """All of it: `begin` lays no more than the part that `state` shows."""
        return bytes(self.mcu.sram)


@pytest.fixture(scope="module")
def plain() -> Chip:
    return Chip(bursts=False)


@pytest.fixture(scope="module")
def fast() -> Chip:
    return Chip(bursts=True)


def some(rng: random.Random, name: str) -> bytes:
    """One instruction of this encoding, its open bits at random."""
    code = b""
    for half in ENCODINGS[name].split():
        bits = half.ljust(16, ".")
        fixed, is_open = int(bits.replace(".", "0"), 2), int(bits.replace("1", "0").replace(".", "1"), 2)
        code += (fixed | rng.getrandbits(16) & is_open).to_bytes(2, "little")
    return code


def any_memory(rng: random.Random, code: Callable[[], bytes]) -> dict[int, bytes]:
    # Return addresses on the stack, for what POP takes off it.
    words = [rng.choice((CODE + rng.randrange(SIZE) | 1, any_value(rng))) for _ in range(SIZE // 4)]
    memory = {DATA: rng.randbytes(SIZE), STACK: b"".join(word.to_bytes(4, "little") for word in words)}
    for start in (CODE, FLASH):
        text = b""
        while len(text) < SIZE:
            text += code()
        memory[start] = text[:SIZE]
    return memory


def any_value(rng: random.Random) -> int:
    """What a register may hold: mostly something to load from, else something to compute with."""
    kind = rng.random()
    if kind < 0.4:
        return rng.randrange(DATA + 0x100, DATA + SIZE - 0x100, rng.choice((1, 2, 4, 4, 4)))
    if kind < 0.5:
        return rng.choice((FLASH, BOOTROM)) + rng.randrange(0, 0x800, 4)
    if kind < 0.57:
        return SIO + rng.choice(SIO_REGISTERS)
    if kind < 0.62:
        return rng.choice(PERIPHERALS)
    if kind < 0.7:
        return CODE + rng.randrange(SIZE)
    if kind < 0.8:
        return rng.randrange(0, 64, 2)  # an offset
    return rng.choice(EDGES) if kind < 0.9 else rng.getrandbits(32)


def any_state(rng: random.Random) -> dict[str, Any]:
    registers = [any_value(rng) for _ in range(16)]
    registers[13] = rng.randrange(STACK + 0x200, STACK + SIZE - 0x200, 4)
    registers[15] = rng.choice((CODE, CODE, FLASH)) + (rng.random() < 0.1)
    return {"registers": registers, "apsr": rng.getrandbits(4) << 28, "pm": rng.random() < 0.5}


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_instruction_does_the_same_in_a_burst(name: str, plain: Chip, fast: Chip) -> None:
    rng = random.Random(name)
    memory = any_memory(rng, lambda: bytes(2))
    taken = 0
    for _ in range(400):
        code = some(rng, name)
        memory[CODE] = memory[FLASH] = code + bytes(SIZE - len(code))
        state = any_state(rng)
        for chip in (plain, fast):
            chip.begin(state, memory)
            chip.cycles(1)
        assert fast.state() == plain.state(), code.hex()
        taken += fast.in_bursts
    assert fast.memory() == plain.memory()
    assert taken >= 20  # what was not was left to rp2040py


def test_programs_do_the_same_in_bursts(plain: Chip, fast: Chip) -> None:
    rng = random.Random(1)
    taken = 0
    for _ in range(40):
        memory = any_memory(rng, lambda: some(rng, rng.choice(list(ENCODINGS))))
        for _ in range(50):
            state = any_state(rng)
            state["registers"][15] += rng.randrange(0, SIZE, 2)
            for chip in (plain, fast):
                chip.begin(state, memory)
            for count in (rng.randrange(1, 12), 30, 100):
                for chip in (plain, fast):
                    chip.cycles(count)
                assert fast.state() == plain.state()
            taken += fast.in_bursts
    assert fast.memory() == plain.memory()
    assert taken > 40 * 50 * 10


def test_peripherals_are_read_and_written_at_the_same_cycle(plain: Chip, fast: Chip) -> None:
    code = assembled(
        0x6800,  # loop: ldr r0, [r0]: the timer
        0x6811,  # ldr r1, [r2]: SPI status
        0x6815,  # ldr r5, [r2]
        0x181B,  # adds r3, r3, r0
        0x6023,  # str r3, [r4]: the pad
        0x6826,  # ldr r6, [r4]
        0x683F,  # ldr r7, [r7]: time again
        0x19F6,  # adds r6, r6, r7
        0x4640,  # mov r0, r8
        0x4647,  # mov r7, r8
        0xE7F4,  # b loop
    )
    memory = {CODE: code.ljust(SIZE, b"\0"), FLASH: bytes(SIZE), DATA: bytes(SIZE), STACK: bytes(SIZE)}
    registers = [0x40054028, 0, 0x4003C00C, 0, 0x4001C004, 0, 0, 0x40054028, 0x40054028, *[0] * 4, STACK, 0, CODE]
    seen = set()
    for chip in (plain, fast):
        chip.begin({"registers": registers, "apsr": 0, "pm": False}, memory)
    for length in range(1, 300):
        for chip in (plain, fast):
            chip.cycles(length)
        assert fast.state() == plain.state()
        seen.add(fast.mcu.core.registers[3])
    assert len(seen) > 280
    assert fast.in_bursts > 8000  # of some 16,000


def test_exceptions_come_at_the_same_cycle(plain: Chip, fast: Chip) -> None:
    rng = random.Random(2)
    code = assembled(
        0xB672,  # loop: cpsid i
        0x1840,  # adds r0, r0, r1
        0x4348,  # muls r0, r1
        0x6010,  # str r0, [r2]
        0x681B,  # ldr r3, [r3]: the core's number
        0xB662,  # cpsie i
        0x1C64,  # adds r4, #1
        0xE7F7,  # b loop
    )
    handler = assembled(0xB510, 0x3501, 0x602C, 0xBD10)  # push {r4, lr}; adds r5, #1; str r4, [r5]; pop {r4, pc}
    code = code.ljust(SIZE // 2, b"\0") + handler
    vectors = (CODE + SIZE // 2 + 1).to_bytes(4, "little") * (SIZE // 4)
    memory = {CODE: code.ljust(SIZE, b"\0"), FLASH: bytes(SIZE), DATA: vectors, STACK: bytes(SIZE)}
    registers = [1, 3, STACK, SIO, 0, STACK - 1, *[0] * 7, STACK + SIZE, 0, CODE]
    calls = []
    for chip in (plain, fast):
        chip.begin({"registers": registers, "apsr": 0, "pm": False}, memory)
        chip.mcu.core.vtor = DATA
        chip.mcu.core.enabled_interrupts = 3 << _SOFTWARE_IRQ
    for _ in range(300):
        number, after, length = _SOFTWARE_IRQ + rng.randrange(2), rng.uniform(0, 1500), rng.randrange(1, 300)
        for chip in (plain, fast):
            alarm = chip.mcu.clock.create_alarm(lambda mcu=chip.mcu, number=number: mcu.set_interrupt(number, True))
            alarm.schedule(after)
            chip.cycles(length)
        assert fast.state() == plain.state()
        calls.append(fast.mcu.core.registers[5])
    assert calls[-1] - STACK > 250
    assert fast.in_bursts > 10000


def test_a_pio_program_steps_at_the_same_cycle(plain: Chip, fast: Chip) -> None:
    code = assembled(0x3001, 0x4348, 0xE7FC)  # loop: adds r0, #1; muls r0, r1; b loop
    memory = {CODE: code.ljust(SIZE, b"\0"), FLASH: bytes(SIZE), DATA: bytes(SIZE), STACK: bytes(SIZE)}
    steps = []
    for divider in (1 << 16, 5 << 15, 41 << 16, 1000 << 16):  # 16.8 fixed point
        for chip in (plain, fast):
            chip.begin({"registers": [1, 3, *[0] * 11, STACK, 0, CODE], "apsr": 0, "pm": False}, memory)
            pio = chip.mcu.pio[0]
            pio.reset()
            chip.mcu.simulator = object()  # or the block runs itself
            pio.write_uint32(_INSTR_MEM0, 0x0040)  # jmp x--, 0
            pio.write_uint32(_SM0_CLKDIV, divider)
            pio.machines[0].x = 1 << 20
            pio.write_uint32_atomic(_CTRL, 1, 0)
            chip.cycles(20_000)
        state = [(chip.state(), chip.mcu.pio[0].machines[0].x, chip.mcu.pio[0].cycle_fp) for chip in (plain, fast)]
        assert state[0] == state[1]
        steps.append((1 << 20) - state[0][1])
    assert steps[0] > steps[1] > steps[2] > steps[3] >= 20


def assembled(*halves: int) -> bytes:
    return b"".join(half.to_bytes(2, "little") for half in halves)


def test_the_official_image_boots_and_computes_the_same(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("rp2040_lockstep.py"), loop], stdout=subprocess.PIPE, text=True
        )
        for loop in ("plain", "bursts")
    ]
    plain, fast = (run.communicate(timeout=120)[0].splitlines() for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    for one, other in zip(plain, fast, strict=True):
        assert one == other
    assert "told: 20100 " in plain[-1]
