"""The host's way to the device's analysis: cutting, scaling, and verdicts over recordings and over `quaver analyze`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quaver.analysis.device import Analysis, AnalysisError, Settings, Verdict, analyze, full_length, prepare
from quaver.analysis.verdict_plot import conclusion
from quaver.cli import main
from quaver.recordings import Recording
from quaver.recordings.machine import Machine
from quaver.recordings.rails import clipped

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


def two_speeds(classes: tuple[str, list[float]] | None, learned: list[float], then: list[tuple[float, float]]) -> Any:
    """The verdicts on a machine that learned at those speeds, in 1/min, then (speed, severity of an outer race)."""
    rate, n = 26667.0, 32768
    plan = [(rpm, 0.0) for rpm in learned] + then
    settings = Settings(None, SKF_6205, learn=4, node={"machine": {"classes": classes}} if classes else {})
    with Analysis(settings, rate) as analysis:
        verdicts = []
        for capture, (rpm, severity) in enumerate(plan):
            model = Machine(rpm=rpm, fault="outer" if severity else None, severity=severity)
            # what turns shakes with the square of its speed
            verdicts.append(analysis.run(model.samples(capture, rate, 0, n)[:, 2] * (rpm / 1200) ** 2))
        return verdicts[len(learned) :]


def test_a_machine_of_two_speeds_gives_false_alarms_without_classes_and_none_with_them() -> None:
    slow, fast, faulty = (1200.0, 0.0), (2400.0, 0.0), (1200.0, 0.1)
    healthy, damaged = [slow, fast, fast] * 2, [faulty, fast] * 4
    each = [1200.0] * 4 + [2400.0] * 4
    one = two_speeds(None, each[:4], healthy)
    assert {"envelope", "rms", "velocity"} <= set().union(*(verdict.causes for verdict in one))
    assert any(verdict.level == "alarm" for verdict in one)
    # learned over both, the limits are so wide that the level of a fault at the lower speed is below them
    both = two_speeds(None, each[::2] * 2, healthy + damaged)
    assert not any({"rms", "envelope", "velocity"} & set(verdict.causes) for verdict in both)
    apart = two_speeds(("rpm", [1800.0]), each, healthy + damaged)
    assert [verdict.level for verdict in apart[:6]] == ["ok"] * 6
    assert {verdict.state for verdict in apart} == {"watching"}
    after = apart[8:]  # the fault is there for the second time
    assert {verdict.level for verdict in after} == {"alarm"}
    assert all("envelope" in verdict.causes for verdict in after)
    assert [verdict.fault for verdict in after[::2]] == ["outer race"] * 3


def test_a_race_that_rings_above_the_band_is_named_there() -> None:
    """It rings at 9 kHz: from 1 to 5 kHz its line rises and warns, but is too weak for a name."""
    rings: dict[str, Any] = {"rpm": 1797, "resonance_hz": 9000.0, "damping": 0.02}
    rate, n = 26667.0, 32768
    captures = [Machine(**rings).samples(c, rate, 0, n)[:, 2] for c in range(3)]
    captures += [Machine(fault="outer", severity=0.08, **rings).samples(c, rate, 0, n)[:, 2] for c in range(3, 11)]
    with Analysis(Settings(1797, SKF_6205, learn=3), rate) as analysis:
        verdicts = [analysis.run(capture) for capture in captures]
    said = [verdict.abstained[:12] for verdict in verdicts[4:]]
    # at home: almost strong enough, then far from it; below twice, at home, above twice: the second time it has lasted
    assert said == ["bpfo is weak"] * 2 + ["no line of t"] * 2 + ["bpfo is weak", "seen too rar", ""]
    assert {verdict.level for verdict in verdicts[4:]} == {"warning"}
    assert verdicts[-1].fault == "outer race"


def other_fault(fault: str, rpm: float) -> Verdict:
    """The last verdict on a machine that learned three times and then has the fault."""
    rate, n = RATE, 16384
    with Analysis(Settings(rpm * 1.01, SKF_6205, learn=3), rate) as analysis:
        for capture in range(3):
            analysis.run(Machine(rpm).samples(capture, rate, 0, n)[:, 2])
        faulty = Machine(rpm, fault=fault, severity=1.0)
        return [analysis.run(faulty.samples(capture, rate, 0, n)[:, 2]) for capture in range(3, 6)][-1]


@pytest.mark.parametrize(
    ("fault", "rpm"),
    [
        ("unbalance", 1480),
        ("unbalance", 2950),
        ("misalignment", 1480),
        ("looseness", 1797),
        ("gear mesh", 1480),
        ("resonance", 2950),
        ("electrical", 1797),
    ],
)
def test_a_fault_that_is_no_bearing_s_is_named(fault: str, rpm: float) -> None:
    verdict = other_fault(fault, rpm)
    assert (verdict.level, verdict.fault, verdict.abstained) == ("alarm", fault, "")
    assert verdict.causes["velocity"] == 2


@pytest.mark.parametrize(
    ("fault", "rpm"),
    [
        ("misalignment", 2950),  # twice the speed is 98.3 Hz: it may be the mains
        ("electrical", 1480),  # the fourth harmonic is 98.7 Hz
        ("gear mesh", 2950),  # the teeth mesh above the band of velocity
        ("resonance", 900),  # the rotor vibrates more
        ("looseness", 900),  # the halves and the harmonics are low
    ],
)
def test_what_is_not_clear_has_no_name(fault: str, rpm: float) -> None:
    verdict = other_fault(fault, rpm)
    assert verdict.level == "alarm"
    assert verdict.fault is None


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


def test_any_setting_of_a_node_may_be_given(baseline: dict[str, Any]) -> None:
    """What makes a machine run, a limit of the configuration's own, and how often values must agree."""
    samples = machine(8)
    rms = judge(samples, baseline)[-1].features["rms_g"]
    assert judge(samples, baseline, node={"machine": {"running_g": 2 * rms}})[-1].state == "stopped"
    limits = {"limits": {"rms": (rms / 4, rms / 2)}, "alarm": {"count": 3, "of": 3}}
    found = judge(samples, baseline, node=limits)
    assert [verdict.level for verdict in found[:3]] == ["ok", "ok", "alarm"]
    assert found[2].causes == {"rms": 2}


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


