"""The MAX31865 driver against the register model, its arithmetic against two tables, and the same on MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest
from sensor_buses import Clock, Spi

from drivers.max31865 import MAX31865, milli
from quaver.emulator.sensors.max31865 import MAX31865 as Model

# Table 9 of the datasheet: result codes for 400 ohm
TABLE_9 = {-200: 1517, -175: 2394, -100: 4936, -50: 6579, -10: 7871, 0: 8192, 10: 8512, 50: 9781, 100: 11346}
TABLE_9 |= {150: 12888, 200: 14406, 250: 15901, 300: 17371, 400: 20242, 550: 24370}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


def rig(clock: Clock, celsius: float = 25.0, wires: int = 3, **given: Any) -> tuple[MAX31865, Model, Spi]:
    model = Model(celsius, **{"wires": wires, **given})
    spi = Spi(clock, model, 8_000_000)
    return MAX31865(spi, spi.cs, wires, int(model.reference)), model, spi


def read(clock: Clock, driver: MAX31865) -> int:
    clock.sleep_ms(driver.start())
    return driver.read_milli()


@pytest.mark.parametrize(("celsius", "code"), TABLE_9.items())
def test_the_datasheets_table(celsius: int, code: int) -> None:
    """The table's codes are of resistances in hundredths of an ohm: half an LSB and half of that, 0.02 to 0.03 °C."""
    assert milli(code, 400) == pytest.approx(celsius * 1000, abs=35)


@pytest.mark.parametrize(("mohm", "celsius"), [(18_520, -200), (60_256, -100), (138_506, 100), (390_481, 850)])
def test_the_resistances_of_iec_60751(mohm: int, celsius: int) -> None:
    assert milli(round(mohm * 32.768), 1) == pytest.approx(celsius * 1000, abs=4)  # a thousandth of an ohm is 3


def test_the_same_integers_on_the_real_micropython(micropython: Callable[..., Any]) -> None:
    ratios = [*range(1300, 32768, 997)]
    code = "import json\nfrom drivers.max31865 import milli\nprint(json.dumps([milli(r, 430) for r in argument]))"
    assert micropython(code, argument=ratios) == [milli(ratio, 430) for ratio in ratios]


@pytest.mark.parametrize("reference", [400.0, 430.0])
@pytest.mark.parametrize("celsius", [-199.5, -40.0, 0.0, 21.5, 849.0])
def test_a_reading_is_an_lsb_wide(clock: Clock, celsius: float, reference: float) -> None:
    driver, _, spi = rig(clock, celsius, reference=reference)
    driver.probe()
    assert read(clock, driver) == pytest.approx(celsius * 1000, abs=45)
    assert spi.baudrate == 8_000_000  # as other parts on the bus want it


def test_no_transfer_is_faster_than_the_part_and_none_than_the_bus(clock: Clock, monkeypatch: Any) -> None:
    for own, wanted in ((8_000_000, {5_000_000}), (1_000_000, {1_000_000})):
        model = Model()
        spi = Spi(clock, model, own)
        driver = MAX31865(spi, spi.cs, baudrate=own)
        seen: list[int] = []
        monkeypatch.setattr(model, "spi_select", lambda now, spi=spi, seen=seen: seen.append(spi.baudrate))
        driver.start()
        assert set(seen) == wanted


@pytest.mark.parametrize(("wires", "error"), [(2, 2 * 0.5 / 0.385), (3, 0.0), (4, 0.0)])
def test_three_and_four_wires_hide_the_leads_resistance(clock: Clock, wires: int, error: float) -> None:
    driver, _, _ = rig(clock, 20.0, wires, lead=0.5)
    assert read(clock, driver) / 1000 == pytest.approx(20.0 + error, abs=0.06)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"fault": "range"}, 0xA0),  # an open element
        ({"celsius": 870.0}, 0x80),
        ({"celsius": -215.0}, 0x40),
        ({"broken": 0x04}, 0x04),
    ],
)
def test_a_fault_is_no_temperature(clock: Clock, given: dict[str, Any], status: int) -> None:
    driver, model, _ = rig(clock, **given)
    driver.probe()
    with pytest.raises(OSError, match=rf"220\D+{status}"):
        read(clock, driver)
    model.fault, model.broken, model.temperature = None, 0, 21.0
    assert read(clock, driver) == pytest.approx(21_000, abs=45)  # the latched bits are gone


def test_the_whole_range_is_no_fault(clock: Clock) -> None:
    for celsius in (-200.0, 850.0):
        driver, _, _ = rig(clock, celsius)
        driver.probe()
        assert read(clock, driver) == pytest.approx(celsius * 1000, abs=45)


def test_nobody_and_a_part_that_lost_its_power(clock: Clock) -> None:
    driver, model, _ = rig(clock)
    driver.probe()
    clock.sleep_ms(driver.start())
    model.lose_power()
    with pytest.raises(OSError, match="200"):
        driver.read_milli()
    model.fault = "absent"
    for verb in (driver.probe, lambda: read(clock, driver)):
        with pytest.raises(OSError, match="200"):
            verb()


def test_the_current_flows_only_while_it_measures(clock: Clock) -> None:
    driver, model, _ = rig(clock)

    def bias() -> int:
        model.spi_select(clock.now)
        return [model.spi_exchange(0, clock.now) for _ in range(2)][1] & 0x80

    driver.probe()
    before = bias()
    clock.sleep_ms(driver.start())
    during = bias()
    driver.read_milli()
    assert (before, during, bias()) == (0, 0x80, 0)
