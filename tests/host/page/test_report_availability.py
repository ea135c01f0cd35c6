"""Availability, MTBF and MTTR by what a node says of running and alarms, and OEE by a counter of pieces."""

from pathlib import Path

import pytest

from quaver.errors import ReportError
from quaver.reports.availability import availability, reliability, stretches
from quaver.reports.counter import read_pieces
from quaver.reports.model import Report, Sample, Series
from quaver.reports.spec import Spec

TOPIC = "works/hall/line-2/mill/mill"
MINUTE, HOUR = 60_000, 3_600_000
BEGIN = 1_772_409_600_000  # 2026-03-02T00:00 UTC, a Monday


def told(*parts: tuple[int, str, str]) -> Series:
    """Parts of so many minutes each: (minutes, machine, level); machine "-": nothing comes."""
    samples, at = [], 0
    for minutes, machine, level in parts:
        for minute in range(at, at + minutes):
            if machine != "-":
                samples.append(Sample(BEGIN + minute * MINUTE, 1, minute, machine, level, True, "node", ()))
        at += minutes
    return Series(TOPIC, samples, MINUTE)


def made(series: Series, hours: float, spec: dict[str, object] | None = None) -> Report:
    return availability([series], Spec.model_validate(spec or {}), BEGIN, BEGIN + round(hours * HOUR))


def values(report: Report) -> dict[str, float | None]:
    return {one.key: one.value for one in report.figures}


def states(series: Series, hours: float) -> list[tuple[str, int]]:
    return [(one.state, one.ms // MINUTE) for one in stretches(series, BEGIN, BEGIN + round(hours * HOUR))]


RUN = ("watching", "ok")


def test_a_stop_under_alarm_is_a_failure_and_any_other_is_not() -> None:
    series = told((120, *RUN), (60, "stopped", "ok"), (60, *RUN), (30, "watching", "alarm"), (90, "stopped", "ok"),
                  (240, *RUN))  # fmt: skip
    assert states(series, 10) == [
        ("running", 120), ("stopped", 60), ("running", 90), ("failed", 90), ("running", 240),
    ]  # fmt: skip
    report = made(series, 10)
    found = values(report)
    assert found["availability"] == pytest.approx(100 * 510 / 600)
    assert found["mtbf"] == pytest.approx(7.5) and found["mttr"] == pytest.approx(1.5)
    assert found["oee"] is None
    mttr = next(one for one in report.figures if one.key == "mttr")
    assert mttr.behind == ((TOPIC, (1, 270), (1, 359), 90),)
    assert {"other_stops", "few_failures"} <= {one.key for one in report.notes}
    (stops,) = [one for one in report.tables if one.key == "stops"]
    assert [row.cells[3] for row in stops.rows] == [3600, 5400]


def test_the_interval_of_the_mtbf_is_that_of_a_constant_rate() -> None:
    """IEC 60605-4, by the chi-square distribution: here beside its relation to the Poisson distribution's tail."""
    parts = [part for _ in range(4) for part in ((290, *RUN), (10, "watching", "alarm"), (20, "stopped", "ok"))]
    sums = reliability(stretches(told(*parts, (120, *RUN)), BEGIN, BEGIN + 1400 * MINUTE))
    estimate, low, high = sums.mtbf_h
    hours = 22.0
    assert (sums.failures, estimate) == (4, pytest.approx(hours / 4))
    from scipy.stats import chi2, poisson  # as each worker of the tests reads this file

    assert low is not None and high is not None
    assert poisson.cdf(4, hours / low) == pytest.approx(0.05)
    assert poisson.sf(3, hours / high) == pytest.approx(0.05)
    none = reliability(stretches(told((600, *RUN)), BEGIN, BEGIN + 600 * MINUTE)).mtbf_h
    assert none == (None, pytest.approx(2 * 10 / chi2.ppf(0.9, 2)), None)


def test_what_no_record_tells_is_in_no_figure() -> None:
    series = told((60, *RUN), (120, "-", ""), (60, *RUN))
    assert states(series, 5) == [("running", 60), ("unknown", 120), ("running", 60), ("unknown", 60)]
    report = made(series, 5)
    assert values(report)["availability"] == 100.0
    assert {"gaps", "untold"} <= {one.key for one in report.notes}


def test_a_failure_whose_end_is_not_seen() -> None:
    """At the report's end, and at a gap: neither has a time to restoration."""
    series = told((60, "watching", "alarm"), (60, "stopped", "ok"))
    report = made(series, 2)
    assert values(report)["mttr"] is None and values(report)["availability"] == 50.0
    assert "not_restored" in {one.key for one in report.notes}
    (stops,) = [one for one in report.tables if one.key == "stops"]
    assert stops.rows[0].cells[2] is None
    gap = told((60, "watching", "alarm"), (30, "stopped", "ok"), (60, "-", ""), (30, *RUN))
    assert values(made(gap, 3))["mttr"] is None


def test_a_stop_outside_of_the_shifts_is_no_failure() -> None:
    series = told((120, "watching", "alarm"), (60, "stopped", "ok"), (60, *RUN))
    spec: dict[str, object] = {"shift": [{"name": "early", "begins": "00:00", "ends": "02:00"}]}
    assert values(made(series, 4))["mttr"] is not None
    assert values(made(series, 4, spec))["mttr"] is None


def test_a_node_that_does_not_say_whether_it_runs() -> None:
    report = made(told((60, "", "ok")), 1)
    assert not report.figures and [one.key for one in report.notes] == ["no_state"]


def test_oee_needs_a_counter_and_shifts(tmp_path: Path) -> None:
    """An hour of four stands; 300 of an ideal 360 pieces are made, and 270 of them are good."""
    path = tmp_path / "mill.csv"
    path.write_text("time,total,good\n2026-03-02T00:00Z,1000,990\n2026-03-02T04:00:00+00:00,1300,1260\n")
    series = told((180, *RUN), (60, "stopped", "ok"), (60, *RUN))
    counter = {"machine": [{"node": "mill", "counter": {"file": str(path), "ideal_per_h": 120}}]}
    assert values(made(series, 5, counter))["oee"] is None
    shifts = {"shift": [{"name": "all", "begins": "00:00", "ends": "24:00"}]}
    report = made(series, 5, counter | shifts)
    assert values(report)["oee"] == pytest.approx(100 * 0.75 * (300 / 360) * 0.9)
    (oee,) = [one for one in report.figures if one.key == "oee"]
    assert oee.behind[0].records == 240
    gap = told((60, *RUN), (60, "-", ""), (120, *RUN))
    assert values(made(gap, 5, counter | shifts))["oee"] is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("time,total\n2026-03-02T00:00Z,1\n", "row 2: expected the columns"),
        ("time,total,good\n2026-03-02T00:00,1,1\n", "row 2: the time needs its zone"),
        ("time,total,good\n2026-03-02T00:00Z,1,2\n", "row 2: expected 0 <= good <= total"),
        ("time,total,good\n2026-03-02T00:00Z,5,1\n2026-03-02T01:00Z,4,1\n", "row 3: time and counters have to grow"),
        ("time,total,good\n2026-03-02T00:00Z,x,1\n", "row 2"),
    ],
)
def test_a_counter_that_is_none(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "mill.csv"
    path.write_text(text)
    with pytest.raises(ReportError, match=why):
        read_pieces(path, BEGIN, BEGIN + HOUR)
    with pytest.raises(ReportError, match="can't be read"):
        read_pieces(tmp_path / "none.csv", BEGIN, BEGIN + HOUR)
