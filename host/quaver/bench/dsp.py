"""What the vibration engine costs: its transforms, a block while it streams, what is left after the last sample.

The code is the firmware as it is shipped (.mpy). On the emulated Pico W the times are virtual, at 125 MHz: it knows no
flash cache misses, so silicon is a little slower around the transform's passes; these lie in RAM. On the emulated
ESP32-C3 they are virtual too, at 160 MHz. On the unix board they are this machine's own, and say nothing of a node.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from quaver.bench import Figure, float_fft
from quaver.board.guest import guest
from quaver.errors import BoardError
from quaver.files.pinned import Progress

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


def run_dsp(
    board: str, step: Callable[[str], None] = lambda said: None, progress: Progress | None = None
) -> list[Figure]:
    """Measure on "rp2040", "esp32_c3" or "unix"; the figures with goals, and those that explain them.

    step: told what is being measured. progress: as quaver.artifacts takes it. Raises BoardError and what a fetch or
    a build raises.
    """
    from quaver.board.spec import load_board
    from quaver.build import firmware_files
    from quaver.build.tree import twins
    from quaver.emulator.setup import Setup
    from quaver.emulator.targets import open_board

    chip = board != "unix"  # else its times are this machine's
    name = {"rp2040": "pico_w"}.get(board, board)
    assembly = load_board(name).silicon.assembler is not None
    files = {**firmware_files(name), **twins(name)}
    files.pop("main.py")  # the board is to be measured, not to be a node
    files["signal.bin"] = _signal()
    in_c = assembly and float_fft.has_compiler()
    if in_c:
        step("compiling emlearn's FFT")
        files["float_fft.bin"] = float_fft.compile_float_fft(progress)
    step("starting the board")
    with open_board(f"{board}:", Setup(files=files, real_time=not chip)) as device:
        step("the measurement")
        engine = _numbers(device.exec(_engine(), timeout=300.0))
        device.reset(run=False)  # with a heap that the measurement has not been on
        device.exec(guest(__file__, "times"), timeout=60.0)
        times: dict[str, dict[int, Any]] = {}
        for name, passes in (("assembly", "passes_thumb"), ("viper", "passes")):
            if name == "viper" or assembly:
                step(f"the transform in {name}")
                said = device.exec(guest(__file__, "transforms", passes=passes, sizes=SIZES), timeout=120.0)
                times[name] = {line[0]: line[1:] for line in _numbers(said)}
        float_times: dict[int, Any] = {}
        if in_c:
            step("emlearn's transform")
            said = device.exec(guest(__file__, "float_transforms", sizes=_C_SIZES), timeout=120.0)
            float_times = {line[0]: line[1:] for line in _numbers(said)}
    figures = _transform_figures(times, chip)
    figures += _engine_figures(engine, chip)
    if assembly:
        figures += _float_figures(times, float_times)
    return figures


def _engine() -> str:
    from quaver.emulator.sensors.iis3dwb import ODR_HZ

    return guest(__file__, "engine", rate=ODR_HZ, count=_SAMPLES, shaft=_SHAFT_HZ, ug=_UG_PER_LSB)


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
        raise BoardError(f"the board printed {said[:60]!r} instead of its figures: report it") from error


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
