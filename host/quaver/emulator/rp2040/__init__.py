"""The emulated Raspberry Pi Pico W: the official MicroPython image, unmodified, on an emulated RP2040.

`board` is the host's side, a `Board` that starts and talks to a child process. The rest runs in that child:
`process` is its main, `machine` assembles the emulated board, `engine` runs it, `spi`, `i2c` and `uart` put
the sensor models on its buses, `network` joins its Wi-Fi to the host's loopback, `usb` is its console, and
`dispatch`, `pio`, `dma`, `gspi` and `spin` make the emulator fast without changing what the guest sees.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quaver.emulator.rp2040.board import Rp2040Board

__all__ = ["Rp2040Board"]


def __getattr__(name: str) -> Any:
    # The child imports this package too, and has no use for the host's side.
    if name == "Rp2040Board":
        from quaver.emulator.rp2040.board import Rp2040Board

        return Rp2040Board
    raise AttributeError(name)
