"""The C core as Python sees it: one chip in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from quaver.emulator.compiled import load_compiled
from quaver.errors import BoardError

_CORE = Path(__file__).with_name("core")
TICKS_PER_US = 160
POWER_ON = 1  # a reset's cause as the chip's low-power side numbers it
_OUTPUT = 1 << 16

_Bytes = ctypes.POINTER(ctypes.c_uint8)
_Spi = ctypes.CFUNCTYPE(None, _Bytes, _Bytes, ctypes.c_uint32, ctypes.c_double)
_I2c = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, _Bytes, ctypes.c_uint32)
_Uart = ctypes.CFUNCTYPE(None, ctypes.c_int, _Bytes, ctypes.c_uint32)
_Pin = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int)
_PinModels = ctypes.CFUNCTYPE(ctypes.c_uint64)
_Radio = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_Packet = ctypes.CFUNCTYPE(None, _Bytes, ctypes.c_uint32)
_Cut = ctypes.CFUNCTYPE(None)

NO_COMPILER = "the ESP32-C3 needs a C compiler, and there is none that works: install gcc or clang, or take unix:"


class Calls(Protocol):
    """What the chip asks of the world around it. Data that comes back is written into `back`."""

    def spi(self, out: bytes, byte_ns: float) -> bytes: ...
    def i2c(self, verb: int, data: bytearray) -> bool: ...
    def uart(self, number: int, data: bytes) -> None: ...
    def pin(self, number: int, level: int) -> None: ...
    def pin_models(self) -> int: ...
    def radio_call(self, entry: int, a0: int, a1: int, a2: int) -> int: ...
    def frame(self, frame: bytes) -> None: ...
    def hci(self, packet: bytes) -> None: ...


class _Host(ctypes.Structure):
    _fields_ = (
        ("spi", _Spi),
        ("i2c", _I2c),
        ("uart", _Uart),
        ("pin", _Pin),
        ("pin_models", _PinModels),
        ("radio", _Radio),
        ("frame", _Packet),
        ("hci", _Packet),
        ("cut", _Cut),
    )


class Chip:
    """The chip. `failed` keeps what a callback raised: the C code can't carry it.

    mac: 6 bytes, of its eFuse. flash_number: 8 bytes. seed: of its random numbers. pins: a mask of the GPIOs whose
    outputs are told to `calls.pin`. Raises BoardError without a C compiler.
    """

    FLASH_SIZE = 4 << 20

    def __init__(self, calls: Calls, mac: bytes, flash_number: bytes, seed: int, pins: int) -> None:
        library = load_core()
        self._library: Any = library
        self._calls = calls
        self.failed: Exception | None = None
        self._buffer = ctypes.create_string_buffer(_OUTPUT)
        for name in ("now", "count"):
            getattr(library, f"c3_{name}").restype = ctypes.c_uint64
        library.c3_fault.restype = ctypes.c_char_p
        library.c3_flash.restype = _Bytes
        library.c3_register.restype = ctypes.c_uint32
        library.c3_run.argtypes = (ctypes.c_uint64,)
        library.c3_queue.argtypes = (
            ctypes.c_uint32,
            ctypes.c_uint32,
            ctypes.c_char_p,
            ctypes.c_uint32,
            ctypes.c_uint64,
        )
        self._host = _Host(
            spi=_Spi(self._spi),
            i2c=_I2c(self._i2c),
            uart=_Uart(lambda number, data, count: self._guard(calls.uart, None, number, _bytes(data, count))),
            pin=_Pin(lambda number, level: self._guard(calls.pin, None, number, level)),
            pin_models=_PinModels(lambda: self._guard(calls.pin_models, _NEVER)),
            radio=_Radio(lambda entry, a0, a1, a2: self._guard(calls.radio_call, 0xFFFFFFFF, entry, a0, a1, a2)),
            frame=_Packet(lambda data, count: self._guard(calls.frame, None, _bytes(data, count))),
            hci=_Packet(lambda data, count: self._guard(calls.hci, None, _bytes(data, count))),
        )
        library.c3_start(ctypes.byref(self._host), mac, flash_number, ctypes.c_uint64(seed), ctypes.c_uint32(pins))

    def _guard(self, function: Callable[..., Any], otherwise: Any, *arguments: object) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            self.failed = self.failed or error
            return otherwise

    def _spi(self, out: Any, back: Any, count: int, byte_ns: float) -> None:
        answer = self._guard(self._calls.spi, b"", ctypes.string_at(out, count), byte_ns)
        ctypes.memmove(back, answer, min(count, len(answer)))

    def _i2c(self, verb: int, data: Any, count: int) -> int:
        content = bytearray(ctypes.string_at(data, count) if count else b"")
        taken = self._guard(self._calls.i2c, False, verb, content)
        if count:
            ctypes.memmove(data, bytes(content), count)
        return int(taken)

    # Running.

    def boot(self, cause: int) -> None:
        self._library.c3_boot(cause)

    def reset(self, cause: int) -> None:
        """Asks for a reset: it happens when the chip next runs."""
        self._library.c3_reset(cause)

    def run(self, ticks: int) -> None:
        """Run so many ticks of 160 MHz, or until there is something for the host. Raises what a model raised."""
        self._library.c3_run(self._library.c3_now() + ticks)
        if self.failed is not None:
            failed, self.failed = self.failed, None
            raise failed

    def fault(self) -> str | None:
        """Why the guest can't go on, or None."""
        line: bytes | None = self._library.c3_fault()
        return line.decode(errors="replace") if line else None

    def now(self) -> int:
        """Ticks since power-on."""
        return int(self._library.c3_now())

    @property
    def nanos(self) -> int:
        return self.now() * 25 // 4

    def count(self, which: int) -> int:
        """0 to 7: instructions, ticks idle, flash pages programmed, blocks erased, ticks in light and in deep sleep,
        when the last deep one ended, and the one before."""
        return int(self._library.c3_count(which))

    # What goes in and out.

    def take_output(self) -> bytes:
        output = b""
        while count := self._library.c3_output(self._buffer, _OUTPUT):
            output += self._buffer.raw[:count]
        return output

    def type(self, uart: int, data: bytes) -> int:
        """Characters for a UART; how many it took."""
        return int(self._library.c3_type(uart, data, len(data)))

    def uart_line(self, uart: int) -> tuple[int, str]:
        """A UART's rate in baud, and its parity: "none", "even" or "odd"."""
        parity = {0: "none", 2: "even", 3: "odd"}[int(self._library.c3_uart_parity(uart))]
        return int(self._library.c3_uart_baud(uart)), parity

    def turn_uart(self, pin: int) -> None:
        """UART 1 has a transceiver that a GPIO turns: high, it sends and hears nothing; low, the other way about."""
        self._library.c3_uart_direction(pin)

    def write_flash(self, offset: int, data: bytes) -> None:
        """Put bytes into the flash chip, past its commands. Raises ValueError outside of it."""
        self._inside(offset, len(data))
        place = ctypes.addressof(self._library.c3_flash().contents) + offset
        ctypes.memmove(place, data, len(data))

    def _inside(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.FLASH_SIZE:
            raise ValueError(f"{size} bytes at {offset:#x} are not in the flash")

    def read_flash(self, offset: int, size: int) -> bytes:
        """What the flash chip holds. Raises ValueError outside of it."""
        self._inside(offset, size)
        return ctypes.string_at(ctypes.addressof(self._library.c3_flash().contents) + offset, size)

    def read(self, address: int, size: int) -> bytes:
        """The guest's memory. Raises BoardError where there is none."""
        data = ctypes.create_string_buffer(size)
        if not self._library.c3_read(ctypes.c_uint32(address), data, size):
            raise _no_memory(address, size)
        return data.raw

    def write(self, address: int, data: bytes) -> None:
        if not self._library.c3_write(ctypes.c_uint32(address), data, len(data)):
            raise _no_memory(address, len(data))

    def register(self, address: int) -> int:
        """A register, with what reading it does."""
        return int(self._library.c3_register(ctypes.c_uint32(address)))

    def write_register(self, address: int, value: int) -> None:
        self._library.c3_write_register(ctypes.c_uint32(address), ctypes.c_uint32(value))

    def drive(self, pin: int, level: bool) -> None:
        """What a device puts on a pin."""
        self._library.c3_pin(pin, int(level))

    def level(self, pin: int) -> bool:
        return bool(self._library.c3_pin_level(pin))

    def set_adc(self, channel: int, value: int) -> None:
        """The raw result, of 4096, of the next conversions of a channel."""
        self._library.c3_adc(channel, value)

    def cut(self, operation: int, torn: bool) -> int:
        """Returns how many operations there were to an earlier cut."""
        return int(self._library.c3_cut(operation, int(torn)))

    def set_entries(self, addresses: list[int], event_base: int) -> None:
        array = (ctypes.c_uint32 * len(addresses))(*addresses)
        self._library.c3_entries(array, len(addresses), ctypes.c_uint32(event_base))

    def queue(self, kind: int, number: int, data: bytes, after_us: int = 0) -> None:
        """A frame (kind 0), a Wi-Fi event (1) or an HCI packet (2) for the guest."""
        self._library.c3_queue(kind, number, data, len(data), after_us * TICKS_PER_US)


_NEVER = (1 << 64) - 1


def load_core() -> ctypes.CDLL:
    """The compiled core. Raises BoardError."""
    sources = sorted(_CORE.glob("*.c"))
    library = load_compiled("esp32c3", sources, "c3_start", sorted(_CORE.glob("*.h")))
    if library is None:
        raise BoardError(NO_COMPILER)
    return library


def _bytes(data: Any, count: int) -> bytes:
    return ctypes.string_at(data, count)


def _no_memory(address: int, size: int) -> BoardError:
    return BoardError(f"{size} bytes at {address:#x} are not in memory: take an address of the guest's")
