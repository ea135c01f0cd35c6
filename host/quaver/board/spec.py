"""Board facts as data: reads boards/*.toml into typed values and renders one for the device."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver import __version__
from quaver.board.chips import Chip, chips
from quaver.errors import BoardFileError
from quaver.files.carried import payload

_RADIOS = ("wifi", "ble")
# What a board file may give a current of: the whole chip awake, waiting awake, and asleep; it and its radio that sends,
# listens, or is on and does neither.
_STATES = ("awake", "idle", "light_sleep", "deep_sleep", "transmit", "receive", "radio_idle")
_HEAP_MAX = 1 << 24
_BUS_NAME = re.compile(r"(spi|i2c|uart)([0-9])")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Carrier:
    """One file in a registry package, and the member of it that is the image."""

    package: str
    package_version: str
    package_file: str
    package_sha256: str
    member: str


@dataclass(frozen=True)
class Image:
    """An official MicroPython image: its publisher's address, None for a file that a person named; and the registry
    package that carries the same file, None where none does. sha256: "" of one that nobody here has had: a person
    names it.
    """

    version: str
    filename: str
    sha256: str
    url: str | None
    carrier: Carrier | None = None


@dataclass(frozen=True)
class Flash:
    """Flash layout, in bytes. budget: how much of the file system the firmware's own files may take."""

    size: int
    filesystem_offset: int
    filesystem_size: int
    block_size: int
    budget: int


@dataclass(frozen=True)
class Current:
    """What a state takes, in mA, and where that is from."""

    ma: float
    source: str


@dataclass(frozen=True)
class SpiBus:
    """An SPI bus; id is what `machine.SPI` takes, the rest GPIO numbers and Hz."""

    id: int
    sck: int
    mosi: int
    miso: int
    baudrate: int


@dataclass(frozen=True)
class I2cBus:
    """An I2C bus; id is what `machine.I2C` takes, the rest GPIO numbers and Hz."""

    id: int
    scl: int
    sda: int
    frequency: int


@dataclass(frozen=True)
class UartBus:
    """A UART; id is what `machine.UART` takes, the rest GPIO numbers and baud."""

    id: int
    tx: int
    rx: int
    baudrate: int


Bus = SpiBus | I2cBus | UartBus


@dataclass(frozen=True)
class BoardSpec:
    """All that flashing, building, emulation and the device need to know of a board.

    heap: bytes of MicroPython heap after boot, 0 where it was not measured; on unix the value of `-X heapsize` (words
    twice as wide). heap_budget: bytes of it that the running firmware must leave free. idf_budget, idf_piece_budget:
    bytes of ESP-IDF's heap that it must leave free, in all and in one piece; 0 on a chip without ESP-IDF.
    tls_heap_budget, tls_idf_budget, tls_idf_piece_budget: the same of a node with every sensor, seals, TLS and
    commands; 0 where that is not tight.
    python: bytes that its heap grows by as a board starts; 0 on a chip whose heap does not grow.
    gpios: those that rules may use. pins: single GPIOs by role ("spi0_cs"). led: a GPIO, the name of a pin ("LED"), or
    None.
    currents: of the states of the chip and its radio, by name, as far as they are published (`_STATES`).
    silicon_run: what ran on the board itself, in a few words; "" for nothing.
    image is None on unix. also: newer official versions that the firmware runs on.
    """

    name: str
    title: str
    chip: str
    arch: str
    image: Image | None
    also: tuple[str, ...]
    flash: Flash
    heap: int
    heap_budget: int
    idf_budget: int
    idf_piece_budget: int
    python: int
    tls_heap_budget: int
    tls_idf_budget: int
    tls_idf_piece_budget: int
    pins: Mapping[str, int]
    buses: Mapping[str, Bus]
    radios: tuple[str, ...]
    gpios: tuple[int, ...]
    led: int | str | None
    currents: Mapping[str, Current]
    silicon_run: str

    @property
    def links(self) -> tuple[str, ...]:
        """What the link of a node may be: a radio, or the wire where there is none; on unix each, to be tried."""
        return self.radios if self.radios and self.image else (*self.radios, "uart")

    @property
    def asleep(self) -> Current | None:
        """What its sleep takes: deep where it has one, else light; None where neither is published."""
        return self.currents.get("deep_sleep") or self.currents.get("light_sleep")

    @property
    def silicon(self) -> Chip:
        """What is known of its chip."""
        return chips()[self.chip]