def test_dropped_samples_name_no_other_race(baseline: dict[str, Any]) -> None:
    """Runs of samples that are missing without a word: the lines smear, and no other one may stand for them."""
    whole = machine(8.0, 3.5848, seed=6)
    rng = np.random.default_rng(7)
    for lost in (0.002, 0.02, 0.1):
        keep = np.ones(len(whole), bool)
        for start in rng.integers(0, len(whole), int(lost * len(whole) / 40)):
            keep[start : start + 40] = False
        verdicts = judge(whole[keep], baseline)
        assert verdicts[-1].level == "alarm"
        assert {verdict.fault for verdict in verdicts} <= {None, "outer race"}


@pytest.mark.parametrize("error", [0.96, 1.04])
def test_a_wrong_rate_names_no_other_race(baseline: dict[str, Any], error: float) -> None:
    """As far off as an ADXL345's clock may be, with nobody to measure it."""
    for line, fault in ((3.5848, "outer race"), (5.4152, "inner race")):
        samples = machine(5.0, line, seed=8)
        with Analysis(Settings(SHAFT * 60, SKF_6205, learn=4), RATE * error, baseline=baseline) as analysis:
            verdicts = [analysis.run(samples[i : i + 16384]) for i in range(0, 3 * 16384, 16384)]
        assert {verdict.fault for verdict in verdicts} <= {None, fault}


def test_the_spectra_are_those_that_the_features_were_read_from(baseline: dict[str, Any]) -> None:
    given = Settings(SHAFT * 60, SKF_6205, learn=4)
    samples = machine(2.0, 3.5848, seed=2)
    with Analysis(given, RATE, baseline=baseline) as analysis:
        verdict = analysis.run(samples[:16384])
        spectra = analysis.spectra()
    (hz, g, *_) = verdict.features["peaks"]
    assert len(spectra.spectrum_g) == 2048 and spectra.spectrum_hz == pytest.approx(RATE / 4096)
    assert np.argmax(spectra.spectrum_g) == pytest.approx(hz / spectra.spectrum_hz, abs=0.5)
    assert 0.84 * g <= spectra.spectrum_g.max() <= 1.001 * g  # between bins a Hann line is up to 1.42 dB lower
    turns = np.arange(4096)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * turns / 4096)
    host = np.abs(np.fft.rfft((samples[:4096] - samples[:16384].mean()) * window))[:2048] * 4 / 4096
    assert np.abs(spectra.spectrum_g - host)[1:].max() < 0.002 * host.max()
    (bpfo, *_) = verdict.lines
    near = round(bpfo["hz"] / spectra.envelope_hz)
    assert len(spectra.envelope_g) == 1024
    assert 0.84 * bpfo["g"] <= spectra.envelope_g[near] <= 1.001 * bpfo["g"]


