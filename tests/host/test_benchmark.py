"""The benchmark: nothing is left out of a total, the run knows no truth, the page's figures hold on what is at hand."""

import json
import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quaver.benchmark import Group, Result, catalogue, groups, run_group, score, truths
from quaver.benchmark import run as run_module
from quaver.benchmark.catalogue import Place
from quaver.benchmark.page import page, table, total
from quaver.cli import main
from quaver.errors import ArtifactError
from quaver.recordings import cwru_files, fetch_mfpt, lives
from quaver.recordings.machine import Machine
from quaver.recordings.pronostia import bearing

ROOT = Path(__file__).resolve().parents[2]
FIELD = ROOT.parent / "shared/data"
RATE = 12000.0


def row(text: str, title: str, truth: str) -> dict[str, int]:
    """A row of a group's table on the page: column -> count."""
    part = text.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    cells = next(line for line in lines if line[0] == truth)
    return {name: int(cell) for name, cell in zip(lines[0][1:], cells[1:], strict=True) if cell != "-"}


# The catalogue


def test_every_record_has_a_place_and_a_label_and_no_other_has_one() -> None:
    for group in groups():
        assert len(set(group.records)) == len(group.records)
        assert set(truths(group.name)) == set(group.records)
        assert not set(group.teach) & set(group.records)
        assert all(group.place(record).name == record for record in (*group.teach, *group.records))


def test_the_groups_are_those_that_the_public_scores_are_of() -> None:
    counts = {group.name: Counter(truths(group.name).values()) for group in groups()}
    assert counts["cwru-drive-12k"] == {"healthy": 3, "inner race": 16, "ball": 16, "outer race": 28}
    assert counts["cwru-fan-12k"] == {"healthy": 3, "inner race": 12, "ball": 12, "outer race": 21}
    assert counts["cwru-drive-48k"] == {"healthy": 3, "inner race": 12, "ball": 12, "outer race": 28}
    assert counts["pronostia"] == {"runs to failure": 17}
    teachers = {group.name: group.teach for group in groups()}
    assert teachers["cwru-drive-12k"] == ("97",)  # the 64th record: it teaches, and is judged nowhere


def test_the_run_reads_no_label() -> None:
    """Neither its code nor what it reads says what is wrong with a machine; the names of MFPT's files do."""
    package = ROOT / "host/quaver/benchmark"
    read = (package / "groups.toml").read_text() + (ROOT / "host/quaver/recordings/cwru.toml").read_text()
    assert not re.search(r"\b(inner|outer|ball|fault)\b", read)
    for name in ("run.py", "catalogue.py"):
        assert not re.search(r"labels|truths|scores import", (package / name).read_text())


def test_a_file_of_unknown_sha256_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = next(file for file in cwru_files() if file.artifact is None)
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path))
    unknown.path.parent.mkdir()
    unknown.path.write_bytes(b"anything")
    group = next(group for group in groups() if unknown.name in group.records)
    assert not unknown.cached and group.place(unknown.name) == Place(unknown.name, None, "its sha256 is unknown")


def test_a_file_with_other_bytes_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path))
    (tmp_path / "cwru").mkdir()
    (tmp_path / "cwru/105.mat").write_bytes(b"changed")
    assert groups()[0].place("105") == Place("105", None, "not fetched")
    assert not any(life.cached for life in lives())


# The records of PRONOSTIA's repository


def test_a_bearing_is_made_of_its_repository(tmp_path: Path) -> None:
    """Commas in some files and semicolons in others, midnight, and a record that was cut short."""
    folder = tmp_path / "Learning_set/Bearing9_9"
    folder.mkdir(parents=True)
    for at, (mark, hour, second, rows) in enumerate([(",", 23, 55, 2560), (";", 0, 5, 2560), (",", 0, 15, 12)], 1):
        minute = 59 if hour == 23 else 0
        lines = [f"{hour},{minute},{second},0,{at}.5,-{row % 7}.25".replace(",", mark) for row in range(rows)]
        (folder / f"acc_{at:05}.csv").write_text("\n".join(lines) + "\n")
    (folder / "temp_00001.csv").write_text("0,0,0,0,20\n")
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "records"]):
        subprocess.run([*git, *command], check=True)
    data = bearing(tmp_path / ".git", "HEAD", "Learning_set/Bearing9_9")
    (tmp_path / "made.npy").write_bytes(data)
    records = np.load(tmp_path / "made.npy")
    assert records["t"].tolist() == [0.0, 10.0]
    assert records["horizontal"][:, 0].tolist() == [1.5, 2.5] and records["vertical"][1, 6] == -6.25
    assert data == bearing(tmp_path / ".git", "HEAD", "Learning_set/Bearing9_9")


