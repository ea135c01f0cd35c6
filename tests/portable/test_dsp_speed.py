"""A share of tools/speed_in_noise.py: where there is no shaft none is claimed, and where there is one it is found."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from quaver.analysis.device import UG_PER_LSB, full_length
from quaver.recordings.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
# (rate in Hz, part of a full measurement, measurements of each family): 1,008 of them
SHARES = ((3200.0, 1, 16), (3200.0, 2, 10), (12000.0, 1, 5), (12000.0, 2, 5), (26667.0, 1, 3), (26667.0, 2, 3))
SURE = 0.01  # chance that a rate of false claims of 1 in 40 would pass
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("speed_in_noise", ROOT / "tools" / "speed_in_noise.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def steps(machine: Machine, rate: float, n: int, capture: int = 0) -> Any:
    """What a sensor on the machine's bearing gives, gravity in it."""
    return 2049 + machine.samples(capture, rate, 0, n)[:, 2] * 1e6 / UG_PER_LSB


@pytest.mark.parametrize("rpm", [None, 1500.0])
def test_noise_is_no_speed(tool: ModuleType, rpm: float | None) -> None:
    """At most 1 in 40: so few claims in so many measurements come of a higher rate once in a hundred times."""
    from scipy.stats import binom  # late: it takes each worker two seconds

    families = list(tool.FAMILIES)
    claimed = dict.fromkeys(families, 0)
    each = 0
    for rate, part, count in SHARES if rpm is None else SHARES[:3]:
        found = tool.speeds(tool.noise(families, rate, full_length(rate) // part, count), rate, rpm)
        for index, name in enumerate(families):
            claimed[name] += tool.claims(found[index * count : (index + 1) * count])
        each += count
    assert each * len(families) >= (1000 if rpm is None else 700)
    assert sum(claimed.values()) <= binom.ppf(SURE, each * len(families), tool.ALLOWED), claimed
    # no family stands out: so many of one would come of a rate of 1 in 40 once in a hundred times
    assert max(claimed.values()) <= binom.ppf(1 - SURE, each, tool.ALLOWED), claimed


def test_from_few_samples_no_speed_is_told(tool: ModuleType) -> None:
    for rate in (26667.0, 3200.0):
        blocks = tool.noise(["white", "drift, noise"], rate, 1024, 5)
        blocks.append(steps(Machine(rpm=1797), rate, 1024))
        assert tool.speeds(blocks, rate) == [(None, 0.0)] * len(blocks)


@pytest.mark.parametrize("rate", [26667.0, 12000.0, 3200.0])
@pytest.mark.parametrize("part", [1, 2])
def test_a_machine_s_speed_is_found(tool: ModuleType, rate: float, part: int) -> None:
    n = full_length(rate) // part
    turns = (900, 1190, 1480, 1797, 2940, 5700)
    blocks = [steps(Machine(rpm=rpm, seed=rpm), rate, n, rpm % 7) for rpm in turns]
    for rpm, (hz, confidence) in zip(turns, tool.speeds(blocks, rate), strict=True):
        assert hz is not None
        assert 60 * hz == pytest.approx(rpm, abs=30 * part * rate / (full_length(rate)))  # half a line
        assert confidence >= tool.CLAIM


@pytest.mark.parametrize("fault", ["outer", "inner", "ball"])
def test_a_damaged_machine_s_speed_is_found_where_it_is_configured(tool: ModuleType, fault: str) -> None:
    blocks = [steps(Machine(rpm=1797, fault=fault, severity=0.25, seed=seed), 12000.0, 16384) for seed in range(3)]
    for hz, confidence in tool.speeds(blocks, 12000.0, 1780.0):
        assert hz == pytest.approx(1797 / 60, abs=0.4)
        assert confidence >= tool.CLAIM


@pytest.mark.parametrize("beside", ["pink", "drift, noise", "steps, noise", "below 50 Hz", "1 to 3 kHz"])
def test_a_speed_is_found_beside_noise(tool: ModuleType, beside: str) -> None:
    """A weak imbalance, 2 mm/s peak at 24.7 Hz, in what alone is no speed and has at most a third of its amplitude."""
    rate, n = 12000.0, 16384
    turning = 65 * np.sin(2 * np.pi * 24.7 * np.arange(n) / rate)  # steps of 0.488 mg
    noises = tool.noise([beside], rate, n, 5)
    blocks = [turning + noise * min(1.0, 65 / 3 / noise.std()) for noise in noises]
    assert tool.claims(tool.speeds(noises, rate)) == 0
    for hz, confidence in tool.speeds(blocks, rate):
        assert hz == pytest.approx(24.7, abs=0.4)
        assert confidence >= tool.CLAIM


def test_the_steps_of_a_coarse_sensor_are_no_lines(tool: ModuleType) -> None:
    """A ramp of 32 steps of 16 in a measurement draws harmonics of 23 Hz; imbalance of four steps is not hidden."""
    rate, n = 12000.0, 16384
    time = np.arange(n) / rate
    ramp = 32 * 16 * time / time[-1]
    turning = 64 * np.sin(2 * np.pi * 40.0 * time)
    drifting, both = tool.speeds([np.round(block / 16) * 16 for block in (ramp, ramp + turning)], rate)
    assert drifting[1] == 0
    assert both[0] == pytest.approx(40.0, abs=0.4)
    assert both[1] >= tool.CLAIM
