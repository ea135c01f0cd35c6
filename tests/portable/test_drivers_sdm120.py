"""The SDM120 driver, a Modbus RTU master, against a real pymodbus server; and on the real MicroPython."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU
from sensor_buses import Clock, Uart

from drivers.sdm120 import SDM120, crc16, milli
from quaver.emulator.sensors.sdm120 import SDM120 as Model


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model(7, voltage=231.5, current=4.25, power_factor=0.875, frequency=49.98, energy=1234.5)
    yield model
    model.close()


def read(driver: SDM120) -> list[int]:
    return list(asyncio.run(driver.read()))


def test_all_values(clock: Clock, model: Model) -> None:
    driver = SDM120(Uart(clock, model), 7)
    driver.probe()
    apparent = 231.5 * 4.25
    expected = [231_500, 4_250, round(apparent * 875), round(apparent * 1000), 875, 49_980, 1_234_500]
    assert read(driver) == pytest.approx(expected, rel=1e-6, abs=1)
    assert list(driver.values) == read(driver)


def test_power_that_flows_back_is_negative(clock: Clock, model: Model) -> None:
    model.power_factor = -0.5
    values = read(SDM120(Uart(clock, model), 7))
    assert values[2] == pytest.approx(-231_500 * 4.25 / 2, abs=1)
    assert values[4] == -500


@pytest.mark.parametrize("address", [1, 8])
def test_another_meters_address_stays_unanswered_and_the_wait_is_bounded(
    clock: Clock, model: Model, address: int
) -> None:
    with pytest.raises(OSError, match="110"):
        read(SDM120(Uart(clock, model), address))
    assert clock.now < 0.4e9


def test_faults(clock: Clock, model: Model) -> None:
    driver = SDM120(Uart(clock, model), 7)
    before = read(driver)
    model.fault = "stuck"
    read(driver)
    model.voltage = 100.0
    assert read(driver)[0] == before[0]
    model.fault = "range"
    assert read(driver)[0] > 10 * before[0]
    model.fault = "absent"
    with pytest.raises(OSError, match="110"):
        read(driver)
    model.fault = None
    assert read(driver)[0] == 100_000


def test_a_value_that_is_no_number_is_an_error(clock: Clock, model: Model) -> None:
    for voltage in (float("nan"), float("inf"), 3e9):
        model.voltage = voltage
        with pytest.raises(OSError, match="34"):
            read(SDM120(Uart(clock, model), 7))


@pytest.mark.parametrize("at", range(9))
def test_a_damaged_answer_is_an_error_and_the_next_one_is_read(clock: Clock, model: Model, at: int) -> None:
    uart = Uart(clock, model, lambda data: data[:at] + bytes([data[at] ^ 0x21]) + data[at + 1 :])
    driver = SDM120(uart, 7)
    with pytest.raises(OSError, match=r"5|110"):
        read(driver)
    uart.line = bytes
    assert read(driver)[0] == 231_500


def test_a_torn_answer_times_out_and_its_rest_does_no_harm(clock: Clock, model: Model) -> None:
    uart = Uart(clock, model, lambda data: data[:4])
    driver = SDM120(uart, 7)
    with pytest.raises(OSError, match="110"):
        read(driver)
    uart.received += b"\x01\x02\x03"
    uart.line = bytes
    assert read(driver)[0] == 231_500


def test_a_refused_register_is_an_error(clock: Clock, model: Model) -> None:
    driver = SDM120(Uart(clock, model), 7)
    with pytest.raises(OSError, match="5"):
        asyncio.run(driver.read_input(0x0002))
    assert asyncio.run(driver.read_input(0x0018)) == pytest.approx(231_500 * 4.25 * (1 - 0.875**2) ** 0.5, abs=1)


@given(st.binary(min_size=1, max_size=64))
def test_the_crc_is_pymodbus_crc(data: bytes) -> None:
    assert crc16(data, len(data)).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")


@given(st.floats(width=32, min_value=-2_097_151, max_value=2_097_151))
def test_thousandths_are_the_nearest(value: float) -> None:
    assert abs(milli(struct.pack(">f", value), 0) - value * 1000) <= 0.5 + 0.008


def test_the_same_integers_on_the_real_micropython(micropython: Callable[..., Any], model: Model) -> None:
    """The device's own run: what it sends is what the server answers, value by value."""
    registers = (0x0000, 0x0006, 0x000C, 0x0012, 0x001E, 0x0046, 0x0156)
    replies = {}
    for register in registers:
        body = bytes([7, 4]) + register.to_bytes(2, "big") + b"\x00\x02"
        request = body + crc16(body, 6).to_bytes(2, "little")
        replies[request.hex()] = model.uart_exchange(request, 0).hex()
    code = """
import asyncio
from binascii import hexlify, unhexlify
from drivers.sdm120 import SDM120

class Uart:
    received = b""
    def any(self):
        return len(self.received)
    def write(self, data):
        self.received += unhexlify(argument[hexlify(data).decode()])
    def readinto(self, buffer):
        n = min(3, len(buffer), len(self.received))   # in pieces
        buffer[:n] = self.received[:n]
        self.received = self.received[n:]
        return n

print(json.dumps(list(asyncio.run(SDM120(Uart(), 7).read()))))
"""
    values = micropython(code, argument=replies, virtual_time=True)
    assert values[:2] == [231_500, 4_250]
    assert values[4:] == [875, 49_980, 1_234_500]
