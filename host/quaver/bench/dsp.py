"""What the vibration engine costs: its transforms, a block while it streams, what is left after the last sample.

The code is the firmware as it is shipped (.mpy). On the emulated Pico W the times are virtual, at 125 MHz: it knows no
flash cache misses, so silicon is a little slower around the transform's passes; these lie in RAM. On the unix board
they are this machine's own, and say nothing of a node.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from quaver.artifacts import Progress
from quaver.bench import Figure, float_fft
from quaver.errors import BoardError

SIZES = (256, 512, 1024, 2048, 4096)
_UG_PER_LSB = 488
_SAMPLES = 32768
_SHAFT_HZ = 29.95
_C_SIZES = (256, 512, 1024, 2048)
# The same kernel on the same emulator, as a native module that gcc made; shown where there is no compiler.
_ELSEWHERE_US = {256: 8870, 512: 19808, 1024: 43828, 2048: 96058}
_FFT_GOALS_US = {"assembly": {256: 290, 1024: 850, 2048: 2000}, "viper": {1024: 2200}}
_BLOCK_GOAL_US = 8000
_REST_GOAL_US = 60000
_MEMORY_GOAL = 48000
_RATIO_GOAL = 20

# A time is that of one call between two readings of ticks_us, less what the readings take, and the longest of three.
# The work does not depend on the samples, but for a microsecond in the search for their headroom.
_TIMES = """
import gc, time
from array import array
from dsp import fft
def clock(function, *arguments):
    longest = 0
    for _ in range(3):
        before = time.ticks_us()
        function(*arguments)
        longest = max(longest, time.ticks_diff(time.ticks_us(), before))
    return longest
def samples(n):
    src = array("h", bytes(2 * n))
    for i in range(n):
        src[i] = i * 40503 % 65536 - 32768
    return src
idle = clock(lambda src, out: None, None, None)
"""

_TRANSFORMS = """
from dsp import {passes} as used
fft.passes = used
for n in {sizes}:
    gc.collect()
    free = gc.mem_free()
    transform = fft.RFFT(n)
    gc.collect()
    tables = free - gc.mem_free()
    src = samples(n)
    out = array("i", bytes(4 * n))
    print((n, clock(transform.run, src, out) - idle, tables))
    transform = src = out = None
"""

# Calls what float_fft.c describes: a jump with the return address set, which asm_thumb has no instruction for. The
# four routines are numbers 0, 1, 2 and 11 of the bootrom's table of single-precision ones (RP2040 datasheet, 2.8.3.2).
_FLOAT = """
import gc, machine, math, micropython, uctypes
@micropython.asm_thumb
def call(r0, r1, r2, r3):
    mov(r4, r0)
    mov(r0, r1)
    mov(r1, r2)
    mov(r2, r3)
    bl(there)
    b(done)
    label(there)
    bx(r4)
    label(done)
with open("float_fft.bin", "rb") as file:
    code = bytearray(file.read())
entry = machine.mem16[0x16]
while machine.mem16[entry] != ord("S") | ord("F") << 8:
    entry += 4
table = machine.mem16[entry + 2]
start = uctypes.addressof(code)
for place, routine in enumerate((0, 1, 2, 11)):
    machine.mem32[start + 12 + 8 * place] = machine.mem32[table + 4 * routine]
