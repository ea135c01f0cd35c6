"""The emulated radio: one virtual air in which boards, host programs and other emulators meet over Bluetooth LE.

`air` is what the outside sees. Behind it stand `link` (connection events, air time, loss, range), `controller`
(what Bumble's controller lacks), `loop` (an event loop that lives by the boards' clock), `guest` (the unix
board's end) and `bleak_backend` (bleak over Bumble). Bumble is slow to import: nothing here does so by itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quaver.emulator.radio.air import Air
    from quaver.emulator.radio.path import Path

__all__ = ["Air", "Path"]


def __getattr__(name: str) -> Any:
    if name == "Air":
        from quaver.emulator.radio.air import Air

        return Air
    if name == "Path":
        from quaver.emulator.radio.path import Path

        return Path
    raise AttributeError(name)
