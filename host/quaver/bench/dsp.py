"""What the vibration engine costs: its transforms, a block while it streams, what is left after the last sample.

The code is the firmware as it is shipped (.mpy). On the emulated Pico W the times are virtual, at 125 MHz: it knows no
flash cache misses, so silicon is a little slower around the transform's passes; these lie in RAM. On the emulated
ESP32-C3 they are virtual too, at 160 MHz. On the unix board they are this machine's own, and say nothing of a node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quaver.bench import Figure, transforms
from quaver.bench.c_transforms import C_TRANSFORMS, has_compiler
from quaver.board.guest import guest
from quaver.files.pinned import Progress

_UG_PER_LSB = 488
_SAMPLES = 32768
_SHAFT_HZ = 29.95
_BLOCK_GOAL_US = 8000
_REST_GOAL_US = 80000
_MEMORY_GOAL = 48000


def run_dsp(
    board: str, step: Callable[[str], None] = lambda said: None, progress: Progress | None = None
) -> list[Figure]:
    """Measure on "rp2040", "esp32_c3" or "unix"; the figures with goals, and those that explain them.

    step: told what is being measured. progress: as quaver.artifacts takes it. Raises BoardError and what a fetch or
    a build raises.
    """
    from quaver.board.spec import load_board
    from quaver.build import firmware_files
    from quaver.build.tree import with_twins
    from quaver.emulator.setup import Setup
    from quaver.emulator.targets import open_board

    chip = board != "unix"  # else its times are this machine's
    name = {"rp2040": "pico_w"}.get(board, board)
    assembly = load_board(name).silicon.assembler is not None
    c_transforms = C_TRANSFORMS if assembly and has_compiler() else ()
    if c_transforms:
        step("compiling the transforms in C")
    files = {**with_twins(firmware_files(name), name), **transforms.board_files(c_transforms, progress)}
    files.pop("main.py")  # the board is to be measured, not to be a node
    files["signal.bin"] = _signal()
    step("starting the board")
    with open_board(f"{board}:", Setup(files=files, real_time=not chip)) as device:
        step("the measurement")
        engine = transforms.numbers(device.exec(_engine(), timeout=300.0))
        device.reset(run=False)  # with a heap that the measurement has not been on
        device.exec("import packs\npacks.mount()")  # if boot.py could not
        transforms.prepare(device)
        ours = {}
        for kind in ("assembly", "viper") if assembly else ("viper",):
            step(f"the transform in {kind}")
            ours[kind] = transforms.measure(device, kind)
        theirs = {}
        for each in c_transforms:
            step(each.title)
            theirs[each] = transforms.measure_c(device, each)
    return transforms.figures(ours, theirs, chip) + _engine_figures(engine, chip)


def _engine() -> str:
    from quaver.emulator.sensors.iis3dwb import ODR_HZ

    return guest(__file__, "engine", rate=ODR_HZ, count=_SAMPLES, shaft=_SHAFT_HZ, ug=_UG_PER_LSB)


def _signal() -> bytes:
    """A measurement of the modelled machine with a damaged outer race: all lines are there to be searched."""
    from quaver.emulator.sensors.iis3dwb import ODR_HZ
    from quaver.recordings.sources import Machine

    vertical = Machine(fault="outer").samples(0, ODR_HZ, 0, _SAMPLES)[:, 2]
    return np.clip(np.round(vertical * 1e6 / _UG_PER_LSB), -32768, 32767).astype("<i2").tobytes()


def _engine_figures(engine: list[tuple[Any, ...]], chip: bool) -> list[Figure]:
    (longest, mean, finish, lines, judged, brief), (code, memory, kept), tracked, (trend, _) = engine[-4:]

    def goal(number: float) -> float | None:
        return number if chip else None

    return [
        Figure("a block of 512 samples, the longest", longest, "us", goal(_BLOCK_GOAL_US)),
        Figure("a block of 512 samples, the mean", mean, "us"),
        Figure("after the last sample", finish + lines + judged, "us", goal(_REST_GOAL_US)),
        Figure("  of which the spectra and features", finish, "us"),
        Figure("  of which the bearing's lines", lines, "us"),
        Figure("  of which the verdict", judged, "us"),
        Figure(
            "after the last sample, with the two below", tracked[2] + lines + judged + trend, "us", goal(_REST_GOAL_US)
        ),
        Figure("order tracking, where the speed changes", tracked[2] - finish, "us", note="comes on top"),
        Figure("a trend, with all its means", trend, "us", note="comes on top, where its features rise"),
        Figure("working memory", memory, "B", goal(_MEMORY_GOAL)),
        Figure("its code, loaded", code, "B"),
        Figure("allocated while it streams", 0, "B", 0, note="the heap was locked"),
        Figure("kept from one measurement to the next", kept, "B", 0),
        Figure("short-lived, after the last sample", brief, "B"),
    ]
