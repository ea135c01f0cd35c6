"""The SDM120 model: a real Modbus server behind a UART, asked by pymodbus's own client and by raw frames."""

import pickle
import struct
from collections.abc import Iterator

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.framer.rtu import FramerRTU

from quaver.emulator.bus import UartModel
from quaver.emulator.sensors.sdm120 import SDM120

MS = 1_000_000


def frame(address: int, function: int, register: int, count: int = 2) -> bytes:
    body = struct.pack(">BBHH", address, function, register, count)
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def number(answer: bytes) -> float:
    assert len(answer) == 9
    assert FramerRTU.compute_CRC(answer[:-2]).to_bytes(2, "big") == answer[-2:]
    return float(struct.unpack(">f", answer[3:7])[0])


@pytest.fixture
def meter() -> Iterator[SDM120]:
    meter = SDM120(3, voltage=229.5, current=10.0, power_factor=0.8, frequency=50.02, energy=5.0)
    yield meter
    meter.close()


def test_it_is_a_uart_model(meter: SDM120) -> None:
    assert isinstance(meter, UartModel)


def test_pymodbus_own_client_reads_the_table(meter: SDM120) -> None:
    meter.uart_exchange(frame(3, 4, 0), 0)  # the first request starts the server
    assert meter.port is not None
    expected = {
        0x0000: 229.5,
        0x0006: 10.0,
        0x000C: 1836.0,
        0x0012: 2295.0,
        0x0018: 1377.0,
        0x001E: 0.8,
        0x0046: 50.02,
        0x0048: 5.0,
        0x004A: 0.0,
        0x0156: 5.0,
    }
    with ModbusTcpClient("127.0.0.1", port=meter.port, framer=FramerType.RTU) as client:
        for register, value in expected.items():
            answer = client.read_input_registers(register, count=2, device_id=3)
            assert struct.unpack(">f", struct.pack(">HH", *answer.registers))[0] == pytest.approx(value)
            assert meter.value(register) == pytest.approx(value)


@pytest.mark.parametrize(("function", "register", "code"), [(4, 0x0002, 2), (4, 0x0158, 2), (3, 0x0000, 1)])
def test_what_the_meter_does_not_have_is_an_exception(meter: SDM120, function: int, register: int, code: int) -> None:
    answer = meter.uart_exchange(frame(3, function, register), 0)
    assert answer[:3] == bytes([3, function | 0x80, code])
    assert number(meter.uart_exchange(frame(3, 4, 0), 10 * MS)) == 229.5


def test_a_request_may_come_in_pieces(meter: SDM120) -> None:
    request = frame(3, 4, 0)
    now = 0
    for at in range(7):
        assert meter.uart_exchange(request[at : at + 1], now) == b""
        now += MS
    assert number(meter.uart_exchange(request[7:], now)) == 229.5


def test_silence_ends_a_broken_frame(meter: SDM120) -> None:
    assert meter.uart_exchange(frame(3, 4, 0)[:5], 0) == b""
    assert number(meter.uart_exchange(frame(3, 4, 0x0006), 50 * MS)) == 10.0


def test_noise_and_other_addresses_stay_unanswered(meter: SDM120) -> None:
    wrong_crc = frame(3, 4, 0)[:-1] + b"\x00"
    assert meter.uart_exchange(wrong_crc, 0) == b""
    assert meter.uart_exchange(frame(4, 4, 0), 50 * MS) == b""
    assert meter.uart_exchange(frame(0, 4, 0), 100 * MS) == b""
    assert number(meter.uart_exchange(frame(3, 4, 0), 150 * MS)) == 229.5


def test_energy_grows_with_the_power_that_flows(meter: SDM120) -> None:
    hour = 3600 * 1000 * MS
    assert number(meter.uart_exchange(frame(3, 4, 0x0156), 0)) == pytest.approx(5.0)
    assert number(meter.uart_exchange(frame(3, 4, 0x0156), hour)) == pytest.approx(6.836)


def test_what_flows_back_is_exported_and_the_total_never_falls(meter: SDM120) -> None:
    hour = 3600 * 1000 * MS
    meter.power_factor = -0.8
    assert number(meter.uart_exchange(frame(3, 4, 0x000C), 0)) == -1836.0
    assert number(meter.uart_exchange(frame(3, 4, 0x001E), 10 * MS)) == pytest.approx(-0.8)
    found = [
        number(meter.uart_exchange(frame(3, 4, register), hour + at * 10 * MS))
        for at, register in enumerate((0x0048, 0x004A, 0x0156))
    ]
    assert found == [pytest.approx(kwh, abs=1e-3) for kwh in (5.0, 1.836, 6.836)]


def test_an_adapter_that_echoes_and_adds_noise(meter: SDM120) -> None:
    plain = meter.uart_exchange(frame(3, 4, 0), 0)
    meter.echo = True
    meter.noise = b"\x00\xff"
    request = frame(3, 4, 0)
    assert meter.uart_exchange(request, 50 * MS) == request + b"\x00\xff" + plain
    assert meter.uart_exchange(request[:3], 100 * MS) == request[:3]  # an echo waits for no answer
    other = frame(4, 4, 0)
    assert meter.uart_exchange(other, 200 * MS) == other


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11])
def test_a_register_that_the_meter_refuses(meter: SDM120, code: int) -> None:
    meter.refused = {0x0156: code}
    answer = meter.uart_exchange(frame(3, 4, 0x0156), 0)
    assert answer[:3] == bytes([3, 0x84, code])
    assert number(meter.uart_exchange(frame(3, 4, 0), 50 * MS)) == 229.5


def test_a_board_that_sends_otherwise_is_not_understood() -> None:
    meter = SDM120(3, baudrate=9600, parity="even")
    try:
        for at, (baudrate, parity, answers) in enumerate(
            [
                (9600, "even", True),
                (9615, "even", True),
                (2400, "even", False),
                (9600, "none", False),
                (9600, "odd", False),
            ]
        ):
            meter.uart_line(baudrate, parity)
            assert bool(meter.uart_exchange(frame(3, 4, 0), at * 50 * MS)) == answers
    finally:
        meter.close()


def test_faults(meter: SDM120) -> None:
    meter.fault = "stuck"
    meter.uart_exchange(frame(3, 4, 0), 0)
    meter.voltage = 100.0
    assert number(meter.uart_exchange(frame(3, 4, 0), 10 * MS)) == 229.5
    meter.fault = "range"
    assert number(meter.uart_exchange(frame(3, 4, 0), 20 * MS)) > 9999
    meter.fault = "absent"
    assert meter.uart_exchange(frame(3, 4, 0), 30 * MS) == b""


def test_a_pickled_meter_starts_a_server_of_its_own(meter: SDM120) -> None:
    meter.uart_exchange(frame(3, 4, 0), 0)
    other = pickle.loads(pickle.dumps(meter))
    try:
        assert number(other.uart_exchange(frame(3, 4, 0), 10 * MS)) == 229.5
        assert other.port != meter.port
    finally:
        other.close()


def test_a_closed_meter_answers_again(meter: SDM120) -> None:
    meter.uart_exchange(frame(3, 4, 0), 0)
    meter.close()
    assert meter.port is None
    assert number(meter.uart_exchange(frame(3, 4, 0), 10 * MS)) == 229.5
