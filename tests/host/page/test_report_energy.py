"""Energy of a machine by the meter's counter: shifts, tariffs, peaks, idle, CO2, gaps and resets."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from quaver.reports.calendar import Timeline
from quaver.reports.energy import energy, factor_of
from quaver.reports.model import Note, Report, Sample, Series
from quaver.reports.spec import Spec

BERLIN = ZoneInfo("Europe/Berlin")
TOPIC = "works/hall/line-2/mill/mill"
MINUTE = 60_000
SPEC = {
    "zone": "Europe/Berlin",
    "shift": [
        {"name": "early", "begins": "06:00", "ends": "14:00"},
        {"name": "night", "begins": "22:00", "ends": "06:00"},
    ],
    "tariff": [{"name": "high", "begins": "06:00", "ends": "22:00", "price": 0.3}],
    "co2": {"country": "DE"},
}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


def meter(
    begin: str,
    minutes: int,
    kw: Callable[[int], float],
    *,
    machine: Callable[[int], str] = lambda _: "watching",
    left_out: Sequence[int] = (),
    step: int = 1,
    start_kwh: float = 1000.0,
) -> list[Sample]:
    """A record every `step` minutes; kw: of the minute that follows."""
    found, kwh, first = [], start_kwh, ms(begin)
    for minute in range(0, minutes + 1, step):
        if minute not in left_out:
            values = (kwh, kw(minute) * 1000)
            found.append(Sample(first + minute * MINUTE, 1, minute, machine(minute), "ok", True, "node", values))
        kwh += sum(kw(at) / 60 for at in range(minute, minute + step))
    return found


def made(samples: list[Sample], since: str, until: str, spec: dict[str, object] | None = None, step: int = 1) -> Report:
    series = Series(TOPIC, samples, step * MINUTE)
    return energy([series], Spec.model_validate(SPEC if spec is None else spec), ms(since), ms(until))


def figure(report: Report, key: str, subject: str = TOPIC) -> float | None:
    (found,) = [one for one in report.figures if (one.key, one.subject) == (key, subject)]
    assert (found.value is None) == (found.why is not None)
    return found.value


def groups(report: Report) -> dict[tuple[str, str], float]:
    (table,) = [one for one in report.tables if one.key == "by_group"]

    def name(cell: object) -> str:
        return cell.key if isinstance(cell, Note) else str(cell)

    return {(name(row.cells[1]), name(row.cells[2])): round(float(str(row.cells[3])), 6) for row in table.rows}


def keys(report: Report) -> set[str]:
    return {one.key for one in report.notes}


def test_energy_by_shift_and_tariff_with_the_records_behind_it() -> None:
    """6 kW all day: 8 h early, 8 h outside at the high tariff, and the nights' 8 h outside of every tariff."""
    report = made(meter("2026-03-02T00:00", 1440, lambda _: 6.0), "2026-03-02T00:00", "2026-03-03T00:00")
    assert figure(report, "energy") == pytest.approx(144)
    assert groups(report) == {("early", "high"): 48, ("night", "outside"): 48, ("outside", "high"): 48}
    (table,) = [one for one in report.tables if one.key == "by_group"]
    early = next(row for row in table.rows if row.cells[1] == "early")
    assert early.behind == ((TOPIC, (1, 360), (1, 840), 481),)
    assert early.cells[4] == pytest.approx(48 * 0.3)
    assert not [one for one in report.figures if one.key == "cost"]  # the night has no price: no sum is told
    assert figure(report, "co2") == pytest.approx(144 * 0.363)
    assert "co2_other_year" in keys(report)  # the table ends before 2026, and that is said
    assert sum(report.charts[0].lines[0].values) == pytest.approx(144)  # type: ignore[arg-type]