@pytest.mark.parametrize("chip", ["rp2040:", "esp32_c3:"])
def test_the_emulated_chip_says_what_the_quick_board_says(chip: str) -> None:
    """4,096 samples, put into its memory; single against double precision at the end."""
    short = Recording("short", machine(0.35, 3.5848, seed=2)[:, np.newaxis], RATE, SHAFT * 60, record_samples=4096)
    answers = []
    for where in ("unix:", chip):
        given = Settings(SHAFT * 60, {"balls": 9, "ball_mm": 7.94, "pitch_mm": 39.04}, learn=2)
        with Analysis(given, RATE, samples=4096, where=where) as analysis:
            (verdict,) = analyze(short, analysis)
            answers.append((verdict, analysis.spectra()))
    (one, quick_spectra), (other, chip_spectra) = answers
    assert other.state == "learning"
    assert other.features["rms_g"] == pytest.approx(one.features["rms_g"], rel=1e-5)
    assert other.features["peaks"] == pytest.approx(one.features["peaks"], rel=1e-4)
    assert [line["hz"] for line in other.lines] == pytest.approx([line["hz"] for line in one.lines], rel=1e-4)
    assert np.allclose(chip_spectra.spectrum_g, quick_spectra.spectrum_g, rtol=1e-4, atol=1e-6)
    assert np.allclose(chip_spectra.envelope_g, quick_spectra.envelope_g, rtol=1e-4, atol=1e-6)


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
        (["--bearing", "nan,5.4,2.3,0.39"], 2, "--bearing nan,5.4,2.3,0.39: expected 4 numbers"),
        (["--rpm", "nan"], 2, "--rpm nan: expected a number"),
    ],
)
def test_the_command_s_failures_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["analyze", save(tmp_path / "a.npz", machine(3.0)), *arguments]) == code
    assert said in capsys.readouterr().err


