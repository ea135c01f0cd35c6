"""Each part of build.parts, run by the one driver, against its register model, and the driver on the real MicroPython.

The expected scales and rates are the datasheets', and neither the driver's nor the model's tables.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sensor_buses import Clock, Count, I2c, Spi

from build import parts
from drivers.registers import I2cAccess, SpiAccess
from quaver.emulator.sensors.accelerometers import vibration_part
from tests.programs import program

# part -> its buses, each with the fastest rate; {g: micro-g of a count of raw}; counts of raw in one of the converter
TABLE: dict[str, tuple[dict[str, int], dict[int, float], int]] = {
    "iis3dwb": ({"spi": 26667}, {2: 61.0, 4: 122.0, 8: 244.0, 16: 488.0}, 1),
    "lis2dw12": ({"spi": 1600, "i2c": 1600}, {2: 61.0, 4: 122.1, 8: 244.1, 16: 488.3}, 4),
    "lis3dh": ({"spi": 1344, "i2c": 1344}, {2: 62.5, 4: 125.0, 8: 250.0}, 64),
    "lsm6dsox": ({"spi": 6667, "i2c": 3333}, {2: 61.0, 4: 122.0, 8: 244.0, 16: 488.0}, 1),
    "icm42688": ({"spi": 16000, "i2c": 4000}, {2: 61.04, 4: 122.07, 8: 244.14, 16: 488.28}, 1),
    "mpu6050": ({"i2c": 1000}, {2: 61.04, 4: 122.07, 8: 244.14, 16: 488.28}, 1),
    "mpu6500": ({"i2c": 1000}, {2: 61.04, 4: 122.07, 8: 244.14, 16: 488.28}, 1),
    "kx134": ({"spi": 12800, "i2c": 3200}, {8: 244.14, 16: 488.28, 32: 976.56, 64: 1953.1}, 1),
    "adxl355": ({"spi": 4000, "i2c": 2000}, {2: 62.5, 4: 125.0, 8: 250.0}, 1),
    "adxl357": ({"spi": 4000, "i2c": 2000}, {10: 312.5, 20: 625.0, 40: 1250.0}, 1),
}
CASES = [pytest.param(part, bus, id=f"{part}-{bus}") for part, (buses, _, _) in TABLE.items() for bus in buses]
ADDRESS = 0x42


class Flip:
    """Every axis is 0 and level_g in turns."""

    def __init__(self, level_g: float) -> None:
        self.level_g = level_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        return np.repeat(np.arange(first, first + count) % 2 * self.level_g, 3).reshape(count, 3).astype(np.float32)


class Rig:
    def __init__(self, part: str, bus: str, monkeypatch: pytest.MonkeyPatch, range_g: int | None = None) -> None:
        buses, ranges, coarse = TABLE[part]
        self.range_g = range_g or max(ranges)
        self.rate_hz = buses[bus]
        self.step = coarse * 3 if coarse == 1 else coarse  # counts of raw from a sample to the next
        self.ug = ranges[self.range_g]
        self.clock = Clock()
        self.clock.install(monkeypatch)
        self.model: Any = vibration_part(part, Count(self.step * self.ug * 1e-6))
        found = parts.part(part)
        read, shift, step = found.ROW[-1]
        access: I2cAccess | SpiAccess
        if bus == "i2c":
            access = I2cAccess(I2c(self.clock, self.model, ADDRESS), ADDRESS, step)
        else:
            spi = Spi(self.clock, self.model, 8_000_000)
            access = SpiAccess(spi, spi.cs, read, shift)
        self.driver = parts.accelerometer(found, access, self.range_g, self.rate_hz)

    def wait(self, samples: float) -> None:
        self.clock.advance(samples / self.rate_hz)

    def z(self, n: int, axis: int = 2) -> list[int]:
        driver = self.driver
        size = abs(driver.Z_OFFSET - (driver.Z_OFFSET + driver.Z_HIGH)) + 1
        pitch = 3 if driver.WORD_BYTES == 9 else size
        values = []
        for i in range(n):
            low = driver.raw[i * driver.WORD_BYTES + driver.Z_OFFSET - (2 - axis) * pitch]
            high = driver.raw[i * driver.WORD_BYTES + driver.Z_OFFSET + driver.Z_HIGH - (2 - axis) * pitch]
            values.append(int.from_bytes(bytes([low, high]), "little", signed=True))
        return values

    def take(self, samples: int) -> list[int]:
        values: list[int] = []
        while len(values) < samples:
            n = self.driver.level()
            n = min(n, self.driver.READ_MAX)
            n = n & -16 if n > 16 else n
            if n:
                self.driver.read(n)
                values += self.z(n)
            self.wait(4)
        return values


Make = Callable[..., Rig]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda part, bus, range_g=None: Rig(part, bus, monkeypatch, range_g)


def test_every_part_is_tested() -> None:
    from build import sensors

    assert set(sensors.names("vibration")) - set(sensors.DRIVERS["vibration"]) == set(TABLE)
    for name, (buses, ranges, _) in TABLE.items():
        row = dict(sensors._fields("vibration", name))
        assert {bus[:-1]: int(rate) for bus, rate in zip(row["bus"], row["rate_hz"], strict=True)} == buses
        assert {int(g) for g in row["range_g"]} == set(ranges)


@pytest.mark.parametrize(("part", "bus"), CASES)
def test_probe_knows_the_part_and_nothing_else(rig: Make, part: str, bus: str) -> None:
    here = rig(part, bus)
    here.driver.probe()
    register = here.driver._identity[0]
    here.model._registers[register] ^= 0x21
    with pytest.raises(OSError, match="202"):
        here.driver.probe()
    here.model.fault = "absent"
    with pytest.raises(OSError, match=r"^5$|200"):
        here.driver.probe()


@pytest.mark.parametrize(
    ("part", "known"), [("mpu6050", {0x68}), ("mpu6500", {0x70, 0x71, 0x73, 0x74})], ids=["mpu6050", "mpu6500"]
)
def test_what_is_sold_as_an_mpu6050_is_told_by_its_identity(rig: Make, part: str, known: set[int]) -> None:
    here = rig(part, "i2c")
    taken = set()
    for identity in (0x68, 0x70, 0x71, 0x72, 0x73, 0x74, 0x78, 0x98):
        here.model._registers[0x75] = identity
        try:
            here.driver.probe()
            taken.add(identity)
        except OSError as error:
            assert error.args == (202, identity)
    assert taken == known


@pytest.mark.parametrize(("part", "bus"), CASES)
def test_a_stream_at_the_full_rate_has_every_sample_once_and_in_order(rig: Make, part: str, bus: str) -> None:
    here = rig(part, bus)
    here.driver.probe()
    here.driver.start()
    values = here.take(400)
    first = values[0]
    assert values == list(range(first, first + here.step * len(values), here.step))
    assert not here.driver.overrun
    here.driver.read(1)
    assert here.z(1, axis=1) == [-value for value in here.z(1)]
    assert here.z(1, axis=0)[0] % here.step == 0  # the number of the capture


@pytest.mark.parametrize(("part", "bus"), CASES)
def test_samples_come_at_the_nominal_rate(rig: Make, part: str, bus: str) -> None:
    here = rig(part, bus)
    assert here.rate_hz == here.driver.ODR_HZ
    here.driver.start()
    waiting = here.driver.level()
    began = here.clock.now
    here.wait(10)
    level = here.driver.level()
    assert level - waiting == pytest.approx((here.clock.now - began) * 1e-9 * here.rate_hz, abs=1)


@pytest.mark.parametrize(
    ("part", "range_g"), [pytest.param(part, g, id=f"{part}-{g}") for part, row in TABLE.items() for g in row[1]]
)
def test_ranges_have_the_scale_of_the_datasheet(rig: Make, part: str, range_g: int) -> None:
    here = rig(part, next(iter(TABLE[part][0])), range_g)
    here.model.source = Flip(range_g / 2)
    assert pytest.approx(here.ug, rel=2e-3) == here.driver.UG_PER_LSB
    here.driver.start()
    here.wait(5)
    here.driver.read(2)
    first, second = here.z(2)
    assert abs(second - first) * here.ug * 1e-6 == pytest.approx(range_g / 2, rel=2e-3, abs=here.step * here.ug * 1e-6)
    here.model.fault = "range"
    here.driver.read(1)
    assert here.z(1) == [here.driver.CLIP_LSB]


@pytest.mark.parametrize(("part", "bus"), CASES)
def test_an_unread_fifo_overruns(rig: Make, part: str, bus: str) -> None:
    here = rig(part, bus)
    here.driver.start()
    here.wait(here.driver.FIFO_DEPTH - 20)
    here.driver.level()
    assert not here.driver.overrun
    here.wait(here.driver.FIFO_DEPTH)
    here.driver.level()
    assert here.driver.overrun
    values = here.take(64)  # and what follows is whole samples, one after another
    assert {(b - a) % 65536 for a, b in zip(values[-32:], values[-31:], strict=False)} == {here.step}
    here.driver.start()
    assert not here.driver.overrun
    assert here.driver.level() < 16


@pytest.mark.parametrize(("part", "bus"), CASES)
def test_each_start_is_another_capture_and_a_stop_ends_it(rig: Make, part: str, bus: str) -> None:
    here = rig(part, bus)
    began = []
    for _ in range(3):
        here.driver.start()
        here.wait(20)
        here.driver.read(1)
        began.append(here.z(1, axis=0)[0])
        here.driver.stop()
        assert here.driver.level() == 0
        assert not here.model._stream.running
    assert began == [began[0], began[0] + here.step, began[0] + 2 * here.step]


@pytest.mark.parametrize(("part", "bus"), CASES)
def test_faults(rig: Make, part: str, bus: str) -> None:
    here = rig(part, bus)
    here.driver.start()
    here.wait(20)
    here.model.fault = "stuck"
    here.driver.read(16)
    assert len(set(here.z(16))) == 1
    here.model.fault = "absent"
    with pytest.raises(OSError, match=r"^5$|200|201"):
        here.driver.level()


@pytest.mark.parametrize("part", ["iis3dwb", "lsm6dsox", "icm42688", "adxl355", "adxl357"])
def test_what_is_marked_as_no_acceleration_is_an_error(rig: Make, part: str) -> None:
    here = rig(part, "spi")
    here.driver.start()
    here.wait(3)
    with pytest.raises(OSError, match="201"):
        here.driver.read(here.driver.READ_MAX)


@pytest.mark.parametrize("part", ["iis3dwb", "icm42688", "lsm6dsox"])
def test_a_level_whose_low_byte_is_all_ones_is_one(rig: Make, part: str) -> None:
    here = rig(part, "spi")
    here.driver.start()
    while here.driver.level() < 255:
        here.wait(0.2)
    assert here.driver.level() == 255


def test_an_overrun_between_two_looks_at_the_level_is_not_missed(rig: Make) -> None:
    here = rig("iis3dwb", "spi")
    here.driver.start()
    here.wait(513.5)
    here.driver.read(96)
    assert here.driver.level() < 512
    assert here.driver.overrun


@pytest.mark.parametrize("setting", [(3, 1600), (16, 1601)])
def test_a_setting_that_the_part_has_not_is_refused(setting: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no "):
        parts.accelerometer(parts.part("lis2dw12"), None, *setting)


def test_level_and_read_leave_the_heap_alone(micropython: Callable[..., Any]) -> None:
    assert micropython(program(__file__, "level_and_read"), argument=list(TABLE)) == [[8, False]] * len(TABLE)


@pytest.mark.parametrize("bus", ["spi", "i2c"])
@pytest.mark.parametrize(("part", "level_g", "step_g"), [("lis2dw12", 0.25, 0.3), ("lis3dh", 0.5, 0.0085)])
def test_a_vibration_above_the_level_raises_the_interrupt_and_a_quieter_one_does_not(
    rig: Make, part: str, bus: str, level_g: float, step_g: float
) -> None:
    """z climbs a step a sample, at 100 samples/s: the LIS2DW12 sees the step, the LIS3DH how far it has gone."""
    here = rig(part, bus)
    quiet = step_g * (0.7 if part == "lis2dw12" else 0.5)
    for step, raised in ((quiet, False), (step_g, True)):
        here.model.source = Count(step)
        here.driver.watch(level_g)
        here.clock.advance(0.65)
        assert here.model.raised(here.clock.now) is raised
    here.driver.probe()
    assert not here.model.raised(here.clock.now)
    here.driver.start()  # and it samples as before
    began, waiting = here.clock.now, here.driver.level()
    here.wait(10)
    level = here.driver.level()
    assert level - waiting == pytest.approx((here.clock.now - began) * 1e-9 * here.rate_hz, abs=1)


@pytest.mark.parametrize("part", ["lis2dw12", "lis3dh"])
@pytest.mark.parametrize("level_g", [0.05, 1.0, 3.0, 7.5, 15.0])
def test_the_level_is_in_the_finest_scale_that_has_it(rig: Make, part: str, level_g: float) -> None:
    here = rig(part, "i2c")
    here.driver.watch(level_g)
    wake = here.model._part.wake(here.model._registers)
    assert wake is not None
    assert wake[0] == pytest.approx(level_g, rel=0.05, abs=0.035)
