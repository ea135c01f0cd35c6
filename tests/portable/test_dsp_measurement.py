"""A whole measurement against numpy and scipy in double precision, on the real MicroPython."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.programs import program

Run = Callable[..., Any]
RATE = 26667.0
UG = 488
N = 32768
OUTER, INNER, BALL, CAGE = SKF_6205 = 3.5848, 5.4152, 2.3567, 0.39828
SKF_6203 = 3.0530, 4.9470, 1.9937, 0.38163  # lines close to the shaft's harmonics, and one turn from each other

PROGRAM = program(__file__, "measure")


def measure(
    run: Run,
    *blocks: Any,
    rate: float = RATE,
    tachometer: dict[str, Any] | None = None,
    ratios: tuple[float, ...] = SKF_6205,
    **settings: Any,
) -> list[dict[str, Any]]:
    samples = [np.asarray(block).astype(int).tolist() for block in blocks]
    argument = {
        **(tachometer or {}),
        "settings": [rate, settings],
        "blocks": samples,
        "ug": UG,
        "ratios": ratios,
    }
    result: list[dict[str, Any]] = run(PROGRAM, argument=argument, heap="16m")
    return result


def tones(*lines: tuple[float, float], n: int = N, rate: float = RATE, noise: float = 8.0) -> NDArray[np.float64]:
    """Sines of (Hz, g) as samples, on gravity and some noise (LSB)."""
    time = np.arange(n) / rate
    signal = np.random.default_rng(n).normal(2049, noise, n)
    for index, (frequency, amplitude) in enumerate(lines):
        signal += amplitude / (UG * 1e-6) * np.sin(2 * np.pi * frequency * time + index)
    return np.round(signal)


def bearing(
    line_hz: float,
    shaft_hz: float,
    *,
    rate: float = RATE,
    n: int = N,
    strength: float = 4.0,
    load_hz: float = 0.0,
    change: float = 0.0,
    sway: float = 0.0,
) -> Any:
    """Impacts at line_hz ring a resonance at 3.5 kHz; a weak turning line, none at 0 Hz; noise.

    load_hz: how often the load on the flaw comes and goes. change: by what part of it the speed rises meanwhile.
    sway: by what part the noise comes and goes with the shaft's first five harmonics.
    """
    time = np.arange(n) / rate
    rng = np.random.default_rng(5)
    turned = np.arange(0.003, time[-1], 1 / line_hz)
    signal = 0.15 * np.sin(2 * np.pi * shaft_hz * np.interp(time, later_by(time, time[-1], change), time))
    swaying = sum(np.cos(2 * np.pi * shaft_hz * harmonic * time + harmonic) for harmonic in range(1, 6))
    signal += rng.normal(0, 0.05, n) * (1 + sway * swaying)
    for start in later_by(turned, time[-1], change):
        rings = slice(*np.searchsorted(time, (start, start + 0.04)))  # by when nothing of it is left
        later = time[rings] - start
        ring = np.exp(-later * 900) * np.sin(2 * np.pi * 3500 * later)
        signal[rings] += strength * (1 + np.cos(2 * np.pi * load_hz * start)) / 2 * ring
    return np.round(signal / (UG * 1e-6))


def later_by(moments: Any, whole: float, change: float) -> Any:
    """When comes what comes at those moments at a steady speed, if the speed rises by that part of it meanwhile."""
    return moments + change / 2 * moments * (1 - moments / whole)


def velocity(block: Any, rate: float, low: float = 10.0, high: float = 1000.0) -> float:
    """mm/s RMS from the spectrum of the whole block under a Hann window."""
    moved = (np.asarray(block) - np.mean(block)) * UG * 1e-6 * 9806.65
    n = len(moved)
    spectrum = np.fft.rfft(moved * np.hanning(n + 1)[:n])
    frequency = np.fft.rfftfreq(n, 1 / rate)
    chosen = (frequency >= low - 0.4) & (frequency <= high + 0.4)
    square = np.abs(spectrum[chosen] / (2 * np.pi * frequency[chosen])) ** 2
    return float(np.sqrt(square.sum() * 2 / n**2 / 0.375))


def test_time_features_agree_with_scipy(micropython: Run) -> None:
    from scipy.stats import kurtosis, skew  # late: it takes each worker two seconds

    rng = np.random.default_rng(1)
    bursts = np.round(rng.normal(2048, 200, N) + 9000 * (rng.random(N) < 0.005))
    blocks = [tones((300.0, 1.0)), bursts, rng.integers(-32768, 32768, N), np.where(rng.random(N) < 0.5, -32768, 32767)]
    for block, got in zip(blocks, measure(micropython, *blocks), strict=True):
        moved = block - block.mean()
        rms, peak = float(np.sqrt(np.mean(moved**2))), float(np.abs(moved).max())
        assert got["rms"] == pytest.approx(rms * UG * 1e-6, rel=1e-6)
        assert got["peak"] == pytest.approx(peak * UG * 1e-6, rel=1e-6)
        assert got["crest"] == pytest.approx(peak / rms, rel=1e-6)
        assert got["kurtosis"] == pytest.approx(kurtosis(block, fisher=False), rel=1e-5)
        assert got["skew"] == pytest.approx(skew(block), rel=1e-4, abs=1e-5)
        assert got["range"] == [block.min(), block.max()]
        assert got["kept"]


@pytest.mark.parametrize("frequency", [11.3, 25.0, 99.7, 312.5, 640.0, 990.0])
def test_velocity_of_a_tone(micropython: Run, frequency: float) -> None:
    """Amplitude 5 mm/s is 3.54 mm/s RMS, wherever in the band; an accelerating 5 kHz beside it adds nothing."""
    amplitude = 5.0 * 2 * math.pi * frequency / 9806.65
    (got,) = measure(micropython, tones((frequency, amplitude), (5000.0, 0.5)))
    assert got["velocity"] == pytest.approx(5.0 / math.sqrt(2), rel=0.02)


@pytest.mark.parametrize(("rate", "n"), [(26667.0, 32768), (12000.0, 16384), (3200.0, 4096)])
def test_velocity_agrees_with_numpy(micropython: Run, rate: float, n: int) -> None:
    from scipy.signal import butter, sosfilt  # late: it takes each worker two seconds

    rng = np.random.default_rng(3)
    lines = [(29.95, 0.05), (59.9, 0.02), (181.0, 0.1), (750.0, 0.3)]
    sos = butter(4, 0.7, output="sos")
    rough = sosfilt(sos, rng.normal(0, 60, n))
    block = np.round(tones(*lines, n=n, rate=rate) + rough)
    settings = {"band": (400, 1200)} if rate < 4000 else {}
    (got,) = measure(micropython, block, rate=rate, **settings)
    assert got["n"] == n
    assert got["velocity"] == pytest.approx(velocity(block, rate), rel=0.02)


def test_peaks_and_bands(micropython: Run) -> None:
    lines = [(1234.5, 3.0), (5000.0, 1.0), (8000.0, 0.2), (300.0, 0.05)]
    block = tones(*lines, noise=0.5)
    (got,) = measure(micropython, block)
    found = [got["peaks"][i : i + 2] for i in range(0, len(got["peaks"]), 2)]
    for (frequency, amplitude), (true_frequency, true_amplitude) in zip(found, lines, strict=False):
        assert abs(frequency - true_frequency) < 0.25 * RATE / 4096
        assert amplitude == pytest.approx(true_amplitude, rel=0.02)
    # octaves below 13,333 Hz: 5 and 8 kHz lie in the upper two
    assert got["bands"][7] == pytest.approx(0.2 / math.sqrt(2), rel=0.02)
    assert got["bands"][6] == pytest.approx(1.0 / math.sqrt(2), rel=0.02)
    assert got["bands"][2] == pytest.approx(0.05 / math.sqrt(2), rel=0.05)


@pytest.mark.parametrize(("line", "ratio"), [(0, OUTER), (1, INNER), (2, 2 * BALL)])
def test_a_bearing_s_lines(micropython: Run, line: int, ratio: float) -> None:
    shaft = 24.7
    (got,) = measure(micropython, bearing(ratio * shaft, shaft), nominal_hz=25.0)
    assert got["shaft"][0] == pytest.approx(shaft, abs=0.4)
    assert got["shaft"][1] > 0.5
    assert got["hz"][line] == pytest.approx(ratio * shaft, abs=0.4)
    assert got["score"][line] > 16
    assert max(s for i, s in enumerate(got["score"]) if i != line) < got["score"][line] / 2


def test_the_amplitude_of_a_modulation(micropython: Run) -> None:
    """1 g at 3 kHz, modulated by 40 %: the rectified carrier is 2/pi g after the band-pass, its line 40 % of that."""

    from scipy.signal import butter, sosfreqz  # late: it takes each worker two seconds

    time = np.arange(N) / RATE
    line = INNER * 25.0
    signal = (1 + 0.4 * np.sin(2 * np.pi * line * time)) * np.sin(2 * np.pi * 3000 * time)
    signal += 0.1 * np.sin(2 * np.pi * 25.0 * time)
    (got,) = measure(micropython, np.round(signal / (UG * 1e-6)), nominal_hz=25.0)
    sos = np.vstack([butter(2, 2000, "high", fs=RATE, output="sos"), butter(2, 5000, "low", fs=RATE, output="sos")])
    carrier = 2 / math.pi * abs(sosfreqz(sos, [3000], fs=RATE)[1][0])
    assert got["g"][1] == pytest.approx(0.4 * carrier, rel=0.03)
    assert got["envelope"] == pytest.approx(carrier * math.sqrt(1 + 0.4**2 / 2), rel=0.03)


def test_a_speed_that_nobody_configured(micropython: Run) -> None:
    (clear, silent) = measure(micropython, tones((23.4, 0.1), (46.8, 0.08), (70.2, 0.1)), tones())
    assert clear["shaft"][0] == pytest.approx(23.4, abs=0.2)
    assert clear["shaft"][1] > 0.5
    assert silent["shaft"] == [None, 0.0] or silent["shaft"][1] < 0.5


def test_a_multiple_of_the_speed_is_no_speed(micropython: Run) -> None:
    """At 50 Hz the second harmonic stands; it is the shaft's own line only if none below it is as high."""
    (right,) = measure(micropython, tones((25.0, 0.1), (50.0, 0.1)), nominal_hz=25.0)
    twice, other = measure(
        micropython, tones((25.0, 0.1), (50.0, 0.1)), tones((25.0, 0.02), (50.0, 0.1)), nominal_hz=50.0
    )
    assert right["shaft"] == [pytest.approx(25.0, abs=0.2), pytest.approx(0.9, abs=0.1)]
    assert twice["shaft"] == [50.0, 0.0]
    assert other["shaft"] == [pytest.approx(50.0, abs=0.2), pytest.approx(0.9, abs=0.1)]


