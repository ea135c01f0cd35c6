"""The host's way to the device's analysis: cutting, scaling, and verdicts over recordings and over `quaver analyze`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.analyze import Analysis, AnalysisError, Settings, analyze, clipped, full_length, prepare
from quaver.cli import main
from quaver.recordings import Recording

RATE = 12000.0
SHAFT = 29.95
SKF_6205 = (3.5848, 5.4152, 2.3567, 0.39828)


def machine(seconds: float, line: float | None = None, *, strength: float = 1.0, seed: int = 1) -> NDArray[np.float32]:
    """A turning shaft and noise, in g; with `line`, impacts so many times a turn that ring at 3.2 kHz."""
    time = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(seed)
    signal = 0.05 * np.sin(2 * np.pi * SHAFT * time) + 0.02 * np.sin(4 * np.pi * SHAFT * time)
    signal += rng.normal(0, 0.05, len(time))
    if line:
        for start in np.arange(0.002, time[-1], 1 / (line * SHAFT)):
            first = int(start * RATE)
            later = time[first : first + 200] - start
            signal[first : first + 200] += strength * np.exp(-later * 900) * np.sin(2 * np.pi * 3200 * later)
    return signal.astype(np.float32)


def recording(samples: NDArray[np.float32], name: str = "made", rpm: float | None = SHAFT * 60) -> Recording:
    return Recording(name, samples[:, np.newaxis], RATE, rpm)


@pytest.fixture(scope="module")
def baseline() -> dict[str, Any]:
    with Analysis(Settings(SHAFT * 60, SKF_6205, learn=4), RATE) as analysis:
        verdicts = list(analyze(recording(machine(8.0)), analysis))
        assert [verdict.state for verdict in verdicts] == ["learning"] * 4 + ["watching"]
        return analysis.baseline()


def judge(samples: NDArray[np.float32], baseline: dict[str, Any], **settings: Any) -> list[Any]:
    given = {"rpm": SHAFT * 60, "bearing": SKF_6205, "learn": 4, **settings}
    with Analysis(Settings(**given), RATE, baseline=baseline) as analysis:
        return list(analyze(recording(samples), analysis))


@pytest.mark.parametrize(("line", "fault"), [(3.5848, "outer race"), (5.4152, "inner race"), (4.7134, "ball")])
def test_a_seeded_fault_alarms_and_is_named(baseline: dict[str, Any], line: float, fault: str) -> None:
    verdicts = judge(machine(5.0, line, seed=2), baseline)
    assert [verdict.level for verdict in verdicts] == ["ok", "alarm", "alarm"]
    assert verdicts[-1].fault == fault
    assert verdicts[-1].margin_db > 6
    assert verdicts[-1].features["shaft_hz"] == pytest.approx(SHAFT, abs=0.4)


def test_the_same_machine_later_raises_nothing(baseline: dict[str, Any]) -> None:
    verdicts = judge(machine(8.0, seed=3), baseline)
    assert {verdict.level for verdict in verdicts} == {"ok"}
    assert {verdict.fault for verdict in verdicts} == {None}


@pytest.mark.parametrize("rpm", [1190.0, 1300.0, 2714.0])
def test_a_wrong_speed_names_nothing(baseline: dict[str, Any], rpm: float) -> None:
    """1190 and 2714 1/min put one race's line on the other's: the speed that is not in the spectrum gives it away."""
    for line in (3.5848, 5.4152):
        verdicts = judge(machine(5.0, line, seed=4), baseline, rpm=rpm)
        assert verdicts[-1].level == "alarm"
        assert {verdict.fault for verdict in verdicts} == {None}
        assert verdicts[-1].abstained


def test_clipped_samples_name_nothing(baseline: dict[str, Any]) -> None:
    verdicts = judge(np.clip(machine(5.0, 3.5848, strength=3.0, seed=5), -0.4, 0.4), baseline)
    assert {verdict.features["clipped"] for verdict in verdicts} == {True}
    assert verdicts[-1].level == "alarm"
    assert verdicts[-1].fault is None
    assert verdicts[-1].abstained == "the samples are clipped or incomplete"


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_dead_sensor_is_a_machine_that_stands_still(baseline: dict[str, Any], value: float) -> None:
    verdicts = judge(np.full(3 * 16384, value, np.float32), baseline)
    assert {(verdict.state, verdict.level, verdict.fault) for verdict in verdicts} == {("stopped", "ok", None)}
    assert all(verdict.features["stuck"] for verdict in verdicts)


def test_a_zone_of_the_standard(baseline: dict[str, Any]) -> None:
    """1.5 g at 29.95 Hz are 78 mm/s: zone D on any mounting."""
    time = np.arange(3 * 16384) / RATE
    shaken = (1.5 * np.sin(2 * np.pi * SHAFT * time)).astype(np.float32)
    (first, *_, last) = judge(shaken, baseline, group=2, mounting="flexible")
    assert first.features["velocity_mm_s"] == pytest.approx(1.5 * 9806.65 / (2 * np.pi * SHAFT) / np.sqrt(2), rel=0.02)
    assert (last.zone, last.level) == ("D", "alarm")
    assert "zone" in last.causes


def test_a_loud_recording_is_scaled_and_not_clipped(baseline: dict[str, Any]) -> None:
    loud = 200 * machine(2.0, 3.5848)
    (verdict, *_) = judge(loud, baseline)
    assert verdict.features["rms_g"] == pytest.approx(float(np.std(loud[:16384])), rel=0.005)
    assert verdict.features["peak_g"] == pytest.approx(float(np.abs(loud[:16384]).max()), rel=0.01)
    assert not verdict.features["clipped"]


def test_lengths() -> None:
    assert [full_length(rate) for rate in (26667, 25600, 12000, 3200, 1600)] == [32768, 32768, 16384, 4096, 4096]
    fast = Recording("fast", np.zeros((97656 * 2, 1), np.float32), 97656.0)
    rate, count, blocks = prepare(fast)
    assert rate == pytest.approx(26667, rel=1e-3)
    assert (count, len(blocks)) == (32768, 1)
    records = Recording("records", np.zeros((2560 * 7, 1), np.float32), 25600.0, record_samples=2560)
    rate, count, blocks = prepare(records)
    assert (rate, count, len(blocks)) == (25600.0, 2048, 7)
    with pytest.raises(AnalysisError, match="made: 900 samples at 12000 Hz: expected at least 1024"):
        prepare(recording(machine(0.075)))


def test_rails() -> None:
    sine = np.sin(np.arange(1000) / 7).astype(np.float32)
    assert not clipped(sine)
    assert clipped(np.clip(sine, -0.9, 0.9))
    assert not clipped(np.zeros(1000, np.float32))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bearing": "6299"}, "bearing 6299: not in the library"),
        ({"bearing": (5.4152, 3.5848, 2.3567, 0.39828)}, "bearing: BPFO 5.4152 and BPFI 3.5848"),
        ({"band": (5000.0, 2000.0)}, "measurement: expected an envelope band"),
        ({"group": 2, "mounting": "loose"}, "machine: expected group 1 or 2"),
    ],
)
def test_settings_that_the_device_refuses(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(AnalysisError, match=said), Analysis(Settings(**settings), RATE):
        pass


def save(path: Path, samples: NDArray[np.float32]) -> str:
    np.savez(path, x=samples, fs=RATE, rpm=SHAFT * 60)
    return str(path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    healthy = save(tmp_path / "healthy.npz", machine(8.0))
    broken = save(tmp_path / "broken.npz", machine(5.0, 3.5848, seed=2))
    assert main(["analyze", broken, "--baseline", healthy, "--bearing", "6205", "--learn", "5", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["recording"] for line in lines] == ["healthy"] * 5 + ["broken"] * 3
    assert lines[-1]["fault"] == "outer race"
    assert main(["analyze", broken, "--baseline", healthy, "--bearing", "6205", "--learn", "5"]) == 0
    shown = capsys.readouterr().out
    assert "outer race" in shown
    assert "broken: speed 179" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--bearing", "6299"], 9, "quaver: bearing 6299: not in the library"),
        (["--bearing", "1,2,3"], 2, "--bearing 1,2,3: expected 4 numbers"),
        (["--band", "x"], 2, "--band x: expected 2 numbers"),
    ],
)
def test_the_command_s_failures_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["analyze", save(tmp_path / "a.npz", machine(3.0)), *arguments]) == code
    assert said in capsys.readouterr().err