def test_a_bearing_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its geometry, under a table or not, and its ratios, all of the same bearing: the same lines."""
    broken = save(tmp_path / "broken.npz", machine(1.5, 3.5848, seed=2))
    files = {
        "a.toml": "[bearing]\nballs = 9\nball_mm = 7.94\npitch_mm = 39.04\nangle_deg = 0\n",
        "b.json": '{"balls": 9, "ball_mm": 7.94, "pitch_mm": 39.04}',
        "c.toml": "ratios = [3.5848, 5.4152, 2.3567, 0.39828]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert main(["analyze", broken, "--bearing", str(tmp_path / name), "--json"]) == 0
        (first, *_) = map(json.loads, capsys.readouterr().out.splitlines())
        assert first["lines"][0]["hz"] == pytest.approx(3.5848 * SHAFT, rel=0.01)
        assert first["lines"][0]["heights"][0] > 16


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", None, "can't be read (No such file or directory): name another file"),
        ("a.toml", "balls = ", "is not readable TOML: "),
        ("a.json", "{", "is not readable JSON: "),
        ("a.json", "[9]", "does not describe a bearing: expected balls"),
        ("a.json", "{}", "does not describe a bearing: expected balls"),
        ("a.toml", "x = '" + 5000 * "x" + "'", "is longer than 4096 bytes"),
        ("a.toml", "ball = 9\nball_mm = 7.94\npitch_mm = 39.04", "bearing.ball: unknown key"),
        ("a.toml", "balls = 9\nball_mm = 7.94", "bearing: expected four numbers"),
        ("a.toml", "balls = 9\nball_mm = 39.04\npitch_mm = 7.94", "bearing: 9 balls of 39.04 mm do not fit a pitch"),
        ("a.toml", "balls = 14\nball_mm = 7.94\npitch_mm = 25", "bearing: 14 balls of 7.94 mm do not fit a pitch"),
        ("a.toml", "balls = 9.5\nball_mm = 7.94\npitch_mm = 39.04", "bearing.balls: expected 3 to 60"),
        ("a.toml", "ratios = [5.4152, 3.5848, 2.3567, 0.39828]", "bearing: BPFO 5.4152 and BPFI 3.5848"),
        ("a.toml", "ratios = [3.5848, 5.4152, 2.3567]", "bearing.ratios: expected BPFO, BPFI, BSF and FTF"),
        ("a.json", '{"balls": "9", "ball_mm": 7.94, "pitch_mm": 39.04}', "bearing: expected four numbers"),
        (
            "a.json",
            '{"balls": NaN, "ball_mm": 7.94, "pitch_mm": 39.04}',
            "contains a date, a NaN or an infinity: expected numbers",
        ),
        ("a.toml", "balls = 2026-11-23\nball_mm = 7.94", "contains a date, a NaN or an infinity: expected numbers"),
    ],
)
def test_a_bearing_file_with_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, said: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    assert main(["analyze", save(tmp_path / "x.npz", machine(1.5)), "--bearing", str(file)]) == 9
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == 1
    assert err.startswith(f"quaver: {file}: {said}")


def test_a_baseline_that_teaches_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = save(tmp_path / "dead.npz", np.zeros(4 * 16384, np.float32))
    loud = save(tmp_path / "loud.npz", np.clip(machine(8.0), -0.05, 0.05))
    for bad in (dead, loud):
        assert main(["analyze", save(tmp_path / "x.npz", machine(3.0)), "--baseline", bad]) == 9
        out, err = capsys.readouterr()
        assert f"quaver: {Path(bad).stem}: only 0 of " in err and "measurements can be learned from" in err
        assert "quality: " + ("stuck" if bad == dead else "clipped") in out


def test_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = save(tmp_path / "broken.npz", machine(3.0, 3.5848, seed=2))
    for name, head in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        file = tmp_path / name
        assert main(["analyze", broken, "--bearing", "6205", "--picture", str(file)]) == 0
        assert file.read_bytes().startswith(head)
    drawn = (tmp_path / "a.svg").read_text()
    assert all(f"<!-- {label}" in drawn for label in ("BPFO", "2 x BPFO", "3 x BPFO", "BPFI", "2xBSF", "FTF"))
    assert "amplitude (mg)" in drawn and "frequency (Hz)" in drawn and "broken, measurement 2: learning" in drawn
    assert main(["analyze", broken, "--picture", str(tmp_path / "plain.png")]) == 0  # no bearing: no lines to mark


def test_a_waterfall(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the measurements of a recording; one alone makes none, and two files are refused before the work."""
    broken = save(tmp_path / "broken.npz", machine(7.0, 3.5848, seed=2))
    file = tmp_path / "w.svg"
    assert main(["analyze", broken, "--rpm", "1797", "--bearing", "6205", "--waterfall", str(file)]) == 0
    drawn = file.read_text()
    for words in ("shaft", "BPFO", "2xBPFO", "6xBSF", "time (s)", "broken: 5 measurements, the last: ", "2.0 to 5.0"):
        assert f"<!-- {words}" in drawn or words in drawn, words
    capsys.readouterr()
    short = save(tmp_path / "short.npz", machine(1.5))
    assert main(["analyze", short, "--waterfall", str(file)]) == 1
    assert "a waterfall needs two spectra at least, and there is 1" in capsys.readouterr().err
    assert main(["analyze", broken, short, "--waterfall", str(file)]) == 2
    assert "--waterfall draws one recording: give one FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("hz", "confidence", "said"),
    [(29.95, 0.9, "1797 1/min"), (29.95, 0.4, "1797 1/min, not certain"), (None, 0.0, "no speed")],
)
def test_a_picture_says_how_certain_a_speed_is(hz: float | None, confidence: float, said: str) -> None:
    features = {"shaft_hz": hz, "shaft_confidence": confidence}
    assert conclusion(Verdict(0, features, "watching", "ok", {}, None, None, 0.0, "", None)) == f"ok; {said}"