for n in {sizes}:
    gc.collect()
    work = array("f", bytes(12 * n))
    for k in range(n // 2):
        work[2 * n + k] = math.sin(2 * math.pi * k / n)
        work[2 * n + n // 2 + k] = math.cos(2 * math.pi * k / n)
    src = samples(n)
    time_us = clock(call, start | 1, src, work, n) - idle
    transform = fft.RFFT(n)
    out = array("i", bytes(4 * n))
    scale = 2.0 ** -transform.run(src, out)
    largest = apart = 0.0
    for k in range(1, n // 2, n // 128):
        largest = max(largest, abs(work[k]), abs(work[n + k]))
        apart = max(apart, abs(out[2 * k] * scale - work[k]), abs(out[2 * k + 1] * scale - work[n + k]))
    print((n, time_us, apart / largest))
    work = src = transform = out = None
"""

# One measurement to learn from, one that is judged for the first time, and one as a node judges them all its life.
_ENGINE = """
import gc, time, micropython
gc.collect()
free = gc.mem_free()
from build import bearings, zones
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp.lines import Lines
from dsp.measurement import Measurement
ratios, limits = bearings.ratios("6205"), zones.limits(2, "rigid")
gc.collect()
code = free - gc.mem_free()
free = gc.mem_free()
m = Measurement({rate}, (2000, 5000), {count}, {shaft})
lines = Lines(ratios)
baseline = Baseline(1)
diagnosis = Diagnosis(baseline, limits)
gc.collect()
memory = free - gc.mem_free()
def measure():
    longest = whole = 0
    m.begin()
    with open("signal.bin", "rb") as file:
        wanted = m.n
        while wanted:
            file.readinto(memoryview(m.target)[m.at : m.at + m.left])
            micropython.heap_lock()
            before = time.ticks_us()
            wanted = m.take(m.left)
            taken = time.ticks_diff(time.ticks_us(), before)
            micropython.heap_unlock()
            longest = max(longest, taken)
            whole += taken
    gc.collect()
    gc.disable()
    free = gc.mem_free()
    t0 = time.ticks_us()
    m.finish({ug}, {rate})
    t1 = time.ticks_us()
    lines.run(m)
    t2 = time.ticks_us()
    diagnosis.run(m, lines, m.n / {rate})
    t3 = time.ticks_us()
    brief = free - gc.mem_free()
    gc.enable()
    gc.collect()
    return longest, whole * 512 // m.n, time.ticks_diff(t1, t0), time.ticks_diff(t2, t1), time.ticks_diff(t3, t2), brief
measure()
print(measure())
gc.collect()
free = gc.mem_free()
print(measure())
gc.collect()
print((code, memory, free - gc.mem_free()))
"""


def run_dsp(
    board: str, step: Callable[[str], None] = lambda said: None, progress: Progress | None = None
) -> list[Figure]:
    """Measure on "rp2040" or "unix"; the figures with goals, and those that explain them.

    step: told what is being measured. progress: as quaver.artifacts takes it. Raises BoardError and what a fetch or
    a build raises.
    """
    from quaver.build import firmware_files
    from quaver.build.tree import twins
    from quaver.emulator.board import Setup, open_board

    chip = board == "rp2040"
    name = "pico_w" if chip else "unix"
    files = {**firmware_files(name), **twins(name)}
    files.pop("main.py")  # the board is to be measured, not to be a node
    files["signal.bin"] = _signal()
    in_c = chip and float_fft.has_compiler()
    if in_c:
        step("compiling emlearn's FFT")
        files["float_fft.bin"] = float_fft.compile_float_fft(progress)
    step("starting the board")
    with open_board(f"{board}:", Setup(files=files, real_time=not chip)) as device:
        step("the measurement")
        engine = _numbers(device.exec(_filled(_ENGINE), timeout=300.0))
        device.reset(run=False)  # with a heap that the measurement has not been on
        device.exec(_TIMES, timeout=60.0)
        times: dict[str, dict[int, Any]] = {}
        for name, passes in (("assembly", "passes_thumb"), ("viper", "passes")):
            if name == "viper" or chip:
                step(f"the transform in {name}")
                said = device.exec(_TRANSFORMS.format(passes=passes, sizes=SIZES), timeout=120.0)
                times[name] = {line[0]: line[1:] for line in _numbers(said)}
        float_times: dict[int, Any] = {}
        if in_c:
            step("emlearn's transform")
            said = device.exec(_FLOAT.format(sizes=_C_SIZES), timeout=120.0)
            float_times = {line[0]: line[1:] for line in _numbers(said)}
    figures = _transform_figures(times, chip)
    figures += _engine_figures(engine, chip)
    if chip:
        figures += _float_figures(times, float_times)
    return figures


def _filled(program: str) -> str:
    from quaver.emulator.sensors.iis3dwb import ODR_HZ

    for name, value in (("rate", ODR_HZ), ("count", _SAMPLES), ("shaft", _SHAFT_HZ), ("ug", _UG_PER_LSB)):
        program = program.replace("{" + name + "}", str(value))
    return program


def _signal() -> bytes:
    """A measurement of the modelled machine with a damaged outer race: all lines are there to be searched."""
    from quaver.emulator.sensors.iis3dwb import ODR_HZ
    from quaver.recordings.sources import Machine

    vertical = Machine(fault="outer").samples(0, ODR_HZ, 0, _SAMPLES)[:, 2]
    return np.clip(np.round(vertical * 1e6 / _UG_PER_LSB), -32768, 32767).astype("<i2").tobytes()


def _numbers(said: str) -> list[tuple[Any, ...]]:
    try:
        return [tuple(ast.literal_eval(line)) for line in said.strip().splitlines()]
    except (SyntaxError, ValueError) as error:
        raise BoardError(f"the board printed {said[:60]!r} in place of its figures: report it") from error


def _transform_figures(times: Mapping[str, Mapping[int, Any]], chip: bool) -> list[Figure]:
    figures = []
    for name, by_size in times.items():
        goals = _FFT_GOALS_US[name] if chip else {}
        for n, (time_us, _) in by_size.items():
            figures.append(Figure(f"RFFT of {n:,} samples, {name}", time_us, "us", goals.get(n)))
    return figures


def _engine_figures(engine: list[tuple[Any, ...]], chip: bool) -> list[Figure]:
    (longest, mean, finish, lines, judged, brief), (code, memory, kept) = engine[-2:]

    def goal(number: float) -> float | None:
        return number if chip else None

    return [
        Figure("a block of 512 samples, the longest", longest, "us", goal(_BLOCK_GOAL_US)),
        Figure("a block of 512 samples, the mean", mean, "us"),
        Figure("after the last sample", finish + lines + judged, "us", goal(_REST_GOAL_US)),
        Figure("  of which the spectra and features", finish, "us"),
        Figure("  of which the bearing's lines", lines, "us"),
        Figure("  of which the verdict", judged, "us"),
        Figure("working memory", memory, "B", goal(_MEMORY_GOAL)),
        Figure("its code, loaded", code, "B"),
        Figure("allocated while it streams", 0, "B", 0, note="the heap was locked"),
        Figure("kept from one measurement to the next", kept, "B", 0),
        Figure("short-lived, after the last sample", brief, "B"),
    ]


def _float_figures(times: Mapping[str, Mapping[int, Any]], measured: Mapping[int, Any]) -> list[Figure]:
    """emlearn's times, and how many times ours they are."""
    figures = []
    if measured:
        apart = max(apart for _, apart in measured.values())
        note = (
            f"Clang -O3 and the bootrom's float, on the samples of ours; the bins agree to {apart:.0e} of the largest"
        )
    else:
        note = "gcc and the bootrom's float, measured earlier, not now; to measure it: pip install quaver[bench]"
    for n in _C_SIZES:
        in_c = measured[n][0] if measured else _ELSEWHERE_US[n]
        figures.append(Figure(f"emlearn's C float FFT of {n:,}", in_c, "us", note=note))
        for name, by_size in times.items():
            goal = _RATIO_GOAL if (name, n) == ("assembly", 1024) else None
            figures.append(Figure(f"  it over ours in {name}", round(in_c / by_size[n][0], 1), "x", goal, True))
    return figures
