"""`quaver bench`: figures beside their goals, as a table and as JSON; and the engine's own, on the quick board."""

import dataclasses
import json

import numpy as np
import pytest

from quaver.bench import Figure, transforms
from quaver.bench.c_transforms import C_TRANSFORMS, CMSIS_DSP, KISSFFT, compile_transform
from quaver.build import firmware_files
from quaver.build.tree import with_twins
from quaver.cli import main
from quaver.cli.bench import COMMANDS, command, show
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import BuildError


def test_a_goal_is_a_ceiling_or_a_floor() -> None:
    assert Figure("time", 5, "us", 5).reached is True
    assert Figure("time", 6, "us", 5).reached is False
    assert Figure("ratio", 20, "x", 20, True).reached is True
    assert Figure("ratio", 19.9, "x", 20, True).reached is False
    assert Figure("time", 6, "us").reached is None


def test_a_missed_goal_is_as_plain_as_a_reached_one(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [
        Figure("good", 1, "us", 2),
        Figure("bad", 12345, "us", 2),
        Figure("  part", 3, "us", note="somewhere else"),
        Figure("more", 30, "x", 20, True, "somewhere else"),
    ]
    show("all of it", figures, as_json=False)
    shown = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in shown.splitlines() if "│" in line}
    assert "reached" in rows["good"] and "<= 2 us" in rows["good"]
    assert "missed" in rows["bad"] and "12,345 us" in rows["bad"]
    assert "reached" in rows["more (1)"] and ">= 20 x" in rows["more (1)"]
    assert "(1) somewhere else" in shown and "(2)" not in shown
    show("all of it", figures, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["reached"] for line in lines] == [True, False, None, True]
    assert lines[2]["name"] == "part"


def test_the_engine_on_the_quick_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "dsp", "--board", "unix", "--json"]) == 0
    figures = {line["name"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert 38000 < figures["working memory"]["value"] < 60000
    assert figures["allocated while it streams"]["reached"] is True
    assert figures["kept from one measurement to the next"]["reached"] is True
    assert figures["after the last sample"]["value"] > figures["of which the verdict"]["value"] >= 0
    assert "RFFT of 4,096 samples, viper" in figures
    assert figures["order tracking, where the speed changes"]["unit"] == "us"
    assert figures["a trend, with all its means"]["value"] > 0
    assert not [name for name in figures if "assembly" in name or "emlearn" in name]


@pytest.mark.nightly
def test_the_transforms_in_c_run_on_the_chip_and_ours_is_faster_and_more_exact() -> None:
    files = {**with_twins(firmware_files("pico_w"), "pico_w"), **transforms.board_files(C_TRANSFORMS)}
    files.pop("main.py")
    with open_board("rp2040:", Setup(files=files)) as device:
        transforms.prepare(device)
        ours = {"assembly": transforms.measure(device, "assembly")}
        theirs = {each: transforms.measure_c(device, each) for each in C_TRANSFORMS}
    for each, times in theirs.items():
        assert list(times) == list(transforms.C_SIZES)
        for n, there in times.items():
            # Each is a Fourier transform: what of it is wrong is its rounding, in 16 bits or in 24.
            assert there.full_db > (120 if each.floats else 40)
            assert there.time_us > ours["assembly"][n].time_us
    for n, own in ours["assembly"].items():
        assert min(own.full_db, own.quiet_db) > 65
        if n in transforms.C_SIZES:
            assert own.full_db > theirs[CMSIS_DSP][n].full_db + 20
            assert own.quiet_db > theirs[CMSIS_DSP][n].quiet_db + 50
    rows = transforms.figures(ours, theirs, chip=True)
    assert all(row.reached for row in rows if row.goal is not None)
    assert sum(row.goal is not None for row in rows) == 8


def test_the_ratio_is_of_the_exact_transform() -> None:
    samples = transforms.signals(256)[1]
    exact = np.fft.rfft(samples)[:128]
    assert transforms.snr_db(samples, exact * 1.01) == pytest.approx(40)
    assert transforms.snr_db(samples, np.roll(exact, 1)) < 0


def test_without_a_compiler_the_bench_says_what_it_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("quaver.bench.c_transforms.has_compiler", lambda: False)
    monkeypatch.setattr("quaver.bench.dsp.run_dsp", lambda *_: [Figure("time", 1, "us")])
    assert main(["bench", "dsp", "--json"]) == 0
    assert capsys.readouterr().err == (
        "quaver: the transforms in C were not measured: there is no compiler for them: pip install quaver[bench]\n"
    )
    assert main(["bench", "dsp", "--board", "unix", "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_source_that_does_not_compile_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = dataclasses.replace(KISSFFT, folders=())
    with pytest.raises(BuildError, match=r"^kissfft's kiss_fftr, int16 can't be compiled by ziglang: .*not found.*\]$"):
        compile_transform(broken)


def test_the_esp32_c3_in_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Virtual time: the same on every machine. Its image has no inline assembler, so its kernels are viper's."""
    assert main(["bench", "wire", "--board", "esp32_c3", "--json"]) == 0
    record = {line["name"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert record["encode and seal"]["reached"] is True
    assert main(["bench", "dsp", "--board", "esp32_c3", "--json"]) == 0
    figures = {line["name"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    for goal in ("a block of 512 samples, the longest", "after the last sample", "RFFT of 1,024 samples, viper"):
        assert figures[goal]["reached"] is True
    assert not [name for name in figures if "assembly" in name]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_bench_says_what_the_help_says(name: str) -> None:
    one = command.get_command(None, name)
    assert one.name == name
    assert one.help.splitlines()[0] == COMMANDS[name]