def test_records_that_changed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quaver.recordings import pronostia

    life = lives()[0]
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path))
    with pytest.raises(
        ArtifactError, match=f"{life.name}: its records have sha256 .*, expected {life.artifact.sha256}"
    ):
        pronostia._keep(life, b"other")
    assert not life.path.exists()


# The counts


def result(name: str, alarms: int = 0, named: str | None = None) -> Result:
    return Result(name, measurements=10, alarms=list(range(alarms)), named={named: 2} if named else {})


@pytest.mark.parametrize(
    ("truth", "said", "counted"),
    [
        ("ball", result("a", 3, "ball"), "hits"),
        ("ball", result("a", 3), "abstentions"),
        ("ball", result("a", 3, "inner race"), "wrong"),
        ("ball", result("a", 0, "inner race"), "wrong"),
        ("ball", replace(result("a", 3), named={"ball": 4, "cage": 1}), "wrong"),
        ("ball", result("a"), "misses"),
        ("ball", result("a", 0, "ball"), "misses"),
        ("healthy", result("a"), "hits"),
        ("healthy", result("a", 1), "misses"),
        ("healthy", result("a", 1, "ball"), "wrong"),
        ("runs to failure", replace(result("a"), alarms=[1, 9]), "early"),
        ("runs to failure", replace(result("a"), alarms=[2, 9]), "hits"),
        ("runs to failure", result("a"), "misses"),
    ],
)
def test_each_measured_recording_counts_once(truth: str, said: Result, counted: str) -> None:
    (one,) = score([said], {"a": truth})
    counts = {name: getattr(one, name) for name in ("hits", "abstentions", "wrong", "misses", "early")}
    assert counts == {name: int(name == counted) for name in counts}
    assert one.recordings == one.measured == 1


def test_what_is_not_there_is_in_the_total_and_nowhere_else() -> None:
    scores = score([result("a", 3, "ball"), Result("b", missing="not fetched")], {"a": "ball", "b": "ball"})
    assert vars(scores[0]) | {"truth": ""} == vars(total(scores)) | {"truth": ""}
    assert "| ball | 2 | 1 | 1 | 0 | 1 | 0 | 0 | 0 |" in table(scores)
    group = groups()[0]
    missing = [Result(record, missing="not fetched") for record in group.records]
    text = page([(group, missing)], {group.name: truths(group.name)})
    assert row(text, group.title, "all faults") == dict.fromkeys(row(text, group.title, "all faults"), 0) | {
        "recordings": 60,
        "not measured": 60,
    }
    assert "Not measured: 63 of 63 (not fetched)." in text


def test_no_baseline_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue._PLACES, "files", lambda name: Place(name, None, "not fetched"))
    group = Group("made", "Made", "files", "6205", ("one",), teach=("healthy",))
    assert [one.missing for one in run_group(group)] == ["not fetched"]
    monkeypatch.setitem(
        catalogue._PLACES,
        "files",
        lambda name: Place(name, None, "not fetched") if name == "healthy" else Place(name, Path(name)),
    )
    assert [one.missing for one in run_group(group)] == ["no baseline: healthy is not fetched"]


# The command


def test_the_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path / "cache"))
    verdicts, written = tmp_path / "verdicts.json", tmp_path / "page.md"
    assert main(["benchmark", "run", "cwru-fan-12k", "-o", str(verdicts)]) == 0
    assert "cwru-fan-12k: 0 of 48 recordings measured, 0 measurements" in capsys.readouterr().out
    assert main(["benchmark", "join", str(verdicts)]) == 0
    assert "| all faults | 45 | 45 | 0 | 0 | 0 | 0 | 0 | 0 |" in capsys.readouterr().out
    assert main(["benchmark", "join", str(verdicts), "-o", str(written)]) == 0
    assert "Not measured: 48 of 48 (not fetched)." in written.read_text()
    said = json.loads(verdicts.read_text())
    said["groups"]["cwru-fan-12k"].pop()
    verdicts.write_text(json.dumps(said))
    capsys.readouterr()
    for arguments, line in (
        (["join", str(verdicts)], f"{verdicts}: holds no verdicts of this version's groups: run the benchmark again"),
        (["join", str(tmp_path / "no")], f"{tmp_path / 'no'}: can't be read (No such file or directory)"),
        (
            ["run", "-o", "/dev/null/x", "cwru-fan-12k"],
            "/dev/null/x: can't be written: /dev/null is not a folder",
        ),
        (["run", "other"], "other: is not a group: expected cwru-drive-12k, "),
    ):
        assert main(["benchmark", *arguments]) != 0
        assert line in capsys.readouterr().err