@pytest.mark.parametrize(("line", "ratio"), [(0, OUTER), (1, INNER)])
@pytest.mark.parametrize("configured", [24.0, 25.0])
def test_a_speed_that_a_line_alone_shows(micropython: Run, line: int, ratio: float, configured: float) -> None:
    (got,) = measure(micropython, bearing(ratio * 24.7, 0.0), nominal_hz=configured)
    assert got["shaft"][0] == pytest.approx(24.7, abs=0.15)
    assert got["shaft"][1] > 0.5
    assert got["score"][line] > 16
    assert got["signs"][line] >= 3
    assert got["evidence"][line] > 24


def test_a_line_that_may_be_another_shows_no_speed(micropython: Run) -> None:
    """The ball's line lies at 4.71 turns, and so may the fifth harmonic of a shaft that is 5 % slow."""
    (got,) = measure(micropython, bearing(2 * BALL * 25.3, 0.0), nominal_hz=25.0)
    assert got["heights"][6] > 16
    assert got["shaft"] == [25.0, 0.0]


def test_sidebands_tell_what_the_place_of_a_line_does_not(micropython: Run) -> None:
    """At 25.9 Hz the fifth harmonic may lie where the inner race's line does; at 23.8 Hz no inner race's line does."""
    steady, loaded, other = (
        measure(micropython, bearing(INNER * 24.7, 0.0, load_hz=load), nominal_hz=25.9)[0] for load in (0.0, 24.7, 26.3)
    )
    assert steady["shaft"] == [25.9, 0.0]
    assert loaded["shaft"][0] == pytest.approx(24.7, abs=0.1)
    assert loaded["shaft"][1] > 0.5
    assert loaded["score"][1] > 16
    assert loaded["signs"][1] > steady["signs"][1] == 0
    assert other["score"][1] == 0