@pytest.mark.parametrize("rpm", [None, SHAFT * 60])
def test_a_machine_that_stands_has_no_speed(rpm: float | None) -> None:
    """The mains hum at 50 Hz, below what counts as running; and so does a machine beside at the configured speed."""
    time = np.arange(full_length(RATE)) / RATE
    hum = 0.01 * np.sin(2 * np.pi * 50 * time) + 0.005 * np.sin(2 * np.pi * SHAFT * time)
    with Analysis(Settings(rpm, SKF_6205), RATE) as analysis:
        verdict = analysis.run(hum + np.random.default_rng(1).normal(0, 0.002, len(time)))
    assert verdict.state == "stopped"
    assert (verdict.features["shaft_hz"], verdict.features["shaft_confidence"]) == (None, 0.0)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("nowhere/a.png", "can't save the picture: No such file or directory; name another file"),
        ("a.jpg", "can't save the picture: expected a name that ends in .pdf, .png, .svg"),
        ("a", "can't save the picture: expected a name that ends in"),
        ("x.png", "can't save the picture: it is a folder; name a file"),
    ],
)
def test_a_picture_that_can_t_be_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], picture: str, said: str
) -> None:
    (tmp_path / "x.png").mkdir()
    assert main(["analyze", save(tmp_path / "a.npz", machine(3.0)), "--picture", str(tmp_path / picture)]) == 1
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == 1
    assert err.startswith(f"quaver: {tmp_path / picture}: {said}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "x.png"]


def test_a_recording_is_judged_at_the_rate_that_was_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same machine, recorded four times as fast, is the same; one recorded more slowly can't be compared."""
    from scipy.signal import resample_poly

    healthy = save(tmp_path / "healthy.npz", machine(8.0))
    for name, ratio in (("fast", (4, 1)), ("slow", (1, 2))):
        samples = resample_poly(machine(5.0, seed=2), *ratio)
        rate = RATE * ratio[0] / ratio[1]
        scale = float(np.abs(samples).max()) / 32767
        np.savez(tmp_path / f"{name}.npz", x=np.round(samples / scale).astype(np.int16), g_per_lsb=scale, fs=rate)
    command = ["analyze", "--baseline", healthy, "--learn", "4", "--rpm", str(SHAFT * 60), "--json"]
    assert main([*command, str(tmp_path / "fast.npz")]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fast = [verdict for verdict in told if verdict["recording"] == "fast"]
    assert {verdict["features"]["samples"] for verdict in told} == {16384}
    assert [(verdict["state"], verdict["level"]) for verdict in fast] == [("watching", "ok")] * 3
    assert main([*command, str(tmp_path / "slow.npz")]) == 9
    assert "slow: sampled at 6000 Hz, the baseline at 12000 Hz" in capsys.readouterr().err


def test_too_short_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", save(tmp_path / "a.npz", machine(0.075))]) == 9
    assert capsys.readouterr().err == "quaver: a: 900 samples at 12000 Hz: expected at least 1024\n"


def test_a_nodes_configuration_judges_as_the_node_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fault.npz"
    signal = Machine(fault="outer").samples(0, RATE, 0, 4 * full_length(RATE))[:, 2]
    np.savez(file, x=signal, fs=RATE)
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "machine": {"rpm": 1797, "bearing": "6205", "learn": 3},
                "alarm": {"count": 1, "of": 1},
                "limits": {"rms": [0.01, 0.02]},
                "vibration": {"driver": "adxl345", "bus": "i2c0", "samples": 1024},  # the recording stands for it
            }
        )
    )
    assert main(["analyze", str(file), "--unit", "g", "--config", str(config), "--json"]) == 0
    first, *_ = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["level"], first["causes"]["rms"]) == ("alarm", 2)  # at the first measurement, by the limit
    assert first["lines"][0]["hz"] == pytest.approx(3.5848 * 1797 / 60, rel=0.01)
    assert main(["analyze", str(file), "--unit", "g", "--config", str(config), "--bearing", "6203", "--json"]) == 0
    first, *_ = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["lines"][0]["hz"] != pytest.approx(3.5848 * 1797 / 60, rel=0.01)
    config.write_text('{"machine": {"rpm": -4}}')
    assert main(["analyze", str(file), "--config", str(config)]) == 8
    assert capsys.readouterr().err == f"quaver: {config}: machine.rpm: expected float from 0.0 to 60000.0\n"
