"""Scan: which parts answer on a board's buses, asked by the drivers of the firmware that is on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from quaver.board.failures import KnownFailure
from quaver.board.guest import guest
from quaver.board.repl import Exec
from quaver.board.spec import BoardSpec, I2cBus, SpiBus, UartBus, lines
from quaver.desk.sync import ask, board_of, said
from quaver.errors import BoardError
from quaver_wire.reasons import words

_TIMEOUT_S = 60.0  # an I2C bus of 112 addresses with a part at each, or one meter's values
_LOOK_S = 5  # at a pulse input


@dataclass(frozen=True)
class Place:
    """Somebody who answers: where, and who. place: as a configuration names it, {"address": 72}, {"cs": 17}; nothing of
    a 1-Wire line, "gpio22", where `rom` is who answers: family and serial number, "28-000001621d4a".

    measures: the section of a configuration that it belongs to. drivers: those that know it as their part: one, or of
    a bus without identities each that could read it; none for a stranger, of whom `heard` says what was answered.
    """

    bus: str
    place: Mapping[str, int | str]
    measures: str
    drivers: tuple[str, ...]
    heard: str
    rom: str = ""

    @property
    def settings(self) -> dict[str, dict[str, int | str]]:
        """What a configuration says of it, but for what goes without saying; empty for a stranger."""
        place = {key: value for key, value in self.place.items() if (key, value) != ("de_pin", -1)}
        return {self.measures: {"driver": self.drivers[0], "bus": self.bus, **place}} if self.drivers else {}


@dataclass
class Report:
    """What a scan found. hints: of each bus and line on which no known part answers, what to check.

    edges: how often a pulse input's level changed, "gpio15": 12. That is no part: nobody can tell what drives it.
    """

    board: str
    places: list[Place] = field(default_factory=list)
    hints: dict[str, str] = field(default_factory=dict)
    edges: dict[str, int] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether a known part answers, or something sends pulses."""
        return any(place.drivers for place in self.places) or any(self.edges.values())


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
    run: Exec,
    selects: Sequence[int] = (),
    line: Line | None = None,
    one_wire: Sequence[int] = (),
    pulses: Sequence[int] = (),
    tell: Callable[[str], None] = lambda step: None,
) -> Report:
    """Ask every bus of the board at its prompt. The board is to be restarted afterwards.

    selects: GPIOs that select a part on SPI, beside those of the board's file. one_wire, pulses: GPIOs with a 1-Wire
    line, and with pulses; a bus that has one of them by the board's file is not asked. tell: called with what is asked
    next. Raises KnownFailure (no firmware of ours, another chip), BoardError (a GPIO that the board has not, or that is
    named for two things), DeviceError.
    """
    about = ask(run)
    spec = board_of(about)
    if about.board is None:
        raise KnownFailure("no_firmware")
    _check(spec, selects, one_wire, pulses)
    run(guest(__file__, "scan"), timeout=_TIMEOUT_S)
    report = Report(spec.name)
    for name, bus in spec.buses.items():
        taken = _taken(spec, name, {*one_wire, *pulses})
        if taken:
            report.hints[name] = f"not asked: its GPIO {' and '.join(map(str, taken))} is named for 1-Wire or pulses"
            continue
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
    for pin in dict.fromkeys(one_wire):
        tell(f"1-Wire at GPIO {pin}")
        places, hint = _one_wire(run, pin)
        report.places += places
        if hint:
            report.hints[f"gpio{pin}"] = hint
    if pulses:
        tell(f"pulses, {_LOOK_S} s")
        _pulses(run, tuple(dict.fromkeys(pulses)), report)
    return report


def _check(spec: BoardSpec, selects: Sequence[int], one_wire: Sequence[int], pulses: Sequence[int]) -> None:
    highest = spec.silicon.highest_gpio
    for pin in selects:
        if not 0 <= pin <= highest:
            raise BoardError(f"chip select {pin}: a {spec.name} has GPIO 0 to {highest}: name one of them")
    for pin in (*one_wire, *pulses):
        if pin not in spec.gpios:
            free = ", ".join(map(str, spec.gpios))
            raise BoardError(f"GPIO {pin}: a {spec.name} has GPIO {free} for sensors: name one of them")
    asked = [*set(selects), *set(one_wire), *set(pulses)]
    for pin in asked:
        if asked.count(pin) > 1:
            raise BoardError(f"GPIO {pin} is named for two things: name it for one")


def _taken(spec: BoardSpec, name: str, pins: Set[int]) -> list[int]:
    """Those of `pins` that are the bus's, by the board's file."""
    return sorted(pins & {*lines(spec.buses[name]).values(), *_selects(spec, name, ())})


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


def _one_wire(run: Exec, pin: int) -> tuple[list[Place], str]:
    """Who answers on a 1-Wire line, and what to check, or ""."""
    ((low, open_),) = _said(run, f"_lines(line={pin})", "lines")
    if low:
        return [], f"GPIO {pin} held low: look for a short to ground, and for a part whose supply is turned round"
    (found,) = _said(run, f"_one_wire({pin})", "wire")
    if isinstance(found, str):
        return [], found
    present, roms, why = found
    pull_up = f"nothing pulls GPIO {pin} up: 4.7 kOhm to 3.3 V are missing" if open_ else ""
    places = [_wired(f"gpio{pin}", rom, whole, why, alone=len(roms) == 1) for rom, whole in roms]
    if places:
        return places, pull_up
    if present:
        return [], pull_up or "somebody answers, and not clearly: look for a long or disturbed line"
    hint = f"nobody answers: check the data wire at GPIO {pin}, 3.3 V and ground at the part"
    return [], f"{hint}; {pull_up}, or the part is not connected" if open_ else hint


def _wired(bus: str, rom: bytes, whole: bool, why: Sequence[int] | None, alone: bool) -> Place:
    name = f"{rom[0]:02x}-{rom[6:0:-1].hex()}"
    if alone and whole and why is None:
        return Place(bus, {}, "temperature", ("ds18b20",), "", name)
    heard = "answers beside others: a node takes a DS18B20 alone on its line"
    if alone:
        heard = words(why) if why else "a broken answer"
    return Place(bus, {}, "", (), heard, name)


def _pulses(run: Exec, pins: tuple[int, ...], report: Report) -> None:
    (found,) = _said(run, f"_edges({pins}, {_LOOK_S * 1000})", "edges")
    for pin, (edges, level) in zip(pins, found, strict=True):
        hint = f"{edges} edges in {_LOOK_S} s, {'high' if level else 'low'} at the end"
        if not edges:
            hint += ": a machine at rest, or check the wire, and 3.3 V or ground at the sensor"
        report.edges[f"gpio{pin}"] = edges
        report.hints[f"gpio{pin}"] = hint


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
