"""The Bluetooth half of the radio chip: HCI packets through two rings in its RAM, beside Wi-Fi on the same bus.

The CYW43439 shows its Bluetooth core to the host through the backplane window of gSPI function 1 (pico-sdk,
cybt_shared_bus_driver.c, has the registers and the rings). Each ring holds packets of a 3-byte length, the HCI
type and the payload, padded to words. The host rings a doorbell by toggling a bit; the chip raises a bit of its
interrupt status, and the data line while it is not selected. The firmware that the host downloads is not run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from rp2040py.external.cyw43 import bus as cyw43_bus
from rp2040py.external.cyw43.bus import GSPIBus

_BT_CONTROL = 0x18000C7C
_READY: Final = 1 << 24 | 1 << 8  # firmware ready, awake
_RAM_BASE_REGISTER = 0x18000D68
_HOST_CONTROL = 0x18000D6C
_DOORBELL: Final = 1 << 1  # its change, either way
_INTERRUPT_STATUS = 0x18002020
_BT_DATA: Final = 1 << 5
_FIRMWARE = 0x19000000
_FIRMWARE_END = 0x1A000000
_RAM = 0x00068000  # ours to choose: all of it lies in one window of 32 KiB
_RING = 0x1000
_INDICES = 2 * _RING
_RAM_SIZE = 3 * _RING
_H2B_IN, _H2B_OUT, _B2H_IN, _B2H_OUT = range(4)
_SEQUENCE = 4  # where the frame's number stands in its SDPCM header
_FIRST_CREDIT = 1  # as the driver has it after its start
_ROOM = 8  # frames that the chip takes ahead; the driver believes no credit that grows by more than 20
_WLAN_RAM_END = 0x100000  # the Wi-Fi firmware and its parameters go there and are never read back


class RadioBus(GSPIBus):  # type: ignore[misc, unused-ignore]
    """The chip as the bus sees it. on_hci is called with each HCI packet of the guest, H4 type byte first."""

    def __init__(self, wifi_mac: bytes) -> None:
        self.on_hci: Callable[[bytes], None] = lambda packet: None
        self.on_power_off: Callable[[], None] = lambda: None
        self._power_bluetooth_off()
        self._credit = _FIRST_CREDIT
        super().__init__()
        cyw43_bus._GUEST_MAC = wifi_mac  # this process has one chip

    def _power_bluetooth_off(self) -> None:
        self._bluetooth_on = False
        self._ram = bytearray(_RAM_SIZE)
        self._host_control = 0
        self._interrupts = 0
        self._to_guest: deque[bytes] = deque()
        self._from_guest = bytearray()

    def power_off(self) -> None:
        super().power_off()
        self._credit = _FIRST_CREDIT
        self._power_bluetooth_off()
        self.on_power_off()

    # rp2040py counts one credit for each frame to the guest. The driver's sequence number counts those from it, so 255
    # more frames in than out made both equal: it sent nothing then, until something came. A chip's credit is the
    # number of the last frame that it has room for (cyw43-driver, cyw43_sdpcm_send_common).

    @property
    def _bus_data_credit(self) -> int:
        return self._credit

    @_bus_data_credit.setter
    def _bus_data_credit(self, value: int) -> None:
        pass

    def _write_wlan(self, data: bytes) -> None:
        if len(data) > _SEQUENCE:
            self._credit = (data[_SEQUENCE] + 1 + _ROOM) & 0xFF
        super()._write_wlan(data)

    def send_hci(self, packet: bytes) -> None:
        """One HCI packet to the guest."""
        if self._bluetooth_on:
            self._to_guest.append(packet)
            self._fill()

    # The backplane.

    def _read_backplane_memory(self, addr: int, size: int) -> int:
        at = addr - _RAM
        if 0 <= at < _RAM_SIZE:
            return int.from_bytes(self._ram[at : at + size], "little")
        if addr == _BT_CONTROL:
            return _READY
        if addr == _RAM_BASE_REGISTER:
            return _RAM
        if addr == _HOST_CONTROL:
            return self._host_control
        if addr == _INTERRUPT_STATUS:
            return self._interrupts
        value: int = super()._read_backplane_memory(addr, size)
        return value

    def _write_backplane_memory(self, addr: int, size: int, value: int) -> None:
        at = addr - _RAM
        if self._bluetooth_on and 0 <= at <= _RAM_SIZE - size:
            self._ram[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
            if at == _INDICES + 4 * _B2H_OUT:
                self._fill()  # the guest has read: there may be room for more
        elif _FIRMWARE <= addr < _FIRMWARE_END:
            self._bluetooth_on = True
        elif addr == _HOST_CONTROL:
            rung = (self._host_control ^ value) & _DOORBELL
            self._host_control = value
            if rung:
                self._empty()
                self._fill()
        elif addr == _INTERRUPT_STATUS:
            self._interrupts &= ~value
        elif addr >= _WLAN_RAM_END:
            super()._write_backplane_memory(addr, size, value)

    # The rings.

    def _index(self, which: int) -> int:
        at = _INDICES + 4 * which
        return int.from_bytes(self._ram[at : at + 4], "little") & (_RING - 1)

    def _set_index(self, which: int, value: int) -> None:
        at = _INDICES + 4 * which
        self._ram[at : at + 4] = value.to_bytes(4, "little")

    def _empty(self) -> None:
        """Take what the guest has put into its ring."""
        end, at = self._index(_H2B_IN), self._index(_H2B_OUT)
        ring = self._ram[:_RING]
        self._from_guest += ring[at:end] if at <= end else ring[at:] + ring[:end]
        self._set_index(_H2B_OUT, end)
        while len(self._from_guest) >= 4:
            length = int.from_bytes(self._from_guest[:3], "little")
            whole = 4 + (length + 3 & ~3)
            if len(self._from_guest) < whole:
                return
            packet = bytes(self._from_guest[3 : 4 + length])
            del self._from_guest[:whole]
            self.on_hci(packet)

    def _fill(self) -> None:
        """Put what waits for the guest into its ring, as far as there is room, and raise the interrupt."""
        moved = False
        while self._to_guest:
            packet = self._to_guest[0]
            data = (len(packet) - 1).to_bytes(3, "little") + packet
            data += bytes(-len(data) % 4)
            start = self._index(_B2H_IN)
            if (self._index(_B2H_OUT) - start - 4) & (_RING - 1) < len(data):
                break
            self._to_guest.popleft()
            first = min(len(data), _RING - start)
            self._ram[_RING + start : _RING + start + first] = data[:first]
            self._ram[_RING : _RING + len(data) - first] = data[first:]
            self._set_index(_B2H_IN, (start + len(data)) & (_RING - 1))
            moved = True
        if moved:
            self._interrupts |= _BT_DATA
            self._show_interrupt()

    # The data line tells of both halves while the chip is not selected.

    def _show_interrupt(self) -> None:
        if not self._selected and self._data_pin is not None:
            self._data_pin.set_input_value(bool(self._rx_packet) or bool(self._interrupts & _BT_DATA))

    def _activate_rx_packet(self, data: bytes) -> None:
        super()._activate_rx_packet(data)
        self._show_interrupt()

    def _on_cs_change(self, selected: bool) -> None:
        super()._on_cs_change(selected)
        self._show_interrupt()
