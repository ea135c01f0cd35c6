"""`quaver bench`: figures beside their goals, as a table and as JSON; and the engine's own, on the quick board."""

import json

import pytest

from quaver.bench import Figure
from quaver.bench.dsp import _float_figures
from quaver.cli import main
from quaver.cli.bench import COMMANDS, command, show


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
    assert not [name for name in figures if "assembly" in name or "emlearn" in name]


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


def test_a_figure_from_elsewhere_says_so() -> None:
    ours = {"assembly": {n: (t, 0) for n, t in ((256, 172), (512, 362), (1024, 692), (2048, 1547))}}
    figures = _float_figures(ours, {})
    assert {figure.note for figure in figures if figure.note} == {
        "gcc and the bootrom's float, measured earlier, not now; to measure it: pip install quaver[bench]"
    }
    measured = _float_figures(ours, {n: (100 * t, 1e-4) for n, (t, _) in ours["assembly"].items()})
    assert [figure.value for figure in measured if figure.unit == "x"] == [100.0] * 4
    assert not any("earlier" in figure.note for figure in measured)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_bench_says_what_the_help_says(name: str) -> None:
    one = command.get_command(None, name)
    assert one.name == name
    assert one.help.splitlines()[0] == COMMANDS[name]