@pytest.mark.parametrize("times", [1, 2])
def test_a_ball_s_sidebands_lie_once_or_twice_the_cage_s_speed_away(micropython: Run, times: int) -> None:
    """They tell the ball's line, and the speed, though the shaft's fifth harmonic may lie there."""
    ball = bearing(2 * BALL * 24.7, 0.0, load_hz=times * CAGE * 24.7, strength=0.5)
    (got,) = measure(micropython, ball, nominal_hz=25.0)
    assert got["shaft"][0] == pytest.approx(24.7, abs=0.15)
    assert got["shaft"][1] > 0.5
    assert got["evidence"][2] > 12
    assert got["signs"][2] >= 3


def test_another_speed_that_shows_refutes_the_configured_one(micropython: Run) -> None:
    line = bearing(INNER * 24.7, 0.0)
    other = tones((41.0, 0.5), (82.0, 0.2), noise=0.0) - 2049
    alone, refuted = measure(micropython, line, np.round(line + other), nominal_hz=25.0)
    assert alone["shaft"][1] > 0.5
    assert refuted["heights"][3] > 16
    assert refuted["shaft"] == [25.0, 0.0]


@pytest.mark.parametrize(("change", "refused"), [(0.0, False), (0.03, False), (0.12, True), (0.2, True)])
def test_a_speed_that_changes_meanwhile(micropython: Run, change: float, refused: bool) -> None:
    (got,) = measure(micropython, bearing(OUTER * 24.7, 0.0, change=change), nominal_hz=25.0)
    assert got["changed"] == refused
    assert (got["score"][0] == 0) == refused


