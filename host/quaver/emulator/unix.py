"""The unix board: the firmware on a real MicroPython on this machine, with the host as its hardware.

`UnixBoard` answers the verbs of `Board`. Behind it stand the guest process (unix_guest), the buses with the
sensor models (unix_wires), the console that mpremote opens (console), and the clock that the guest lives by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quaver.board.repl import ConsoleBoard
from quaver.board.spec import load_board
from quaver.build import littlefs_image
from quaver.emulator.bus import placed
from quaver.emulator.clock import Clock
from quaver.emulator.identity import Identity, next_name
from quaver.emulator.setup import Setup
from quaver.emulator.unix_guest import Guest
from quaver.emulator.unix_wires import Wires
from quaver.errors import BoardError


class UnixBoard(ConsoleBoard):
    """A MicroPython unix port as a board; see `Board` for the verbs.

    clock: shared by boards that belong to one world; by default its air's or network's, or one of its own.
    Raises BoardError when it can't start.
    """

    where = "unix:"
    board = "unix"
    host_address = "127.0.0.1"

    def __init__(self, setup: Setup, *, clock: Clock | None = None) -> None:
        if setup.image is not None:
            raise BoardError(f"{setup.image}: a unix board has no flash for it: give its files, or use rp2040:")
        spec = load_board(self.board)
        rig = placed(setup.rig, spec.pins)
        self._rig = {part.name: part.model for part in rig}
        wires = Wires(spec, rig)
        image = littlefs_image(setup.files, spec.flash.filesystem_size, spec.flash.block_size)
        world = setup.air or setup.lan
        self.clock = clock or (world.clock if world is not None else Clock(setup.real_time))
        self.name = setup.name or next_name("unix")
        self.identity = setup.identity or Identity.of(self.name)
        super().__init__(self._typed)
        self._guest = Guest(
            spec,
            image,
            wires=wires,
            console=self._console,
            clock=self.clock,
            broker_port=setup.broker_port,
            name=self.name,
            identity=self.identity,
            air=setup.air,
            lan=setup.lan,
        )
        self._guest.start()
        try:
            self._guest.wait_ready()
        except BaseException:
            self.stop()
            raise

    def _typed(self, data: bytes) -> None:
        self._guest.type(data)

    def reset(self, run: bool = True) -> None:
        self._check()
        self._guest.reset("all" if run else "nothing")
        if not run:
            self._guest.wait_prompt()

    def power(self, on: bool) -> None:
        """Cut the power, or give it back, at this moment; for a thread that holds up the clock."""
        if on:
            self._guest.power_on()
        else:
            self._guest.power_off()

    def reach(self, there: bool) -> None:
        """Whether its access point is there."""
        self._guest.wifi.present = there

    def cut_power(self, operation: int, torn: bool, cut: Callable[[], None]) -> int:
        """Likewise: cut the power at the operation-th flash operation from now, 1 for the next; `power` gives it back.

        An operation is a page programmed or a block erased. torn: half of it is done; else nothing of it. cut():
        called at that moment, in the board's thread, which holds up the clock. Takes the place of an earlier call, and
        returns how many operations that one still waited for.
        """
        return self._guest.cut_power(operation, torn, cut)

    def virtual_time_ns(self) -> int:
        """The board's time since power-on."""
        return self._guest.now

    def _part(self, name: str) -> Any:
        model = self._guest.wifi if name == "wifi" and name not in self._rig else self._rig.get(name)
        if model is None:
            raise BoardError(f"sensor {name!r} is not on this board: it has {', '.join(self._rig) or 'none'}")
        return model

    def sensor(self, name: str, attribute: str) -> Any:
        model = self._part(name)
        if not hasattr(model, attribute):
            raise BoardError(f"sensor {name}: {type(model).__name__} has no {attribute!r} to look at")
        return getattr(model, attribute)

    def set_sensor(self, name: str, **changes: object) -> None:
        """As `Board.set_sensor`; "wifi" is the access point: present, ssid, password."""
        model = self._part(name)
        for attribute, value in changes.items():
            if not hasattr(model, attribute):
                raise BoardError(
                    f"sensor {name}: {type(model).__name__} has no {attribute!r} to set: see its model's docstring"
                )
            setattr(model, attribute, value)

    def alive(self) -> str | None:
        return self._guest.ended

    def stop(self) -> None:
        self._guest.stop()
        self._console.close()
