"""An emulated Eastron SDM120 energy meter on a UART: a real pymodbus server answers, in RTU framing.

SDM120 Modbus protocol, table of input registers (function 04, IEEE 754 floats of two registers, high word
first). The server listens on the loopback only, on a port of the system's choice, and starts with the first
request. Registers that the table does not list answer with exception 2, functions other than 04 with
exception 1; the meter's settings (holding registers) are not modelled.

The RS-485 adapter before it may echo what the board sends, and add noise before an answer: of a line that nobody drives
while a transceiver turns round.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from quaver.emulator.sensors.stream import Fault
from quaver.errors import BoardError


@dataclass(frozen=True)
class Register:
    """A value of the meter in one register or two: the attribute times `scale`, packed as struct's `form` says."""

    attribute: str
    form: str
    scale: float
    low_first: bool = False

    @property
    def count(self) -> int:
        """Registers."""
        return struct.calcsize(self.form) // 2

    def words(self, value: float) -> list[int]:
        """The value in registers, at the end of the scale where it is beyond it."""
        scaled: float = value * self.scale
        if self.form[-1] != "f":
            bits = 16 * self.count - self.form[-1].islower()
            scaled = max(-(1 << bits) if self.form[-1].islower() else 0, min((1 << bits) - 1, round(scaled)))
        words = list(struct.unpack(f">{self.count}H", struct.pack(self.form, scaled)))
        return words[::-1] if self.low_first else words


def floats(registers: Mapping[int, str]) -> dict[int, Register]:
    """Each attribute as an IEEE 754 float, high word first."""
    return {register: Register(attribute, ">f", 1.0) for register, attribute in registers.items()}


_REGISTERS = {
    0x0000: "voltage",  # V
    0x0006: "current",  # A
    0x000C: "active_power",  # W
    0x0012: "apparent_power",  # VA
    0x0018: "reactive_power",  # var
    0x001E: "power_factor",
    0x0046: "frequency",  # Hz
    0x0048: "imported",  # kWh
    0x004A: "exported",  # kWh
    0x0156: "energy",  # kWh in total: what was imported and exported, added
}

_CHARACTER_BITS = 10
_TOLERANCE = 0.04  # of the bit rate; beyond it the last bits of a character are read wrong
_ANSWER_S = 5.0  # a loopback server that takes longer is broken, not slow
_BEYOND = 99999.0


