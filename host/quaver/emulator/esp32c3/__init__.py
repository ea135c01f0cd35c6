"""The emulated ESP32-C3: the official image, unmodified, on a model of the chip that is compiled at first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quaver.emulator.esp32c3.board import Esp32C3Board

__all__ = ["Esp32C3Board"]


def __getattr__(name: str) -> Any:
    """Import the board when it is asked for: the process that runs the emulation has no need of it."""
    if name == "Esp32C3Board":
        from quaver.emulator.esp32c3.board import Esp32C3Board

        return Esp32C3Board
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
