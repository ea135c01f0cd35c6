"""The board's console: its USB serial port, with a host that waits as a real one does.

rp2040py's own host answers every endpoint that the guest arms for reception with an empty packet, 10 µs
later, for ever; TinyUSB then runs all the time, and bytecode looks three times slower than it is. This host
leaves an armed endpoint pending until there is something to send. It also has no limit on what is typed ahead.
"""

from __future__ import annotations

from typing import Any

from rp2040py.usb.cdc import USBCDC

_TURNAROUND_NS = 20_000.0


class UsbConsole(USBCDC):  # type: ignore[misc, unused-ignore]
    """The host's end of the guest's USB serial port. `received` collects what the guest prints."""

    def __init__(self, usb: Any) -> None:
        super().__init__(usb)
        self.received = bytearray()
        self.on_serial_data = self.received.extend
        self._typed = bytearray()
        self._armed: int | None = None  # bytes that the guest's reception has room for
        self._pass_on = usb.on_endpoint_read
        self._alarm = usb.rp2040.clock.create_alarm(self._serve)
        usb.on_endpoint_read = self._on_armed

    def type(self, data: bytes) -> None:
        """Send `data` to the guest as it makes room for it."""
        self._typed += data
        if self._armed is not None and self._typed:
            self._alarm.schedule(_TURNAROUND_NS)

    def _on_armed(self, endpoint: int, size: int) -> None:
        if endpoint == 0 or endpoint != self._out_endpoint:
            self._pass_on(endpoint, size)
            return
        self._armed = size
        if self._typed:
            self._alarm.schedule(_TURNAROUND_NS)

    def _serve(self) -> None:
        if self._armed is None or not self._typed:
            return
        size, self._armed = self._armed, None
        data = bytes(self._typed[:size])
        del self._typed[:size]
        self.usb.endpoint_read_done(self._out_endpoint, data)

    def _on_controller_reset(self) -> None:
        super()._on_controller_reset()
        self._armed = None
        self._typed.clear()