@pytest.mark.parametrize(("rate", "n"), [(26667.0, 32768), (26667.0, 16384), (12000.0, 16384)])
@pytest.mark.parametrize(("change", "tracked"), [(0.0, False), (0.12, True), (0.3, True), (-0.2, True)])
def test_a_tachometer_tracks_a_speed_that_changes(
    micropython: Run, change: float, tracked: bool, rate: float, n: int
) -> None:
    """By angle the lines stand where they would at the mean speed, and as high as at a steady one."""
    whole = n / rate
    turns = np.arange(0.011, whole, 1 / 24.7)
    marks = np.round(later_by(turns, whole, change) * 1e6).astype(int).tolist()
    block = bearing(OUTER * 24.7, 24.7, change=change, rate=rate, n=n)
    tachometer = {"marks": marks, "turns_hz": 24.7}
    steady, got = (
        measure(micropython, each, rate=rate, n=n, tachometer=tachometer, nominal_hz=25.0)[0]
        for each in (bearing(OUTER * 24.7, 24.7, rate=rate, n=n), block)
    )
    assert got["tracked"] == tracked
    assert got["shaft"] == [24.7, 1.0]
    assert got["hz"][0] == pytest.approx(OUTER * 24.7, abs=0.5 * rate / n)
    assert not got["changed"]
    assert got["g"][0] > 0.85 * steady["g"][0]
    assert min(got["heights"][:3]) > 16
    assert got["signs"][0] >= 5


def test_other_knocks_hide_no_line(micropython: Run) -> None:
    """Loud ones without a beat: 15 a second, many a hundred times as high as the flaw's. The level has all of them."""
    rng = np.random.default_rng(3)
    block = bearing(OUTER * 24.7, 24.7, strength=0.3)
    for start in rng.integers(0, N - 200, round(15 * N / RATE)):
        time = np.arange(200) / RATE
        ring = np.exp(-1500 * time) * np.sin(2 * np.pi * 3200 * time)
        block[start : start + 200] += np.round(rng.exponential(5) / (UG * 1e-6) * ring)
    block = np.clip(block, -32768, 32767)
    alone, knocked = measure(micropython, bearing(OUTER * 24.7, 24.7, strength=0.3), block, nominal_hz=24.7)
    assert knocked["evidence"][0] > 24
    assert knocked["envelope"] > 4 * alone["envelope"]


