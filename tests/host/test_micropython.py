"""The device's code on this machine: what goes in, what comes out, and what is said when it ends badly."""

import sys
from pathlib import Path

import pytest

from quaver.board.local import ProgramError, run
from quaver.errors import BoardError, BuildError


def test_a_program_has_its_input_its_arguments_the_firmware_and_a_folder_before_it(tmp_path: Path) -> None:
    (tmp_path / "dsp.py").write_text("mine = True")
    code = "import dsp, json, sys, quaver_wire.fields as f, build.config\nprint('first')\n"
    code += "print(json.dumps([sys.stdin.read(), sys.argv[1:], sys.implementation.name, dsp.mine, f.VERSION]))"
    assert run(code, "µ\n", "given", folder=tmp_path)[:4] == ["µ\n", ["given"], "micropython", True]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print(1)\nraise ValueError('why')", r"failed \(ValueError: why\)"),
        ("print('words')", r"failed \(words\)"),
        ("import sys; print(1); sys.exit(3)", r"failed \(1\)"),
        ("pass", r"failed \(it ended without a message\)"),
        ("while True: pass", r"took longer than 0 s"),
        ("bytearray(1 << 20)", r"failed \(MemoryError: memory allocation failed, allocating 1048576 bytes\)"),
    ],
)
def test_a_program_that_does_not_end_well_is_told(code: str, words: str) -> None:
    with pytest.raises(ProgramError, match=f"^{words}$"):
        run(code, "", heap="192k", limit_s=0.3 if "while" in code else 30.0)


def test_those_who_run_programs_say_it_in_their_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quaver.bench.guest_program import run_guest
    from quaver.build.config import read_config

    (tmp_path / "config.json").write_text("{}")
    assert read_config(tmp_path / "config.json") == {}
    with pytest.raises(BoardError, match=r"^none on MicroPython failed \(ImportError: no module named 'none'\): see"):
        run_guest("none", {})
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        BuildError, match=r"config.json: the device's check of the configuration failed \(it ended without a message"
    ):
        read_config(tmp_path / "config.json")


def test_a_folder_of_the_same_name_where_one_stands_is_not_taken_for_the_firmware(tmp_path, monkeypatch) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "json.py").write_text("raise ValueError('not mine')")
    monkeypatch.chdir(tmp_path)
    assert run("import json\nfrom build import bearings\nprint(json.dumps(len(bearings.ratios('6205'))))", "") == 4
