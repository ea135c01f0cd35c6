"""Control charts: the published examples of the NIST/SEMATECH e-Handbook, beside an independent computation."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from quaver.reports.control import (
    RULES,
    autocorrelation,
    capability,
    control,
    ewma,
    individuals,
    nelson,
)
from quaver.reports.model import Report, Sample, Series
from quaver.reports.spec import Spec

TOPIC = "works/hall/line-2/mill/mill"
# e-Handbook 6.3.2.2: flow rates of ten batches
FLOW = (49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1)
# e-Handbook 6.3.2.4: the EWMA's example, lambda 0.3, target 50, s 2.0539
YIELD = (
    52.0, 47.0, 53.0, 49.3, 50.1, 47.0, 51.0, 50.1, 51.2, 50.5,
    49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1,
)  # fmt: skip
EWMA = (
    50.60, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33,
    50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99,
)  # fmt: skip


def test_the_chart_of_individuals_of_the_handbook() -> None:
    chart = individuals(FLOW)
    assert chart.mean == pytest.approx(50.81)
    assert chart.mean_range == pytest.approx(1.8778, abs=5e-5)
    assert chart.limits == (pytest.approx(45.8159, abs=1e-4), pytest.approx(55.8041, abs=1e-4))
    assert chart.range_limit == pytest.approx(3.267 * 1.8778, abs=2e-4)
    assert nelson(FLOW, chart.mean, chart.sigma)[1] == []


def test_the_ewma_of_the_handbook() -> None:
    found = ewma(YIELD, 50.0, 2.0539, 0.3)
    assert [round(one, 2) for one in found.values] == list(EWMA)
    assert (found.low[-1], found.high[-1]) == (pytest.approx(47.4115, abs=1e-3), pytest.approx(52.5884, abs=1e-3))
    assert all(low <= one <= high for one, low, high in zip(found.values, found.low, found.high, strict=True))
    assert found.high[0] == pytest.approx(50 + 3 * 2.0539 * 0.3)  # of one value alone


def test_the_constants_are_those_of_pairs() -> None:
    """d2 is the mean range of two normal values, and D4 = 1 + 3 d3 / d2."""
    d2, d3 = 2 / np.sqrt(np.pi), np.sqrt(2 - 4 / np.pi)
    chart = individuals((0.0, 1.0, 0.0))
    assert 1 / chart.sigma == pytest.approx(d2, rel=1e-3)
    assert chart.range_limit == pytest.approx(1 + 3 * d3 / d2, rel=1e-3)


def runs(z: Sequence[float]) -> dict[int, list[int]]:
    """The eight rules once more, with arrays, point by point from the definitions."""
    x = np.asarray(z)
    found: dict[int, list[int]] = {rule: [] for rule in RULES}
    for i in range(len(x)):

        def last(count: int, i: int = i) -> np.ndarray:
            return x[i - count + 1 : i + 1] if i + 1 >= count else np.full(0, np.nan)

        broken = {
            1: abs(x[i]) > 3,
            2: len(last(9)) and (np.all(last(9) > 0) or np.all(last(9) < 0)),
            3: len(last(6)) and (np.all(np.diff(last(6)) > 0) or np.all(np.diff(last(6)) < 0)),
            4: len(last(14)) and np.all(np.sign(np.diff(last(14)))[1:] == -np.sign(np.diff(last(14)))[:-1])
            and np.all(np.diff(last(14)) != 0),
            5: len(last(3)) and any((s * last(3) > 2).sum() >= 2 and s * x[i] > 2 for s in (1, -1)),
            6: len(last(5)) and any((s * last(5) > 1).sum() >= 4 and s * x[i] > 1 for s in (1, -1)),
            7: len(last(15)) and np.all(np.abs(last(15)) < 1),
            8: len(last(8)) and np.all(np.abs(last(8)) > 1) and last(8).min() < 0 < last(8).max(),
        }  # fmt: skip
        for rule, is_so in broken.items():
            if is_so:
                found[rule].append(i)
    return found


@given(some.lists(some.sampled_from([-3.5, -2.5, -1.5, -1.2, -0.6, -0.1, 0.0, 0.1, 0.4, 0.7, 1.3, 1.6, 2.2, 2.6, 3.2]),
                  min_size=1, max_size=60))  # fmt: skip
def test_the_rules_beside_an_independent_computation(z: list[float]) -> None:
    assert nelson(z, 0.0, 1.0) == runs(z)


@pytest.mark.parametrize(
    ("rule", "z", "at"),
    [
        (1, (0, 0, 3.1), [2]),
        (2, (0.1,) * 9, [8]),
        (2, (0.1,) * 8, []),
        (3, (0, 0.1, 0.2, 0.3, 0.4, 0.5), [5]),
        (3, (0, 0.1, 0.2, 0.3, 0.4), []),
        (4, (0.1, -0.1) * 7, [13]),
        (5, (2.1, 0, 2.1), [2]),
        (5, (2.1, 2.1, 0), []),  # the last of them is not beyond
        (5, (-2.1, 0, 2.1), []),
        (6, (-1.1, -1.1, 0, -1.1, -1.1), [4]),
        (7, (0.5, -0.5, 0.2) * 5, [14]),
        (8, (1.1, -1.1) * 4, [7]),
        (8, (1.1,) * 8, []),
    ],
)
def test_each_rule_and_its_edge(rule: int, z: tuple[float, ...], at: list[int]) -> None:
    assert nelson(z, 0.0, 1.0)[rule] == at


def test_capability_and_autocorrelation() -> None:
    found = capability(10.0, 0.5, 8.0, 11.0)
    assert (found.cp, found.cpk) == (pytest.approx(1.0), pytest.approx(2 / 3))
    assert capability(10.0, 0.5, None, 11.0).cp is None
    values = np.array(FLOW)
    pairs = np.corrcoef(values[:-1], values[1:])  # another estimate, near on long series alone
    assert autocorrelation(FLOW) == pytest.approx(
        float(((values[:-1] - values.mean()) * (values[1:] - values.mean())).sum() / (values.var() * len(values)))
    )
    assert np.sign(pairs[0, 1]) == np.sign(autocorrelation(FLOW))
    assert autocorrelation((1.0, 1.0, 1.0)) is None


def told(values: Sequence[float], **changed: object) -> list[Sample]:
    one = Sample(0, 1, 0, "watching", "ok", True, "node", ())
    return [one._replace(time_ms=i * 60_000, seq=i, values=(value,), **changed) for i, value in enumerate(values)]


def made(samples: Sequence[Sample], spec: dict[str, object] | None = None) -> Report:
    series = Series(TOPIC, samples, 60_000)
    return control(series, "velocity_mm_s", Spec.model_validate(spec or {}), 0, 10**12)


def values(report: Report) -> dict[str, float | int | None]:
    return {one.key: one.value for one in report.figures}


def test_a_report_of_a_machine_in_control_and_of_one_that_is_not() -> None:
    noise = np.random.default_rng(3).normal(2.0, 0.1, 200)
    limits: dict[str, object] = {"limits": [{"node": "mill", "quantity": "velocity_mm_s", "upper": 4.5}]}
    report = made(told([*noise, 2.9]), limits)
    found = values(report)
    assert found["mean"] == pytest.approx(2.0, abs=0.03) and found["sigma"] == pytest.approx(0.1, rel=0.15)
    (signals,) = [one for one in report.tables if one.key == "signals"]
    assert signals.rows[0].cells[:2] == (200 * 60_000, 2.9) and "1" in str(signals.rows[0].cells[2])
    assert signals.rows[0].behind == ((TOPIC, (1, 200), (1, 200), 1),)
    assert found["cp"] is None and found["cpk"] == pytest.approx((4.5 - 2.0) / 0.3, rel=0.2)
    assert {one.key for one in report.notes} == {"not_in_control"}
    assert values(made(told(list(noise))))["cpk"] is None


def test_what_drifts_is_said_to_be_no_independent_measurements() -> None:
    """The trap: a slow wander breaks the rules again and again, without a cause that could be found."""
    walk = 2 + np.cumsum(np.random.default_rng(1).normal(0, 0.02, 300))
    report = made(told([float(one) for one in walk]))
    found = values(report)
    assert found["autocorrelation"] is not None and found["autocorrelation"] > 0.9
    assert found["signals"] is not None and found["signals"] > 50
    assert "autocorrelated" in {one.key for one in report.notes}


def test_what_is_not_of_the_process_is_left_out_and_said() -> None:
    noise = [float(one) for one in np.random.default_rng(3).normal(2.0, 0.1, 60)]
    samples = told(noise)
    samples[10] = samples[10]._replace(machine="stopped", values=(0.0,))
    samples[20] = samples[20]._replace(fit=False, values=(9.0,))
    report = made(samples)
    assert values(report)["mean"] == pytest.approx(2.0, abs=0.05)
    assert {"left_stopped", "left_unfit"} <= {one.key for one in report.notes}
    assert "no_running" in {one.key for one in made(told(noise, machine="")).notes}


def test_a_range_over_a_gap_is_none() -> None:
    assert individuals((1.0, 2.0, 12.0, 11.0), [False, True, False]).ranges == (1.0, None, 1.0)
    samples = told([2.0, 2.1] * 15) + [one._replace(time_ms=one.time_ms + 10**8, seq=one.seq + 100)
                                       for one in told([4.0, 4.1] * 15)]  # fmt: skip
    assert values(made(samples))["sigma"] == pytest.approx(0.1 / 1.128)


@pytest.mark.parametrize(("samples", "why"), [(told([2.0] * 5), "too_few"), (told([2.0] * 60), None)])
def test_too_few_or_all_alike(samples: list[Sample], why: str | None) -> None:
    report = made(samples)
    (mean,) = report.figures
    assert (mean.why.key if mean.why else None) == why
    assert why or [one.key for one in report.notes] == ["all_alike"]
