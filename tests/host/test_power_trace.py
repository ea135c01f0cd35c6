"""`quaver power compare`: traces as a Power Profiler and a Joulescope write them, and what is no trace."""

from pathlib import Path

import pytest

from quaver.bench.power import Cycle, compared, figures, threshold_ma
from quaver.bench.power_trace import measure, read_trace
from quaver.board.spec import load_board
from quaver.emulator.charge import mean_ma
from quaver.emulator.radio.path import Tally
from quaver.errors import RecordingError

PERIOD_MS, AWAKE_MS, WAKES = 2000, 300, 4


def current_ma(ms: int) -> float:
    """Awake at 25 mA from 1 s on, with a dip that is no sleep; asleep at 6 uA."""
    at = (ms - 1000) % PERIOD_MS
    return 25.0 if ms >= 1000 and at < AWAKE_MS and not 100 <= at < 110 else 0.006


def power_profiler(path: Path) -> Path:
    rows = (f"{ms},{current_ma(ms) * 1000:.3f},00000000" for ms in range(1000 + WAKES * PERIOD_MS))
    path.write_text("\n".join(("Timestamp(ms),Current(uA),D0-D7", *rows)))
    return path


def joulescope(path: Path) -> Path:
    rows = (f"{ms / 1000:.8f},{current_ma(ms) / 1000:.4e},3.3000" for ms in range(1000 + WAKES * PERIOD_MS))
    path.write_text("\n".join(("#time,current,voltage", *rows)))
    return path


def joulescope_view(path: Path) -> Path:
    """As numpy writes it for the UI's "Export visible data as CSV"."""
    rows = (f"{ms / 1000:.18e},{3.3:.18e},{current_ma(ms) / 1000:.18e}" for ms in range(1000 + WAKES * PERIOD_MS))
    path.write_text("\n".join(("# time,JS220-000415.v,JS220-000415.i", *rows)))
    return path


@pytest.mark.parametrize("write", [power_profiler, joulescope, joulescope_view])
def test_all_kinds_of_trace_say_the_same(tmp_path: Path, write: object) -> None:
    found = measure(read_trace(write(tmp_path / "trace.csv")), threshold_ma("esp32_c3"))  # type: ignore[operator]
    assert found.wakes == WAKES - 1  # the last one has no next
    assert found.period_s == pytest.approx(2.0, abs=0.002)
    assert found.awake_s == pytest.approx(0.3, abs=0.002)
    assert found.mas == pytest.approx(25 * 0.29, rel=0.01)
    assert found.asleep_ma == pytest.approx(0.006, rel=0.01)
    assert found.mean_ma == pytest.approx(25 * 0.29 / 2, rel=0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2", "line 1 names no time and current"),
        ("Timestamp(ms),Current(uA)\n0,1\n1,x", "between lines 2 and 4 is no number"),
        ("Timestamp(ms),Current(uA)\n5,1\n1,1", "times run backwards"),
        ("Timestamp(ms),Current(uA)\n", "no samples"),
    ],
)
def test_what_is_no_trace_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=said) as refused:
        read_trace(path)
    assert "\n" not in str(refused.value)


def test_a_trace_without_two_wakes_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("Timestamp(ms),Current(uA)\n" + "\n".join(f"{ms},6" for ms in range(100)))
    with pytest.raises(RecordingError, match="0 whole wakes"):
        measure(read_trace(path), 1.0)


def test_charge_is_time_by_state_times_the_published_current(tmp_path: Path) -> None:
    """Four seconds in a cycle of two measurements; the rest of it is sleep, whatever the interval is."""
    radio = Tally(radio_s=0.5, transmit_s=0.1, on_s=1.0)
    cycle = Cycle({"awake": 3.0, "idle": 1.0, "light_sleep": 0.0, "deep_sleep": 9.0}, radio, 2.0, 2, 0.8)
    found = {figure.name.strip(): figure.value for figure in figures("esp32_c3", "adxl345", cycle, 600, 3000, 0.0)}
    mas = 3 * 26.8 + 0.1 * 262 + 0.4 * 84 + 0.5 * 36 + 2 * 0.14
    asleep = (1200 - 4) * 0.005 + (1200 - 2) * 0.0001
    assert found["measuring every 600 s"] == pytest.approx((mas + asleep) / 1200, abs=0.001)
    assert sum(value for name, value in found.items() if name.startswith("share")) == pytest.approx(100, abs=0.5)
    measured = measure(read_trace(power_profiler(tmp_path / "trace.csv")), threshold_ma("esp32_c3"))
    rows = {figure.name: figure.value for figure in compared("esp32_c3", "adxl345", cycle, measured, 0.0)}
    assert rows["asleep, measured"] == pytest.approx(0.006, rel=0.01)


def test_the_mean_of_a_node_is_over_all_of_its_states() -> None:
    """Ten seconds awake, two of them waiting, Wi-Fi on for four; ninety asleep, and a sensor that measures for one."""
    states = {"awake": 8.0, "idle": 2.0, "light_sleep": 0.0, "deep_sleep": 90.0, "wifi": 4.0, "sensor iis3dwb": 1.0}
    mas = 6 * 26.8 + 4 * 84 + 90 * 0.005 + 1 * 1.1 + 99 * 0.005
    assert mean_ma(load_board("esp32_c3"), states) == pytest.approx(mas / 100)
    assert mean_ma(load_board("unix"), states) is None
