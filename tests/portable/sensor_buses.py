"""MicroPython's bus objects under CPython, with an emulated sensor on the other end and a clock of wire time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Clock:
    """Virtual time in ns; also the `ticks` and sleeps that device code asks for."""

    def __init__(self) -> None:
        self.now = 0

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def ticks_ms(self) -> int:
        return self.now // 1_000_000

    def sleep_ms(self, ms: int) -> None:
        self.now += ms * 1_000_000

    async def async_sleep_ms(self, ms: int) -> None:
        self.sleep_ms(ms)

    def install(self, monkeypatch: Any) -> None:
        """Give CPython's time and asyncio the MicroPython functions that the drivers use."""
        import asyncio
        import time

        monkeypatch.setattr(time, "ticks_ms", self.ticks_ms, raising=False)
        monkeypatch.setattr(time, "ticks_add", lambda a, b: a + b, raising=False)
        monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
        monkeypatch.setattr(time, "sleep_ms", self.sleep_ms, raising=False)
        monkeypatch.setattr(asyncio, "sleep_ms", self.async_sleep_ms, raising=False)


class Spi:
    """machine.SPI and the chip select of its one device."""

    def __init__(self, clock: Clock, model: Any, baudrate: int) -> None:
        self.clock = clock
        self.model = model
        self.init(baudrate)

    def init(self, baudrate: int = 0, **mode: int) -> None:
        if baudrate:
            self.baudrate = baudrate
            self._byte_ns = 8_000_000_000 // baudrate
        self.mode = mode

    def cs(self, value: int) -> None:
        (self.model.spi_deselect if value else self.model.spi_select)(self.clock.now)

    def _exchange(self, value: int) -> int:
        self.clock.now += self._byte_ns
        return int(self.model.spi_exchange(value, self.clock.now))

    def write(self, data: bytes) -> None:
        for value in data:
            self._exchange(value)

    def readinto(self, buffer: Any, write: int = 0) -> None:
        for i in range(len(buffer)):
            buffer[i] = self._exchange(write)

    def write_readinto(self, data: bytes, buffer: Any) -> None:
        for i, value in enumerate(data):
            buffer[i] = self._exchange(value)


class I2c:
    """machine.I2C with one device."""

    def __init__(self, clock: Clock, model: Any, address: int, frequency: int = 400_000) -> None:
        self.clock = clock
        self.model = model
        self._address = address
        self._byte_ns = 9_000_000_000 // frequency

    def _start(self, address: int, read: bool) -> None:
        self.clock.now += self._byte_ns
        if address != self._address or not self.model.i2c_start(read, self.clock.now):
            raise OSError(5)

    def _write(self, data: bytes) -> None:
        for value in data:
            self.clock.now += self._byte_ns
            if not self.model.i2c_write(value, self.clock.now):
                raise OSError(5)

    def writeto(self, address: int, data: bytes) -> None:
        self._start(address, False)
        self._write(data)
        self.model.i2c_stop(self.clock.now)

    def readfrom_mem_into(self, address: int, register: int, buffer: Any) -> None:
        self._start(address, False)
        self._write(bytes([register]))
        self.readfrom_into(address, buffer)

    def readfrom_into(self, address: int, buffer: Any) -> None:
        self._start(address, True)
        for i in range(len(buffer)):
            self.clock.now += self._byte_ns
            buffer[i] = self.model.i2c_read(self.clock.now)
        self.model.i2c_stop(self.clock.now)

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        self._start(address, False)
        self._write(bytes([register]) + bytes(data))
        self.model.i2c_stop(self.clock.now)


class OneWire:
    """onewire.OneWire with one device; `line` may change a bit that is read."""

    def __init__(self, clock: Clock, model: Any, line: Callable[[int], int] = int) -> None:
        self.clock = clock
        self.model = model
        self.line = line

    def reset(self) -> bool:
        self.clock.now += 960_000
        return bool(self.model.one_wire_reset(self.clock.now))

    def writebyte(self, value: int) -> None:
        for at in range(8):
            self.clock.now += 70_000
            self.model.one_wire_write(value >> at & 1, self.clock.now)

    def write(self, data: bytes) -> None:
        for value in data:
            self.writebyte(value)

    def readinto(self, buffer: Any) -> None:
        for i in range(len(buffer)):
            buffer[i] = sum(self._read() << at for at in range(8))

    def _read(self) -> int:
        self.clock.now += 70_000
        return self.line(self.model.one_wire_read(self.clock.now) if self.model.one_wire_answers else 1)

    def crc8(self, data: bytes) -> int:
        crc = 0
        for value in data:
            for at in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ value >> at) & 1 else 0)
        return crc


class Uart:
    """machine.UART; `line` may change what comes back, and delay_ms holds it up."""

    def __init__(self, clock: Clock, model: Any, line: Callable[[bytes], bytes] = bytes) -> None:
        self.clock = clock
        self.model = model
        self.line = line
        self.delay_ms = 0
        self.received = b""
        self._coming: list[tuple[int, bytes]] = []

    def write(self, data: bytes) -> None:
        answer = self.line(self.model.uart_exchange(bytes(data), self.clock.now))
        self._coming.append((self.clock.now + self.delay_ms * 1_000_000, answer))

    def flush(self) -> None:
        pass

    def any(self) -> int:
        self.received += b"".join(data for when, data in self._coming if when <= self.clock.now)
        self._coming = [entry for entry in self._coming if entry[0] > self.clock.now]
        return len(self.received)

    def readinto(self, buffer: Any) -> int | None:
        part, self.received = self.received[: len(buffer)], self.received[len(buffer) :]
        buffer[: len(part)] = part
        return len(part) or None


class Count:
    """A source that counts in steps of so many g: sample i is i on z and -i on y; x is capture + 1."""

    def __init__(self, step_g: float) -> None:
        self.step_g = step_g

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        i = np.arange(first, first + count)
        axes = np.stack([np.full(count, capture + 1), -i, i], axis=1)
        return (axes * self.step_g).astype(np.float32)


def axis(sensor: Any, n: int, offset: int) -> list[int]:
    """The int16 at `offset` of each of the first n words in a driver's buffer."""
    words = [sensor.raw[i * sensor.WORD_BYTES + offset :][:2] for i in range(n)]
    return [int.from_bytes(word, "little", signed=True) for word in words]
