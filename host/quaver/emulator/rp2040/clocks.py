"""The clock that the SPI controllers and UARTs run from, as the guest has set it up."""

from __future__ import annotations

from typing import Any, Final

_CLK_PERI_CTRL = 0x48  # RP2040 datasheet, 2.15.7
_AUXSRC_SHIFT: Final = 5
_AUXSRC_MASK: Final = 0x7
_USB_PLL = 2
_USB_HZ = 48_000_000


def peripheral_hz(mcu: Any) -> int:
    """clk_peri in Hz. rp2040py always takes the system clock; MicroPython's image selects the USB PLL."""
    source = (mcu.clocks.read_uint32(_CLK_PERI_CTRL) >> _AUXSRC_SHIFT) & _AUXSRC_MASK
    return _USB_HZ if source == _USB_PLL else int(mcu.clk_sys)