@pytest.mark.parametrize(("line", "ratio"), [(0, OUTER), (1, INNER)])
def test_a_harmonic_of_a_line_is_no_line(micropython: Run, line: int, ratio: float) -> None:
    """Twice and three times the true speed, the race's line lies on its own harmonic, which is high enough."""
    for times in (1, 2, 3):
        (got,) = measure(micropython, bearing(ratio * 15.0, 15.0), nominal_hz=15.0 * times)
        assert got["heights"][3 * line] > 8
        assert (got["score"][line] > 0) == (times == 1)


@pytest.mark.parametrize(("line", "slip"), [(0, 1.0), (1, 1.0), (1, 1.004)])
def test_a_line_close_to_the_shaft_s(micropython: Run, line: int, slip: float) -> None:
    """The shaft's harmonics, as high, hide it not: it lies beside them, and its own harmonics as many times as far.

    The ball's line is where the sidebands of both races are; there they speak for no ball.
    """
    shaft = 24.7
    blow = bearing(SKF_6203[line] * slip * shaft, shaft, load_hz=shaft, strength=0.6, sway=0.6)
    (got,) = measure(micropython, blow, nominal_hz=25.0, ratios=SKF_6203)
    assert got["hz"][line] == pytest.approx(SKF_6203[line] * slip * shaft, abs=0.4)
    assert got["score"][line] > 8
    assert got["heights"][6] > 8
    assert [score for i, score in enumerate(got["score"]) if i != line] == [0, 0, 0]


@pytest.mark.parametrize("harmonic", [3, 4, 5])
def test_the_shaft_s_own_harmonics_are_no_line(micropython: Run, harmonic: int) -> None:
    (got,) = measure(micropython, bearing(harmonic * 24.7, 24.7), nominal_hz=25.0, ratios=SKF_6203)
    assert max(got["heights"]) > 16
    assert got["score"][:3] == [0, 0, 0]


def test_blocks_that_say_nothing(micropython: Run) -> None:
    zero, low, high = measure(micropython, np.zeros(N), np.full(N, -32768), np.full(N, 32767), nominal_hz=25.0)
    for got in (zero, low, high):
        assert [got[key] for key in ("rms", "peak", "crest", "kurtosis", "skew", "envelope")] == [0] * 6
        assert got["peaks"] == []
        assert got["score"] == [0, 0, 0, 0]
        assert got["shaft"] == [25.0, 0.0]


def test_a_short_measurement(micropython: Run) -> None:
    """A sixteenth of the samples: the same features, no velocity, and no speed told."""
    block = tones((1250.0, 1.0), n=2048)
    (got,) = measure(micropython, block, n=2048, nominal_hz=25.0)
    assert got["velocity"] is None
    assert got["shaft"] == [25.0, 0.0]
    assert got["rms"] == pytest.approx(float(np.std(block)) * UG * 1e-6, rel=1e-6)
    assert got["peaks"][0] == pytest.approx(1250.0, abs=0.25 * RATE / 2048)
    assert got["peaks"][1] == pytest.approx(1.0, rel=0.02)


def test_an_object_keeps_nothing_from_the_measurement_before(micropython: Run) -> None:
    loud, quiet = bearing(90.0, 25.0), tones((700.0, 0.01))
    answers = measure(micropython, quiet, loud, np.zeros(N), quiet, nominal_hz=25.0)
    assert answers[0] == answers[3]


def test_settings_that_make_no_sense_are_refused(micropython: Run) -> None:
    got = micropython(program(__file__, "refusals"))
    assert len(got) == 7
    assert got[0] == "measurement: expected a rate from 1000 to 100000 Hz, found 10"
    assert got[1] == "measurement: expected a power of two from 1024 to 32768 samples, found 3000"
    assert got[4] == "measurement: expected an envelope band from 32 to 1440 Hz, found 2000 to 5000"
    assert got[6] == "measurement: 0 of 4096 samples"


def test_memory(micropython: Run) -> None:
    """What is made once fits 48 kB; a block takes none; a second measurement leaves nothing behind."""
    held, grown = micropython(program(__file__, "memory"))
    assert held < 46_000  # of a 64-bit board, on which the small objects take twice the room
    assert grown < 1_000