# The figures


def made(folder: Path) -> Group:
    """Recordings of the modelled machine: one that teaches, a healthy one and one of each fault."""
    for seed, (name, fault) in enumerate(
        [("taught", None), ("1", None), ("2", "outer"), ("3", "inner"), ("4", "ball")]
    ):
        signal = Machine(fault=fault, severity=0.5, seed=seed + 1).samples(0, RATE, 0, 7 * 16384)[:, 2]
        np.savez(folder / f"{name}.npz", x=signal, fs=RATE, rpm=1797.0)
    return Group("made", "Made", "files", "6205", ("1", "2", "3", "4"), teach=("taught",), bring_to=RATE)


MADE = {"1": "healthy", "2": "outer race", "3": "inner race", "4": "ball"}


def test_the_modelled_machine_is_judged_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue._PLACES, "files", lambda name: Place(name, tmp_path / f"{name}.npz", unit="g"))
    assert run_module._WORKERS == 2
    scores = score(run_group(made(tmp_path)), MADE)
    assert {one.truth: (one.hits, one.wrong, one.misses) for one in scores} == dict.fromkeys(MADE.values(), (1, 0, 0))
    assert total([one for one in scores if one.truth != "healthy"]).line_first == 3


@pytest.mark.long
def test_the_page_holds_for_mfpt() -> None:
    fetch_mfpt()
    group = next(group for group in groups() if group.name == "mfpt")
    scores = score(run_group(group), truths("mfpt"))
    text = (ROOT / "docs/benchmark.md").read_text()
    assert sum(one.wrong for one in scores) == 0
    for one in scores:
        written = row(text, group.title, one.truth)
        assert one.measured == one.recordings == written["recordings"] and written["not measured"] == 0
        assert (one.hits, one.line_first) >= (written["hit"], written.get("right line first", 0))
        assert one.misses <= written["miss"]


@pytest.mark.skipif(not FIELD.is_dir(), reason="the recordings of ../shared/data are not here")
@pytest.mark.long
def test_the_recordings_at_hand_are_judged_right(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"or": "outer race", "ir": "inner race", "b": "ball"}
    truth = {path.stem: path.stem.split("_")[1].rstrip("0123456789") for path in FIELD.glob("cwru_*.npz")}
    faults = tuple(name for name, kind in sorted(truth.items()) if kind in kinds)

    def place(name: str) -> Place:
        # The healthy recording was sampled at four times the rate that it says.
        return Place(name, FIELD / f"{name}.npz", rpm=1797.0)

    monkeypatch.setitem(catalogue._PLACES, "files", place)
    monkeypatch.setattr(Group, "load", _at_its_rate)
    group = Group("field", "Field", "files", "6205", faults, teach=("cwru_normal_0",), bring_to=RATE)
    scores = {one.truth: one for one in score(run_group(group), {name: kinds[truth[name]] for name in faults})}
    assert sum(one.wrong for one in scores.values()) == 0
    assert scores["outer race"].hits == scores["inner race"].hits == 2
    assert scores["ball"].recordings == 2


@pytest.mark.skipif(not FIELD.is_dir(), reason="the recordings of ../shared/data are not here")
@pytest.mark.long
def test_the_lives_at_hand_alarm_before_their_end_and_not_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thinned: every eighth record of one life, every second of the other."""
    rpm = {"pronostia_1_1": 1800.0, "pronostia_2_4": 1650.0}
    monkeypatch.setitem(catalogue._PLACES, "files", lambda name: Place(name, FIELD / f"{name}.npz", rpm=rpm[name]))
    lives = Group("field", "Field", "files", "pronostia", tuple(rpm), channel="horizontal", learn=20)
    (one,) = score(run_group(lives), dict.fromkeys(rpm, "runs to failure"))
    assert (one.hits, one.early, one.misses) == (2, 0, 0)


def _at_its_rate(group: Group, place: Place) -> object:
    from quaver.recordings import load

    assert place.path is not None
    recording = load(place.path)
    return replace(recording, rate_hz=4 * recording.rate_hz) if "normal" in place.name else recording