def _crc(data: bytes) -> int:
    """CRC-16/MODBUS (Modbus over serial line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def _sound(frame: bytes) -> bool:
    return _crc(frame[:-2]) == int.from_bytes(frame[-2:], "little")


class SDM120:
    """The meter. All attributes may change while it runs; powers follow from them.

    voltage V, current A, power_factor -1..1, below 0 for power that flows back; frequency Hz; energy kWh in total, and
    exported of it, grow with the power that flows.
    address: its Modbus address. baudrate and parity ("none", "even", "odd"): of its line; a board that sends otherwise
    is not understood, and gets no answer. refused: the exception that a register answers with, by register.
    echo: the adapter gives back what the board sends; noise: and these bytes before each answer.
    TABLE and FUNCTION: which registers hold what, and are read by which function; another meter's are others.
    fault: None; "absent" (no reply), "stuck" (the same values for ever), "range" (every value far beyond what
    such a meter can measure).
    """

    TABLE: ClassVar[Mapping[int, Register]] = floats(_REGISTERS)
    FUNCTION = 4

    def __init__(
        self,
        address: int = 1,
        *,
        voltage: float = 230.0,
        current: float = 2.0,
        power_factor: float = 0.9,
        frequency: float = 50.0,
        energy: float = 100.0,
        exported: float = 0.0,
        baudrate: int = 2400,
        parity: str = "none",
        refused: Mapping[int, int] | None = None,
        echo: bool = False,
        noise: bytes = b"",
        fault: Fault = None,
    ) -> None:
        self.address = address
        self.voltage = voltage
        self.current = current
        self.power_factor = power_factor
        self.frequency = frequency
        self.energy = energy
        self.exported = exported
        self.baudrate = baudrate
        self.parity = parity
        self.refused: Mapping[int, int] = refused or {}
        self.echo = echo
        self.noise = noise
        self.fault: Fault = fault
        self._understood = True
        self._pending = b""
        self._last_byte = 0
        self._last_energy = 0
        self._held: dict[int, float] = {}
        self._server: _Server | None = None

    @property
    def apparent_power(self) -> float:
        """VA."""
        return self.voltage * self.current

    @property
    def active_power(self) -> float:
        """W."""
        return self.apparent_power * self.power_factor

    @property
    def reactive_power(self) -> float:
        """var."""
        return math.sqrt(max(0.0, self.apparent_power**2 - self.active_power**2))

    @property
    def imported(self) -> float:
        """kWh."""
        return self.energy - self.exported

    @property
    def port(self) -> int | None:
        """The server's TCP port on 127.0.0.1 (RTU frames), None before the first request."""
        return self._server.port if self._server else None

    def uart_line(self, baudrate: int, parity: str) -> None:
        """How the board sends from now on."""
        self._understood = parity == self.parity and abs(baudrate - self.baudrate) <= _TOLERANCE * self.baudrate

    def uart_exchange(self, data: bytes, now: int) -> bytes:
        """Take bytes of a request; with its last one, return the server's answer, as the adapter gives it on."""
        answer = self._answered(data, now)
        return (data if self.echo else b"") + (self.noise + answer if answer else b"")

    def _answered(self, data: bytes, now: int) -> bytes:
        self._count_energy(now)
        if not self._understood:
            return b""
        silence = int(3.5 * _CHARACTER_BITS * 1e9 / self.baudrate)
        if self._pending and now - self._last_byte - self._wire_ns(len(data)) > silence:
            self._pending = b""  # a frame that broke off (Modbus over serial line V1.02, 2.5.1.1)
        self._last_byte = now
        self._pending += data
        answer = b""
        while len(self._pending) >= 8:  # the length of every request that this meter can be asked
            frame, self._pending = self._pending[:8], self._pending[8:]
            if self.fault != "absent" and frame[0] == self.address and _sound(frame):
                answer += self._ask(frame)
            else:
                self._pending = b""  # not for this meter, or noise: out of step until the next silence
        return answer

    def close(self) -> None:
        """Stop the server; the next request starts another."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_server": None}

    def _wire_ns(self, count: int) -> int:
        return int(count * _CHARACTER_BITS * 1e9 / self.baudrate)

    def _count_energy(self, now: int) -> None:
        flowed = self.active_power / 1000 * (now - self._last_energy) / 3.6e12
        self.energy += abs(flowed)
        if flowed < 0:
            self.exported -= flowed
        self._last_energy = now

    def _ask(self, frame: bytes) -> bytes:
        if self._server is None:
            self._server = _Server(self)
        return self._server.ask(frame)

    def value(self, register: int) -> float:
        """What a register holds now, the fault included."""
        if self.fault == "stuck":
            if not self._held:
                self._held = {r: float(getattr(self, one.attribute)) for r, one in self.TABLE.items()}
            return self._held[register]
        self._held = {}
        value: float = getattr(self, self.TABLE[register].attribute)
        return _BEYOND if self.fault == "range" else value


class _Server:
    """A pymodbus server in a thread of its own, and the one connection to it."""

    def __init__(self, meter: SDM120) -> None:
        self._meter = meter
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sdm120", daemon=True)
        self._thread.start()
        if not self._ready.wait(_ANSWER_S) or self._failure is not None:
            why = self._failure or "it did not start"
            raise BoardError(f"the emulated SDM120 has no Modbus server: {why}; check that 127.0.0.1 can be used")
        self._connection = socket.create_connection(("127.0.0.1", self.port), timeout=_ANSWER_S)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, frame: bytes) -> bytes:
        try:
            self._connection.sendall(frame)
            head = self._receive(3)
            rest = 2 if head[1] & 0x80 else head[2] + 2
            return head + self._receive(rest)
        except OSError as error:
            raise BoardError(
                f"the emulated SDM120's Modbus server does not answer: {error}; restart the emulation"
            ) from error

    def close(self) -> None:
        self._connection.close()
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(_ANSWER_S)

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._connection.recv(count - len(data))
            if not part:
                raise ConnectionError("it closed the connection")
            data += part
        return data

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._failure = error
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        from pymodbus.framer import FramerType
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        device = SimDevice(
            id=self._meter.address,
            simdata=[
                SimData(r, values=[0] * one.count, datatype=DataType.REGISTERS, readonly=True)
                for r, one in self._meter.TABLE.items()
            ],
            action=self._refresh,
        )
        server: Any = ModbusTcpServer(
            device, framer=FramerType.RTU, address=("127.0.0.1", 0), ignore_missing_devices=True
        )
        self._done = asyncio.Event()
        await server.serve_forever(background=True)
        self.port = server.transport.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        await server.shutdown()

    async def _refresh(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> Any:
        """Called by the server before it answers: put the meter's present values into its registers."""
        from pymodbus.constants import ExcCodes

        if function != self._meter.FUNCTION:
            return ExcCodes.ILLEGAL_FUNCTION
        if address in self._meter.refused:
            return ExcCodes(self._meter.refused[address])
        for register, one in self._meter.TABLE.items():
            at = register - start
            registers[at : at + one.count] = one.words(self._meter.value(register))
        return None
