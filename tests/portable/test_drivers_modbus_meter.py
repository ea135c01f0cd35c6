"""The driver of energy meters, a Modbus RTU master, against a real pymodbus server; and on the real MicroPython."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU
from sensor_buses import Clock, Uart

from build import sensors
from drivers.modbus_meter import ModbusMeter, crc16, milli
from quaver.emulator.sensors.modbus_meter import REGISTERS
from quaver.emulator.sensors.modbus_meter import ModbusMeter as OtherModel
from quaver.emulator.sensors.sdm120 import SDM120 as Model
from quaver.emulator.sensors.sdm630 import SDM630 as ThreePhases
from quaver_wire.reasons import words
from tests.programs import program


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


def rows(driver: str) -> list[Any]:
    found = [sensors.register(["input", str(at), "float32"]) for at in sensors._METERS[driver]]
    return found + [sensors._PHASES] * (driver == "sdm630")


def SDM120(uart: Any, address: int, direction: Any = None) -> ModbusMeter:
    return ModbusMeter(uart, rows("sdm120"), address, direction)


def value(driver: ModbusMeter, register: int) -> int:
    (found,) = asyncio.run(driver.read_registers(*sensors.register(["input", str(register), "float32"])))
    return found


def read(driver: ModbusMeter) -> list[int]:
    return list(asyncio.run(driver.read()))


def test_all_values(clock: Clock, model: Model) -> None:
    driver = SDM120(Uart(clock, model), 7)
    driver.probe()
    apparent = 231.5 * 4.25
    expected = [231_500, 4_250, round(apparent * 875), round(apparent * 1000), 875, 49_980, 1_234_500]
    assert read(driver) == pytest.approx(expected, rel=1e-6, abs=1)
    assert driver.absent == []


def test_power_that_flows_back_is_negative(clock: Clock, model: Model) -> None:
    model.power_factor = -0.5
    values = read(SDM120(Uart(clock, model), 7))
    assert values[2] == pytest.approx(-231_500 * 4.25 / 2, abs=1)
    assert values[3] == pytest.approx(231_500 * 4.25, abs=1)
    assert values[4] == -500
    assert values[6] > 0  # what flows back counts too


def grown(values: list[int]) -> Any:
    """As before, but for the energy that has flowed since."""
    return [*values[:6], pytest.approx(values[6], abs=100)]


def failure(driver: ModbusMeter) -> tuple[int, str]:
    """Why a reading fails: the number, and what a person reads."""
    with pytest.raises(OSError) as raised:
        read(driver)
    return raised.value.args[0], words(raised.value.args)


@pytest.mark.parametrize("address", [1, 8])
def test_another_meters_address_stays_unanswered_and_the_wait_is_bounded(
    clock: Clock, model: Model, address: int
) -> None:
    assert failure(SDM120(Uart(clock, model), address)) == (200, "no answer")
    assert clock.now < 1.5e9


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
    assert failure(driver) == (200, "no answer")
    model.fault = None
    assert read(driver)[0] == 100_000


def test_a_value_that_is_no_number_is_absent_and_the_others_stand(clock: Clock, model: Model) -> None:
    for frequency in (float("nan"), float("inf"), 3e9):
        model.frequency = frequency
        driver = SDM120(Uart(clock, model), 7)
        values = read(driver)
        assert values[5] is None
        assert None not in values[:5] + values[6:]
        assert [words(reason) for reason in driver.absent] == ["register 0x0046 holds no usable number"]
    model.frequency = 50.0
    assert read(driver)[5] == 50_000
    assert driver.absent == []


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 11, 77])
def test_a_refused_register_is_absent_and_the_others_stand(clock: Clock, model: Model, code: int) -> None:
    driver = SDM120(Refusing(clock, model, {0x0156: code}), 7)
    values = read(driver)
    assert values[:6] == read(SDM120(Uart(clock, model), 7))[:6]
    assert values[6] is None  # and not 0, and not what the register before it said
    assert driver.absent == [(206, 0x0156 << 8 | code)]
    assert words(driver.absent[0]).startswith(f"refuses register 0x0156 ({code}, ")


def test_the_meters_own_exception_on_one_register(clock: Clock, model: Model) -> None:
    model.refused = {0x0012: 4}  # as the Modbus server answers it
    driver = SDM120(Uart(clock, model), 7)
    values = read(driver)
    assert [at for at, value in enumerate(values) if value is None] == [3]
    assert words(driver.absent[0]) == "refuses register 0x0012 (4, failed)"
    with pytest.raises(OSError, match="206"):
        value(driver, 0x0002)
    assert value(driver, 0x0018) == pytest.approx(231_500 * 4.25 * (1 - 0.875**2) ** 0.5, abs=1)


def test_a_meter_that_refuses_every_value_has_failed(clock: Clock, model: Model) -> None:
    refused = dict.fromkeys((0x0000, 0x0006, 0x000C, 0x0012, 0x001E, 0x0046, 0x0156), 1)
    driver = SDM120(Refusing(clock, model, refused), 7)
    assert failure(driver) == (206, "refuses register 0x0000 (1, no such function)")


def framed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


class Refusing(Uart):
    """A meter that answers some registers with an exception, also with one that no standard knows."""

    def __init__(self, clock: Clock, model: Any, refused: dict[int, int]) -> None:
        super().__init__(clock, model)
        self._refused = refused

    def write(self, data: bytes) -> None:
        code = self._refused.get(int.from_bytes(data[2:4], "big"))
        self.line = bytes if code is None else lambda _: framed(bytes([7, 0x84, code]))
        super().write(data)


class Echo(Uart):
    """An adapter that gives back what was sent: from byte `first` to before `last`, with `noise` around."""

    def __init__(self, clock: Clock, model: Any, first: int, last: int, noise: bytes = b"") -> None:
        super().__init__(clock, model)
        self._part = slice(first, last)
        self._noise = noise

    def write(self, data: bytes) -> None:
        head = self._noise + bytes(data)[self._part] + self._noise
        self.line = lambda answer: head + answer
        super().write(data)


@pytest.mark.parametrize("noise", [b"", b"\x00", b"\xff", b"\x00\xff\x07", b"\x07\x04\x04", b"\x07\x84\x02"])
@pytest.mark.parametrize(("first", "last"), [(0, 8), (0, 3), (3, 8), (7, 8), (0, 0)])
def test_an_echo_whole_or_not_and_noise_before_the_answer(
    clock: Clock, model: Model, first: int, last: int, noise: bytes
) -> None:
    expected = read(SDM120(Uart(clock, model), 7))
    assert read(SDM120(Echo(clock, model, first, last, noise), 7)) == grown(expected)


def test_noise_that_fills_the_buffer_hides_no_answer(clock: Clock, model: Model) -> None:
    expected = read(SDM120(Uart(clock, model), 7))
    for count in range(74, 140):
        uart = Uart(clock, model, lambda answer, count=count: bytes(count) + answer + b"\xff")
        assert read(SDM120(uart, 7)) == grown(expected)


@pytest.mark.parametrize(("first", "last"), [(0, 8), (2, 8), (0, 5)])
def test_an_echo_alone_is_no_answer(clock: Clock, model: Model, first: int, last: int) -> None:
    model.fault = "absent"
    driver = SDM120(Echo(clock, model, first, last), 7)
    assert failure(driver) == (208, "an echo of the adapter, and no answer")


def test_another_meters_answer_is_not_taken(clock: Clock, model: Model) -> None:
    other = framed(bytes([8, 4, 4]) + struct.pack(">f", 99.0))
    assert failure(SDM120(Uart(clock, model, lambda _: other), 7)) == (209, "address 8 answers instead")
    driver = SDM120(Uart(clock, model, lambda answer: other + answer), 7)  # the one that was asked comes too
    assert read(driver)[0] == 231_500


@pytest.mark.parametrize(
    "body",
    [
        bytes([7, 3, 4]) + struct.pack(">f", 99.0),  # another function's
        bytes([7, 4, 8]) + struct.pack(">ff", 99.0, 98.0),  # of two values
        bytes([7, 4, 2, 0, 99]),
        bytes([7, 0x83, 2]),
    ],
)
def test_what_answers_another_question_is_not_taken(clock: Clock, model: Model, body: bytes) -> None:
    assert failure(SDM120(Uart(clock, model, lambda _: framed(body)), 7)) == (201, "a broken answer")


def test_an_answer_that_comes_too_late_is_not_the_next_ones(clock: Clock, model: Model) -> None:
    uart = Uart(clock, model)
    driver = SDM120(uart, 7)
    read(driver)
    for delay_ms in (401, 450, 700, 1300):
        uart.delay_ms = delay_ms
        with pytest.raises(OSError, match="200"):
            value(driver, 0x0046)
        uart.delay_ms = 0
        assert value(driver, 0x0000) == 231_500


@pytest.mark.parametrize("at", range(9))
def test_a_damaged_answer_is_an_error_and_the_next_one_is_read(clock: Clock, model: Model, at: int) -> None:
    uart = Uart(clock, model, lambda data: data[:at] + bytes([data[at] ^ 0x21]) + data[at + 1 :])
    driver = SDM120(uart, 7)
    assert failure(driver) == (201, "a broken answer")
    assert clock.now < 5e9
    uart.line = bytes
    assert read(driver)[0] == 231_500


@pytest.mark.parametrize("insert", [b"\x00", b"\xff\x00"])
def test_what_is_broken_once_is_asked_for_again(clock: Clock, model: Model, insert: bytes) -> None:
    expected = read(SDM120(Uart(clock, model), 7))
    asked = iter(range(100))
    uart = Uart(clock, model, lambda data: data[:4] + insert + data[4:] if next(asked) % 2 == 0 else data)
    assert read(SDM120(uart, 7)) == grown(expected)


def test_a_torn_answer_times_out_and_its_rest_does_no_harm(clock: Clock, model: Model) -> None:
    uart = Uart(clock, model, lambda data: data[:4])
    driver = SDM120(uart, 7)
    assert failure(driver) == (201, "a broken answer")
    uart.received += b"\x01\x02\x03"
    uart.line = bytes
    assert read(driver)[0] == 231_500


def test_an_answer_that_is_there_is_taken_however_long_another_task_held_this_one_up(
    clock: Clock, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read(SDM120(Uart(clock, model), 7))

    async def busy(ms: int) -> None:
        clock.advance(3)

    monkeypatch.setattr(asyncio, "sleep_ms", busy)
    uart = Uart(clock, model)
    uart.delay_ms = 50
    assert read(SDM120(uart, 7)) == grown(expected)


def test_a_line_that_is_never_silent_is_given_up(clock: Clock, model: Model) -> None:
    class Babble(Uart):
        def any(self) -> int:
            self.received += b"\x55"
            return super().any()

    assert failure(SDM120(Babble(clock, model), 7)) == (201, "a broken answer")
    assert clock.now < 30e9


def test_the_direction_pin_is_high_while_the_request_goes_out_and_not_longer(clock: Clock, model: Model) -> None:
    levels: list[int] = []

    class Line(Uart):
        def write(self, data: bytes) -> None:
            assert levels[-1] == 1
            self.sent = False
            super().write(data)

        def flush(self) -> None:
            self.sent = True

        def any(self) -> int:
            assert not levels or levels[-1] == 0
            return super().any()

    def direction(level: int) -> None:
        assert level or line.sent  # the last stop bit has left
        levels.append(level)

    line = Line(clock, model)
    assert read(SDM120(line, 7, direction))[0] == 231_500
    assert levels == [1, 0] * 7

    def broken(_: bytes) -> bytes:
        line.sent = True
        raise OSError(110)  # as flush() may

    line.line = broken
    with pytest.raises(OSError, match="110"):
        read(SDM120(line, 7, direction))
    assert levels[-1] == 0  # a transceiver that goes on sending would silence the whole line


@given(st.binary(min_size=1, max_size=64))
def test_the_crc_is_pymodbus_crc(data: bytes) -> None:
    assert crc16(data, len(data)).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")


@given(st.floats(width=32, min_value=-2_097_151, max_value=2_097_151))
def test_thousandths_are_the_nearest(value: float) -> None:
    assert abs(milli(struct.pack(">f", value), 0, "f", "ABCD", 1_000_000) - value * 1000) <= 0.5 + 0.008


NUMBERS: list[tuple[str, str, str, int, int | None]] = [
    ("3f800000", "f", "ABCD", 1_000_000, 1000),
    ("00003f80", "f", "CDAB", 1_000_000, 1000),
    ("803f0000", "f", "BADC", 1_000_000, 1000),
    ("0000803f", "f", "DCBA", -1_000_000, -1000),
    ("4b189680", "f", "ABCD", 1000, 10_000_000),  # 10,000,000 Wh
    ("4b189680", "f", "ABCD", 1_000_000, None),
    ("7f800000", "f", "ABCD", 1_000_000, None),
    ("ffc00000", "f", "ABCD", 1, None),
    ("00000001", "f", "ABCD", 1_000_000_000_000, 0),
    ("0902", "u", "AB", 100_000, 230_600),  # 2306 tenths of a volt
    ("0209", "u", "BA", 100_000, 230_600),
    ("ff38", "i", "AB", 1_000_000, -200_000),
    ("ff38", "u", "AB", 1_000_000, 65_336_000),
    ("ff38", "i", "AB", -1_000_000, 200_000),  # a current transformer that is put on the wrong way round
    ("8000", "i", "AB", 1000, -32_768),
    ("0001e240", "u", "ABCD", 10_000, 1_234_560),  # 123,456 hundredths of a kWh
    ("e2400001", "u", "CDAB", 10_000, 1_234_560),
    ("fffffffe", "i", "ABCD", 1500, -3),
    ("ffffffff", "u", "ABCD", 1_000_000, None),
]


@pytest.mark.parametrize(("data", "kind", "order", "micro", "expected"), NUMBERS)
def test_what_registers_hold(data: str, kind: str, order: str, micro: int, expected: int | None) -> None:
    assert milli(b"\0" + bytes.fromhex(data), 1, kind, order, micro) == expected


def test_what_registers_hold_on_the_real_micropython(micropython: Callable[..., Any]) -> None:
    code = """
