"""The models of other meters than the SDM120, by raw frames: the SDM630's table, and integers in holding registers."""

import struct
from collections.abc import Callable, Iterator

import pytest
from pymodbus.framer.rtu import FramerRTU

from quaver.emulator.sensors.modbus_meter import ModbusMeter
from quaver.emulator.sensors.sdm120 import SDM120
from quaver.emulator.sensors.sdm630 import SDM630


def ask(meter: SDM120, function: int, register: int, count: int, now: int) -> bytes:
    body = struct.pack(">BBHH", meter.address, function, register, count)
    answer = meter.uart_exchange(body + FramerRTU.compute_CRC(body).to_bytes(2, "big"), now)
    assert FramerRTU.compute_CRC(answer[:-2]).to_bytes(2, "big") == answer[-2:]
    return answer[1:-2]


@pytest.fixture
def closing() -> Iterator[Callable[[SDM120], SDM120]]:
    meters: list[SDM120] = []

    def keep(meter: SDM120) -> SDM120:
        meters.append(meter)
        return meter

    yield keep
    for meter in meters:
        meter.close()


def test_the_sdm630s_table(closing: Callable[[SDM120], SDM120]) -> None:
    values = {"voltage": 230.0, "current": 8.0, "power_factor": 0.5, "energy": 9.0, "exported": 1.0}
    meter = closing(SDM630(2, share=(0.5, 0.25), **values))
    expected = {0x0000: 230.0, 0x0004: 230.0, 0x0006: 8.0, 0x0008: 4.0, 0x000A: 2.0, 0x002A: 230.0, 0x002E: 14 / 3}
    expected |= {0x0030: 14.0, 0x0034: 1610.0, 0x0038: 3220.0, 0x003E: 0.5, 0x0046: 50.0, 0x0048: 8.0, 0x004A: 1.0}
    expected |= {0x000C: 920.0, 0x000E: 460.0, 0x0010: 230.0, 0x0156: 9.0}
    for at, (register, value) in enumerate(expected.items()):
        answer = ask(meter, 4, register, 2, at * 50_000_000)
        assert answer[:2] == b"\x04\x04"
        assert struct.unpack(">f", answer[2:])[0] == pytest.approx(value, rel=1e-4)
    assert ask(meter, 4, 0x002C, 2, 10**9) == b"\x84\x02"
    block = ask(meter, 4, 0x0000, 18, 2 * 10**9)
    assert block[:2] == b"\x04\x24"
    assert struct.unpack(">9f", block[2:]) == (230.0, 230.0, 230.0, 8.0, 4.0, 2.0, 920.0, 460.0, 230.0)


def test_integers_in_holding_registers(closing: Callable[[SDM120], SDM120]) -> None:
    meter = closing(ModbusMeter(3, voltage=230.6, current=1.0, power_factor=-1.0, energy=1234.56))
    assert ask(meter, 3, 100, 1, 0) == bytes.fromhex("03 02 0902")
    assert ask(meter, 3, 101, 1, 50_000_000) == bytes.fromhex("03 02 ff19")  # -231
    assert ask(meter, 3, 110, 2, 100_000_000) == bytes.fromhex("03 04 e240 0001")  # 123,456, low word first
    assert ask(meter, 4, 100, 1, 150_000_000) == b"\x84\x01"
    meter.fault = "range"
    assert ask(meter, 3, 100, 1, 200_000_000) == bytes.fromhex("03 02 ffff")  # the end of the scale