def board_names() -> list[str]:
    """Names of the boards that the package carries, sorted."""
    return sorted(path.stem for path in payload("boards").glob("*.toml"))


def load_board(name: str) -> BoardSpec:
    """The board of boards/<name>.toml. Raises BoardFileError."""
    names = board_names()
    if name not in names:
        raise BoardFileError(f"board {name!r} is unknown: expected one of {', '.join(names)}")
    return read_board(payload("boards", f"{name}.toml"))


def read_board(path: Path) -> BoardSpec:
    """The board that a TOML file describes, named by the file. Raises BoardFileError."""
    shown = f"boards/{path.name}" if path.parent.name == "boards" else str(path)
    try:
        return _read(path.stem, shown, path.read_bytes())
    except OSError as error:
        raise BoardFileError(f"{shown}: cannot be read: {error.strerror or error}") from error


@functools.lru_cache(64)  # which board is connected is asked of all of them
def _read(name: str, shown: str, toml: bytes) -> BoardSpec:
    try:
        data = tomllib.loads(toml.decode())
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, a UnicodeDecodeError, over 4,300 digits
        raise BoardFileError(f"{shown}: expected TOML, found an error: {error}") from error
    return _board(name, _Table(shown, "", data))


class _Table:
    """One TOML table read key by key; `done` refuses what nobody asked for."""

    def __init__(self, file: str, path: str, data: dict[str, Any]) -> None:
        self._file = file
        self._path = path
        self._data = data
        self._asked: set[str] = set()

    def fail(self, key: str, expected: str, found: str) -> BoardFileError:
        return BoardFileError(f"{self._file}: {self._path}{key}: expected {expected}, found {found}")

    def _take(self, key: str, kind: type, expected: str, optional: bool = False) -> Any:
        self._asked.add(key)
        if key not in self._data:
            if optional:
                return None
            raise self.fail(key, expected, "nothing")
        value = self._data[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.fail(key, expected, repr(value))
        return value

    def has(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def table(self, key: str) -> _Table:
        return _Table(self._file, f"{self._path}{key}.", self._take(key, dict, "a table"))

    def text(self, key: str, choices: tuple[str, ...] = (), pattern: re.Pattern[str] | None = None) -> str:
        expected = f"one of {', '.join(choices)}" if choices else "text"
        if pattern:
            expected = f"text like {pattern.pattern}"
        value: str = self._take(key, str, expected)
        if not value or (choices and value not in choices) or (pattern and not pattern.fullmatch(value)):
            raise self.fail(key, expected, repr(value))
        return value

    def number(self, key: str, low: int, high: int, step: int = 1, default: int | None = None) -> int:
        expected = f"a whole number from {low} to {high}" + (f" in steps of {step}" if step > 1 else "")
        value: int | None = self._take(key, int, expected, optional=default is not None)
        if value is None:
            value = default
        if value is None or not low <= value <= high or value % step:
            raise self.fail(key, expected, repr(value))
        return value

    def texts(self, key: str, choices: tuple[str, ...]) -> tuple[str, ...]:
        expected = f"a list of some of {', '.join(choices)}"
        values = self._take(key, list, expected)
        for value in values:
            if value not in choices or values.count(value) > 1:
                raise self.fail(key, expected, repr(values))
        return tuple(values)

    def gpios(self, key: str, highest: int) -> tuple[int, ...]:
        expected = f"a list of GPIOs from 0 to {highest}"
        values = self._take(key, list, expected)
        if not all(type(value) is int and 0 <= value <= highest for value in values):
            raise self.fail(key, expected, repr(values))
        return tuple(values)

    def versions(self, key: str) -> tuple[str, ...]:
        expected = 'a list of versions like "1.28.0"'
        values = self._take(key, list, expected, optional=True) or []
        if not all(isinstance(value, str) and _VERSION.fullmatch(value) for value in values):
            raise self.fail(key, expected, repr(values))
        return tuple(values)

    def pin_or_name(self, key: str, highest: int) -> int | str | None:
        expected = f"a GPIO from 0 to {highest} or the name of a pin"
        if not self.has(key):
            return None
        if isinstance(self._data[key], int):
            return self.number(key, 0, highest)
        value: str = self._take(key, str, expected)
        if not value:
            raise self.fail(key, expected, "''")
        return value

    def currents(self, key: str, states: tuple[str, ...]) -> dict[str, Current]:
        """{state: [mA, source]}, of some of those states; empty where the table is missing."""
        if not self.has(key):
            return {}
        table = self.table(key)
        found = {}
        for state in states:
            if table.has(state):
                expected = "[mA, source]"
                value = table._take(state, list, expected)
                if len(value) != 2 or not isinstance(value[0], int | float) or not isinstance(value[1], str):
                    raise table.fail(state, expected, repr(value))
                if not 0 <= value[0] < 1000 or not value[1]:
                    raise table.fail(state, "a current from 0 to 1000 mA and its source", repr(value))
                found[state] = Current(float(value[0]), value[1])
        table.done()
        return found

    def done(self) -> None:
        for key in self._data:
            if key not in self._asked:
                raise self.fail(key, f"only {', '.join(sorted(self._asked))}", "an unknown key")


def _board(name: str, top: _Table) -> BoardSpec:
    title = top.text("title")
    chip = chips()[top.text("chip", tuple(chips()))]
    highest = chip.highest_gpio
    image, also = _image(top.table("image")) if chip.loader else (None, ())
    flash = _flash(top.table("flash"))
    memory = top.table("memory")
    heap = memory.number("heap", 1 << 14, _HEAP_MAX) if memory.has("heap") else 0
    heap_budget = memory.number("heap_budget", 0, heap, default=0)
    idf_budget = memory.number("idf_budget", 0, 1 << 24, default=0)
    idf_piece_budget = memory.number("idf_piece_budget", 0, idf_budget, default=0)
    python = memory.number("python", 0, heap or _HEAP_MAX, default=0)
    tls_heap_budget = memory.number("tls_heap_budget", 0, heap_budget, default=0)
    tls_idf_budget = memory.number("tls_idf_budget", 0, idf_budget, default=0)
    tls_idf_piece_budget = memory.number("tls_idf_piece_budget", 0, tls_idf_budget, default=0)
    memory.done()
    buses = _buses(top.table("buses"), highest)
    pins = _pins(top.table("pins"), highest)
    radios = top.texts("radios", _RADIOS)
    gpios = top.gpios("gpios", highest)
    led = top.pin_or_name("led", highest)
    currents = top.currents("currents", _STATES)
    silicon_run = top.text("silicon_run") if top.has("silicon_run") else ""
    top.done()
    _refuse_shared_pins(top, buses, pins)
    return BoardSpec(
        name,
        title,
        chip=chip.name,
        arch=chip.arch,
        image=image,
        also=also,
        flash=flash,
        heap=heap,
        heap_budget=heap_budget,
        idf_budget=idf_budget,
        idf_piece_budget=idf_piece_budget,
        python=python,
        tls_heap_budget=tls_heap_budget,
        tls_idf_budget=tls_idf_budget,
        tls_idf_piece_budget=tls_idf_piece_budget,
        pins=pins,
        buses=buses,
        radios=radios,
        gpios=gpios,
        led=led,
        currents=currents,
        silicon_run=silicon_run,
    )


def _image(table: _Table) -> tuple[Image, tuple[str, ...]]:
    carrier = None
    pinned = any(table.has(key) for key in ("sha256", "url", "package"))
    if table.has("package"):
        carrier = Carrier(
            package=table.text("package"),
            package_version=table.text("package_version"),
            package_file=table.text("package_file"),
            package_sha256=table.text("package_sha256", pattern=_SHA256),
            member=table.text("member"),
        )
    image = Image(
        version=table.text("version", pattern=_VERSION),
        filename=table.text("filename"),
        sha256=table.text("sha256", pattern=_SHA256) if pinned else "",
        url=table.text("url", pattern=re.compile(r"https://.+")) if pinned else None,
        carrier=carrier,
    )
    also = table.versions("also")
    table.done()
    return image, also


def _flash(table: _Table) -> Flash:
    size = table.number("size", 1 << 16, 1 << 27)
    block = table.number("block_size", 128, 1 << 16)
    offset = table.number("filesystem_offset", 0, size - block, step=block)
    filesystem = table.number("filesystem_size", 2 * block, size - offset, step=block)
    budget = table.number("budget", block, filesystem)
    table.done()
    return Flash(size, offset, filesystem, block, budget)


def _buses(table: _Table, highest: int) -> dict[str, Bus]:
    buses: dict[str, Bus] = {}
    for name in table:
        match = _BUS_NAME.fullmatch(name)
        if not match:
            raise table.fail(name, "a bus named spi0, i2c0, uart1, …", "this name")
        one = table.table(name)
        # A controller's own number may differ from the name (an ESP32's first free SPI is 1).
        number = one.number("id", 0, 9, default=int(match[2]))
        if match[1] == "spi":
            sck, mosi, miso = (one.number(key, 0, highest) for key in ("sck", "mosi", "miso"))
            buses[name] = SpiBus(number, sck, mosi, miso, one.number("baudrate", 1, 80_000_000))
        elif match[1] == "i2c":
            scl, sda = (one.number(key, 0, highest) for key in ("scl", "sda"))
            buses[name] = I2cBus(number, scl, sda, one.number("frequency", 1, 1_000_000))
        else:
            tx, rx = (one.number(key, 0, highest) for key in ("tx", "rx"))
            buses[name] = UartBus(number, tx, rx, one.number("baudrate", 1, 10_000_000))
        one.done()
    return buses


def _pins(table: _Table, highest: int) -> dict[str, int]:
    return {name: table.number(name, 0, highest) for name in table}


def lines(bus: Bus) -> dict[str, int]:
    """The GPIOs of a bus by role."""
    if isinstance(bus, SpiBus):
        return {"sck": bus.sck, "mosi": bus.mosi, "miso": bus.miso}
    if isinstance(bus, I2cBus):
        return {"scl": bus.scl, "sda": bus.sda}
    return {"tx": bus.tx, "rx": bus.rx}


def _refuse_shared_pins(top: _Table, buses: Mapping[str, Bus], pins: Mapping[str, int]) -> None:
    used: dict[int, str] = {}
    roles = [(f"buses.{name}.{role}", pin) for name, bus in buses.items() for role, pin in lines(bus).items()]
    roles += [(f"pins.{name}", pin) for name, pin in pins.items()]
    for role, pin in roles:
        if pin in used:
            raise top.fail(role, "a GPIO of its own", f"{pin}, which is also {used[pin]}")
        used[pin] = role


def render_board(spec: BoardSpec) -> str:
    """Source of the device's module `board`: plain constants, so that the device parses nothing.

    BUSES is {"spi0": ("spi", id, sck, mosi, miso, baudrate), "i2c0": ("i2c", id, scl, sda, frequency),
    "uart1": ("uart", id, tx, rx, baudrate)}; PINS is {"spi0_cs": 17}; GPIOS has those for rules;
    FILES_AT is the file system's place in flash.
    """
    buses: dict[str, tuple[str | int, ...]] = {}
    for name, bus in spec.buses.items():
        kind = _BUS_NAME.fullmatch(name)
        speed = bus.frequency if isinstance(bus, I2cBus) else bus.baudrate
        buses[name] = (kind[1] if kind else name, bus.id, *lines(bus).values(), speed)
    values: dict[str, object] = {
        "NAME": spec.name,
        "CHIP": spec.chip,
        "HAL": spec.silicon.hal,
        "VERSION": __version__,
        "BUSES": buses,
        "PINS": dict(spec.pins),
        "GPIOS": spec.gpios,
        "LINKS": spec.links,
        "CONNECTIONS": spec.silicon.connections,
        "LED": spec.led,
        "FILES_AT": spec.flash.filesystem_offset,
    }
    awake, asleep = spec.currents.get("awake"), spec.asleep
    values["CURRENTS"] = (awake.ma, asleep.ma) if awake and asleep else (0.0, 0.0)
    head = f'"""This board, rendered from boards/{spec.name}.toml: change it there."""\n\n'
    if spec.python:
        values["PYTHON"] = spec.python
    return head + "".join(f"{key} = {value!r}\n" for key, value in values.items())