def test_the_days_on_which_the_clock_changes() -> None:
    """23 and 25 hours: energy is of real time, and the shift at night has an hour less, or more."""
    for day, until, hours in (("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)):
        report = made(meter(f"{day}T00:00", hours * 60, lambda _: 1.0), f"{day}T00:00", f"{until}T00:00")
        assert figure(report, "energy") == pytest.approx(hours)
        found = groups(report)
        assert found["early", "high"] == pytest.approx(8)
        assert found["night", "outside"] == pytest.approx(hours - 16)


def test_a_step_is_cut_where_a_shift_ends() -> None:
    """A record every 10 minutes from 05:55 on: half of the first step is of the night."""
    report = made(meter("2026-03-02T05:55", 60, lambda _: 6.0, step=10), "2026-03-02T05:55", "2026-03-02T06:55",
                  step=10)  # fmt: skip
    assert groups(report) == {("early", "high"): pytest.approx(5.5), ("night", "outside"): pytest.approx(0.5)}


def test_the_peak_is_of_whole_quarters_of_the_clock() -> None:
    """30 kW for 15 minutes across two quarters are two means of 18 and 16 kW, and no peak of 30."""

    def kw(minute: int) -> float:
        return 30.0 if 37 <= minute < 52 else 6.0

    report = made(meter("2026-03-02T08:00", 120, kw), "2026-03-02T08:00", "2026-03-02T10:00")
    assert figure(report, "peak") == pytest.approx((8 * 30 + 7 * 6) / 15)
    (table,) = [one for one in report.tables if one.key == "peaks"]
    assert [row.cells[1] for row in table.rows[:2]] == [ms("2026-03-02T08:30"), ms("2026-03-02T08:45")]
    assert table.rows[0].behind == ((TOPIC, (1, 30), (1, 45), 16),)
    # with a gap in its first quarter the second one is the peak, and that a quarter is not whole is said
    report = made(meter("2026-03-02T08:00", 120, kw, left_out=range(31, 40)), "2026-03-02T08:00", "2026-03-02T10:00")
    assert figure(report, "peak") == pytest.approx((7 * 30 + 8 * 6) / 15)
    assert "broken_quarters" in keys(report)


def test_over_a_gap_the_counter_tells_how_much_and_not_when() -> None:
    report = made(
        meter("2026-03-02T12:00", 240, lambda _: 6.0, left_out=range(90, 150)), "2026-03-02T12:00", "2026-03-02T16:00"
    )
    assert figure(report, "energy") == pytest.approx(24)  # nothing is lost
    assert groups(report) == {
        ("early", "high"): pytest.approx(8.9), ("outside", "high"): pytest.approx(9.0),
        ("not_known_when", "not_known_when"): pytest.approx(6.1),
    }  # fmt: skip
    assert {"gaps", "loose"} <= keys(report)
    (table,) = [one for one in report.tables if one.key == "gaps"]
    assert table.rows[0].cells[3:] == (61 * 60, pytest.approx(6.1)) and table.rows[0].behind[0].records == 2
    # one that lies in one shift alone is that shift's
    report = made(
        meter("2026-03-02T12:00", 120, lambda _: 6.0, left_out=range(30, 60)), "2026-03-02T12:00", "2026-03-02T14:00"
    )
    assert groups(report) == {("early", "high"): pytest.approx(12)} and "loose" not in keys(report)


def test_a_counter_that_goes_back_is_said_and_not_counted() -> None:
    before = meter("2026-03-02T08:00", 60, lambda _: 6.0)
    after = [one._replace(boot=2) for one in meter("2026-03-02T09:01", 59, lambda _: 6.0, start_kwh=0.3)]
    report = made(before + after, "2026-03-02T08:00", "2026-03-02T10:00")
    assert figure(report, "energy") == pytest.approx(6 + 5.9)
    assert "counter_back" in keys(report)
    (table,) = [one for one in report.tables if one.key == "gaps"]
    cell = table.rows[0].cells[4]
    assert isinstance(cell, Note) and cell.key == "went_back"


def test_a_report_ends_where_it_ends() -> None:
    """Records outside of its time stand for the counter at its ends, and are counted to there."""
    samples = meter("2026-03-02T07:55", 120, lambda _: 6.0, step=10)
    assert figure(made(samples, "2026-03-02T08:00", "2026-03-02T09:00", step=10), "energy") == pytest.approx(6)
    report = made(samples[2:3] + samples[9:], "2026-03-02T08:20", "2026-03-02T09:40", step=10)
    assert figure(report, "energy") == pytest.approx(1.5)  # how much of the gap is of the report nobody knows
    assert {"gaps", "loose"} <= keys(report)


@pytest.mark.parametrize(
    ("state", "idle_w", "expected"),
    [("stopped", None, 1.0), ("watching", None, 0.0), ("watching", 1500.0, 1.0), ("", 1500.0, 1.0), ("", None, None)],
)
def test_idle_energy_by_state_by_threshold_or_not_at_all(
    state: str, idle_w: float | None, expected: float | None
) -> None:
    """An hour at 1 kW, in that state, and an hour at 6 kW."""
    spec = {**SPEC, "machine": [{"node": "mill", "idle_w": idle_w}]} if idle_w else SPEC
    samples = meter(
        "2026-03-02T08:00", 120, lambda minute: 1.0 if minute < 60 else 6.0,
        machine=lambda minute: state if minute < 60 else state and "watching",
    )  # fmt: skip
    report = made(samples, "2026-03-02T08:00", "2026-03-02T10:00", spec)
    found = figure(report, "idle")
    assert found == (expected if expected is None else pytest.approx(expected))
    assert ("no_idle_w" in keys(report)) == (bool(state) and idle_w is None)


def test_co2_is_by_the_calendar_year_or_not_told() -> None:
    samples = meter("2024-12-31T23:00", 120, lambda _: 6.0)
    report = made(samples, "2024-12-31T23:00", "2025-01-01T01:00", {**SPEC, "co2": {"country": "DE"}})
    assert figure(report, "co2") == pytest.approx(12 * 0.363)
    assert {"co2_table", "co2_other_year"} <= keys(report)
    own = {"g_per_kwh": 50, "source": "the contract", "year": 2024}
    assert figure(made(samples, "2024-12-31T23:00", "2025-01-01T01:00", {**SPEC, "co2": own}), "co2") == pytest.approx(
        0.6
    )
    without = {key: value for key, value in SPEC.items() if key != "co2"}
    assert figure(made(samples, "2024-12-31T23:00", "2025-01-01T01:00", without), "co2") is None
    assert [factor_of("DE", year).year for year in (2019, 2022, 2023, 2030)] == [2022, 2022, 2023, 2024]


def test_several_machines_have_a_peak_together() -> None:
    one = Series(TOPIC, meter("2026-03-02T08:00", 60, lambda m: 12.0 if m < 15 else 6.0), MINUTE)
    other = Series(f"{TOPIC}-2", meter("2026-03-02T08:00", 60, lambda m: 12.0 if m >= 45 else 2.0), MINUTE)
    none = Series(f"{TOPIC}-3", [], 0)
    spec = Spec.model_validate(SPEC)
    report = energy([one, other, none], spec, ms("2026-03-02T08:00"), ms("2026-03-02T09:00"))
    (table,) = [one for one in report.tables if one.key == "peaks"]
    both = [row for row in table.rows if isinstance(row.cells[0], Note)]
    assert both[0].cells[1:] == (ms("2026-03-02T08:45"), pytest.approx(18))
    assert [one.node for one in both[0].behind] == [TOPIC, f"{TOPIC}-2"]
    assert "no_meter" in keys(report)


def test_a_timeline_without_spans_and_one_over_midnight() -> None:
    since, until = ms("2026-03-02T00:00"), ms("2026-03-03T00:00")
    assert list(Timeline((), BERLIN, since, until).pieces(since, until)) == [(since, until, "")]
    spec = Spec.model_validate({"zone": "Europe/Berlin", "shift": [
        {"name": "night", "begins": "22:00", "ends": "06:00", "days": ["sun"]}]})  # fmt: skip
    pieces = list(Timeline(spec.shift, BERLIN, since, until).pieces(since, until))
    assert [(end - begin) // 3_600_000 for begin, end, _ in pieces] == [6, 18]
    assert [name for *_, name in pieces] == ["night", ""]
