"""Scan: which parts answer on a board's buses, asked by the drivers of the firmware that is on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quaver.board.failures import KnownFailure
from quaver.board.guest import guest
from quaver.board.repl import Exec
from quaver.board.spec import BoardSpec, I2cBus, SpiBus, UartBus
from quaver.desk.sync import ask, board_of, said
from quaver.errors import BoardError
from quaver_wire.reasons import words

_TIMEOUT_S = 60.0  # an I2C bus of 112 addresses with a part at each, or one meter's values


@dataclass(frozen=True)
class Place:
    """Somebody who answers: where, and who. place: as a configuration names it, {"address": 72}, {"cs": 17}.

    measures: the section of a configuration that it belongs to. drivers: those that know it as their part: one, or of
    a bus without identities each that could read it; none for a stranger, of whom `heard` says what was answered.
    """

    bus: str
    place: Mapping[str, int | str]
    measures: str
    drivers: tuple[str, ...]
    heard: str

    @property
    def settings(self) -> dict[str, dict[str, int | str]]:
        """What a configuration says of it, but for what goes without saying; empty for a stranger."""
        place = {key: value for key, value in self.place.items() if (key, value) != ("de_pin", -1)}
        return {self.measures: {"driver": self.drivers[0], "bus": self.bus, **place}} if self.drivers else {}


@dataclass
class Report:
    """What a scan found. hints: of each bus on which no known part answers, what to check."""

    board: str
    places: list[Place] = field(default_factory=list)
    hints: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return any(place.drivers for place in self.places)


@dataclass(frozen=True)
class Line:
    """How to ask on a UART: every one of `addresses` at each rate and parity, until one answers.

    direction: the GPIO that has an RS-485 transceiver send, -1 where it turns round by itself.
    """

    addresses: Sequence[int] = (1,)
    baudrates: Sequence[int] = (2400, 9600, 19200)  # as meters leave their factories, and Modbus's own default
    parities: Sequence[str] = ("none", "even")
    direction: int = -1


def scan(
    run: Exec, selects: Sequence[int] = (), line: Line | None = None, tell: Callable[[str], None] = lambda step: None
) -> Report:
    """Ask every bus of the board at its prompt. The board is to be restarted afterwards.

    selects: GPIOs that select a part on SPI, beside those of the board's file. tell: called with what is asked next.
    Raises KnownFailure (no firmware of ours, another chip), BoardError (a GPIO that the board has not), DeviceError.
    """
    about = ask(run)
    spec = board_of(about)
    if about.board is None:
        raise KnownFailure("no_firmware")
    highest = spec.silicon.highest_gpio
    for pin in selects:
        if not 0 <= pin <= highest:
            raise BoardError(f"chip select {pin}: a {spec.name} has GPIO 0 to {highest}: name one of them")
    run(guest(__file__, "scan"), timeout=_TIMEOUT_S)
    report = Report(spec.name)
    for name, bus in spec.buses.items():
        tell(name)
        if isinstance(bus, I2cBus):
            places, hint = _i2c(run, name, bus)
        elif isinstance(bus, SpiBus):
            places, hint = _spi(run, name, bus, _selects(spec, name, selects))
        else:
            places, hint = _uart(run, name, bus, line or Line(), tell)
        report.places += places
        if not any(place.drivers for place in places):
            report.hints[name] = hint
    return report


def _i2c(run: Exec, name: str, bus: I2cBus) -> tuple[list[Place], str]:
    pins = {"sda": bus.sda, "scl": bus.scl}
    ((low, open_),) = _said(run, f"_lines(sda={bus.sda}, scl={bus.scl})", "lines")
    wiring = ", ".join(f"{role.upper()} at GPIO {pin}" for role, pin in pins.items())
    if low:
        shown = " and ".join(f"{role.upper()} (GPIO {pins[role]})" for role in low)
        return [], (
            f"{shown} held low: look for a short to ground and for a part without supply, then take the power from all "
            "parts once: one that was interrupted while it sent holds the line"
        )
    places = _places(_said(run, f"_i2c({name!r})", "place"))
    if places:
        return places, f"something answers that is no known part; {wiring}"
    hint = f"no address answers: check {wiring}, 3.3 V and ground at the part"
    if open_:
        shown = " and ".join(role.upper() for role in open_)
        hint += f"; nothing pulls {shown} up: the part is not connected, or 4.7 kOhm to 3.3 V are missing"
    return [], hint


def _selects(spec: BoardSpec, name: str, selects: Sequence[int]) -> list[int]:
    own = spec.pins.get(f"{name}_cs")
    return list(dict.fromkeys([*([] if own is None else [own]), *selects]))


def _spi(run: Exec, name: str, bus: SpiBus, selects: Sequence[int]) -> tuple[list[Place], str]:
    places: list[Place] = []
    for select in selects:
        found = _places(_said(run, f"_spi({name!r}, {select}, {tuple(selects)!r})", "place"))
        places += [place for place in found if place.drivers or place.heard]
    at = " or ".join(f"GPIO {pin}" for pin in selects) or "a GPIO that --cs names"
    return places, (
        f"no known part answers: check SCK at GPIO {bus.sck}, MOSI (the part's SDI) at {bus.mosi}, MISO (its SDO) at "
        f"{bus.miso}, chip select at {at}, 3.3 V and ground at the part"
    )


def _uart(run: Exec, name: str, bus: UartBus, line: Line, tell: Callable[[str], None]) -> tuple[list[Place], str]:
    places: list[Place] = []
    for baudrate in line.baudrates:
        for parity in line.parities:
            for address in line.addresses:
                tell(f"{name}, address {address}, {baudrate} baud, parity {parity}")
                place = {"address": address, "baudrate": baudrate, "parity": parity, "de_pin": line.direction}
                found = _places(_said(run, f"_ask({name!r}, {place!r}, False)", "place"))
                places += [place for place in found if place.drivers or place.heard]
            if places:  # one line has one rate
                return places, f"something answers at {baudrate} baud that is no known part"
    return [], (
        f"no answer at {', '.join(map(str, line.baudrates))} baud: check TX at GPIO {bus.tx} to the transceiver's "
        f"input, RX at {bus.rx} to its output, A and B (swapped?), the device's address, rate and parity"
    )


def _said(run: Exec, code: str, key: str) -> list[Any]:
    return said(run(code, timeout=_TIMEOUT_S)).get(key, [])


def _places(found: Sequence[Any]) -> list[Place]:
    places = []
    for bus, place, known, others in found:
        measures = known[0][0] if known else ""
        heard = "; ".join(f"to {driver}'s driver {words(why)}" for driver, why in others)
        drivers = tuple(driver for its, driver in known if its == measures)
        places.append(Place(bus, place, measures, drivers, "" if drivers else heard))
    return places