import json
from binascii import unhexlify
from drivers.modbus_meter import milli
print(json.dumps([milli(unhexlify(row[0]), 0, *row[1:]) for row in argument]))
"""
    assert micropython(code, argument=[row[:4] for row in NUMBERS]) == [row[4] for row in NUMBERS]


def test_the_three_phases_of_an_sdm630(clock: Clock) -> None:
    model = ThreePhases(7, voltage=230.0, current=8.0, share=(0.5, 0.25), power_factor=0.5, energy=20.0)
    try:
        asked: list[int] = []

        class Counted(Uart):
            def write(self, data: bytes) -> None:
                asked.append(data[5])
                super().write(data)

        driver = ModbusMeter(Counted(clock, model), rows("sdm630"), 7)
        found = read(driver)
        # 8 + 4 + 2 A; what is absent of a single phase's values would be an error here
        assert found[:7] == [230_000, 14_000, 1_610_000, 3_220_000, 500, 50_000, pytest.approx(20_000, abs=1)]
        assert found[7:] == [230_000] * 3 + [8_000, 4_000, 2_000] + [920_000, 460_000, 230_000]
        assert asked == [2] * 7 + [18]  # registers: the nine values of the phases in one request

        model.share = (float("nan"), 0.25)
        found = read(driver)
        assert [place for place, value in enumerate(found) if value is None] == [1, 2, 3, 6, 11, 14]
        assert [words(reason)[:15] for reason in driver.absent[-2:]] == ["register 0x0008", "register 0x000E"]
        model.share, model.energy = (0.5, 0.25), 20.0
        model.refused = {0x0000: 2}  # an older meter of that make
        found = read(driver)
        assert found[0] == 230_000 and found[7:] == [None] * 9
        assert [words(reason) for reason in driver.absent] == ["refuses register 0x0000 (2, no such register)"]
    finally:
        model.close()


def test_a_meter_by_the_table_of_its_manual(clock: Clock) -> None:
    problems: list[str] = []
    model = OtherModel(7, voltage=229.96, current=2.0, power_factor=-0.5, energy=1234.567)
    try:
        driver = ModbusMeter(Uart(clock, model), sensors.registers(REGISTERS, problems), 7)
        assert read(driver) == [230_000, None, -230_000, None, None, None, 1_234_570]
        assert driver.absent == [] and problems == []  # what nobody asked for is not missing
        model.refused = {110: 2}
        assert read(driver)[6] is None and len(driver.absent) == 1
        model.refused = {100: 2, 101: 2, 110: 2}
        assert failure(driver) == (206, "refuses register 0x0064 (2, no such register)")
    finally:
        model.close()


def test_the_same_integers_on_the_real_micropython(micropython: Callable[..., Any], model: Model) -> None:
    """The device's own run: what it sends is what the server answers, value by value."""
    registers = (0x0000, 0x0006, 0x000C, 0x0012, 0x001E, 0x0046, 0x0156)
    replies = {}
    for register in registers:
        body = bytes([7, 4]) + register.to_bytes(2, "big") + b"\x00\x02"
        request = body + crc16(body, 6).to_bytes(2, "little")
        replies[request.hex()] = model.uart_exchange(request, 0).hex()
    code = program(__file__, "read")
    values, failed = micropython(code, argument=replies, virtual_time=True)
    assert failed == [201]
    assert values[:2] == [231_500, 4_250]
    assert values[4:] == [875, 49_980, 1_234_500]
