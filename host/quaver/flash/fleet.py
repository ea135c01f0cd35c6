"""The flash room's work: one board from whatever it runs to our firmware, and many of them at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quaver import __version__
from quaver.board.chips import chips
from quaver.board.ports import Port, find_ports, named_port
from quaver.board.spec import BoardSpec, Image, load_board
from quaver.build import Flashable, build
from quaver.build.image import read_littlefs_blocks
from quaver.errors import BuildError, QuaverError
from quaver.flash import rp2
from quaver.flash.errors import (
    FlashError,
    NoBoardError,
    NoBoardFileError,
    NoReportError,
    WhichBoardError,
    WriteError,
    WrongChipError,
)
from quaver.flash.esp import EspSession
from quaver.flash.picoboot import PicobootSession, find_device
from quaver.flash.serials import Report, open_port, wait_for_report

_AT_ONCE = 16

Watch = Callable[[Port, str, float], None]
"""Told, from any thread, what happens with a port: in a word or two, and the part of writing that is done, 0 to 1."""


@dataclass
class Outcome:
    """How it went with one port. outcome: "flashed", "already right" or "failed", then with a reason and exit code."""

    port: str
    board: str | None = None
    unique_id: str | None = None
    image: str | None = None
    seconds: float = 0.0
    outcome: str = "failed"
    reason: str | None = None
    exit_code: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Stopped(Exception):
    """The person who flashes has had enough; no board's failure."""


class Fleet:
    """Flashes boards of one kind, or each by the chip it turns out to have.

    board: a board file's name, or None. watch: see Watch. report_s: how long a firmware has to say its version.
    finish: called with the device of each board that runs, for what is done by its console; what it raises fails it.
    slots: two for the image, so that releases can replace it. image: in place of the board file's.
    drivers: a folder of one's own. Raises BoardFileError, NoBoardFileError for a board that can't be flashed.
    """

    def __init__(
        self,
        board: str | None,
        watch: Watch,
        report_s: float = 20.0,
        finish: Callable[[str], None] = lambda _device: None,
        slots: bool = False,
        image: Image | None = None,
        drivers: Path | None = None,
    ) -> None:
        self._spec = None if board is None else board_to_flash(board)
        self._watch = watch
        self._report_s = report_s
        self._finish = finish
        self._slots = slots
        self._image = image
        self._drivers = drivers
        self._built: dict[tuple[str, int], Flashable] = {}
        self._building = threading.Lock()
        self._stop = threading.Event()

    def flash(self, ports: Sequence[Port]) -> list[Outcome]:
        """Flash all of them at once; one outcome a port, in their order, whatever happens to any."""
        with ThreadPoolExecutor(min(_AT_ONCE, max(1, len(ports))), "flash") as pool:
            futures = [pool.submit(self._one, port) for port in ports]
            try:
                return [future.result() for future in futures]
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def built(self, spec: BoardSpec, flash_size: int | None = None) -> Flashable:
        """The content for a board, built once for each size of flash."""
        key = (spec.name, flash_size or spec.flash.size)
        with self._building:
            if key not in self._built:
                self._built[key] = build(
                    spec.name, flash_size=key[1], slots=self._slots, image=self._image, drivers=self._drivers
                )
            return self._built[key]

    def _one(self, port: Port) -> Outcome:
        outcome = Outcome(port.device, self._spec.name if self._spec else None, port.unique_id)
        began = time.monotonic()
        try:
            if self._is_rp2(port):
                self._rp2(port, outcome)
            else:
                self._esp(port, outcome)
        except QuaverError as error:
            outcome.outcome, outcome.reason, outcome.exit_code = "failed", str(error), error.exit_code
            self._watch(port, "failed", 0.0)
        else:
            self._watch(port, outcome.outcome, 1.0)
        outcome.seconds = round(time.monotonic() - began, 1)
        return outcome

    def _is_rp2(self, port: Port) -> bool:
        if port.chips:
            return all(chips()[chip].loader == "uf2" for chip in port.chips)
        return port.kind == "rp2-bootsel" or (self._spec is not None and self._spec.silicon.loader == "uf2")

    def _chip(self, port: Port) -> str:
        """The chip behind a port whose boot loader takes UF2: what USB says, else the board that was named."""
        if self._spec is not None and (not port.chips or self._spec.chip in port.chips):
            return self._spec.chip
        return port.chips[0]

    def _alive(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _say(self, port: Port, words: str, part: float = 0.0) -> None:
        self._alive()
        self._watch(port, words, part)

    def _choose(self, chip: str, port: Port, outcome: Outcome) -> BoardSpec:
        """The board file for a chip that was found. Raises WrongChipError, NoBoardFileError."""
        if self._spec is not None:
            if self._spec.chip != chip:
                raise WrongChipError(
                    f"{port.device}: its chip is an {chip}, an {self._spec.name} has an {self._spec.chip}: "
                    "name the right BOARD, or none"
                )
            return self._spec
        if chip not in chips():
            raise NoBoardFileError(f"{port.device}: its chip is an {chip}, and there is no board with that chip")
        spec = load_board(chips()[chip].board)
        outcome.board = spec.name
        return spec

    def _esp(self, port: Port, outcome: Outcome) -> None:
        self._say(port, "connecting")
        with EspSession(port.device) as session:
            outcome.unique_id = session.unique_id
            spec = self._choose(session.chip, port, outcome)
            built = self.built(spec, session.flash_size)
            outcome.image = _image_name(built)
            self._say(port, "comparing")
            regions = self._wrong_regions(session, built)
            if regions:
                session.write(regions, lambda part: self._say(port, "writing", part))
            self._say(port, "resetting", 1.0)
            session.reset()
        self._settle(port, spec, lambda: self._device(port))
        outcome.outcome = "flashed" if regions else "already right"

    def _wrong_regions(self, session: EspSession | PicobootSession, built: Flashable) -> list[tuple[int, bytes]]:
        """What has to be written. A file system that holds our firmware stays, with all else that is in it; another
        firmware of ours is replaced, and what its node wrote itself stays.
        """
        runs = built.runs()
        regions = runs if any(session.differs(*run) for run in runs) else []
        block = built.board.flash.block_size
        if regions:
            found: Mapping[str, bytes] = {}
            with contextlib.suppress(BuildError):  # there is none
                found = read_littlefs_blocks(
                    lambda number: session.read(built.filesystem_offset + number * block, block),
                    len(built.filesystem) // block,
                    block,
                )
            if all(found.get(path) == data for path, data in built.files.items()):
                regions = []
            else:
                regions = built.beside(built.own_files(found)).runs()
        if session.differs(built.image_offset, built.image):
            regions = [(built.image_offset, built.image), *regions]
        return regions

    def _rp2(self, port: Port, outcome: Outcome) -> None:
        spec = self._choose(self._chip(port), port, outcome)
        built = self.built(spec)
        outcome.image = _image_name(built)
        drive, whole = port, built
        if port.kind != "rp2-bootsel":
            open_port(port.device).close()  # its reasons are the better ones
            self._say(port, "comparing")
            outcome.unique_id, right = rp2.holds(port.device, built)
            if right:
                self._say(port, "resetting", 1.0)
                self._settle(port, spec, lambda: self._device(port), rerun=True)
                outcome.outcome = "already right"
                return
            self._say(port, "reading the node's own files")
            whole = built.beside(rp2.own_files(port.device, built))
            self._say(port, "calling the boot loader")
            drive = rp2.call_boot_loader(port, self._alive)
        known = {found.device for found in find_ports()}
        by_drive = not drive.device.startswith("usb:")
        if not by_drive:
            self._picoboot(port, drive, built, outcome)
        else:
            rp2.copy_uf2(drive, whole.file(), spec.silicon, lambda part: self._say(port, "writing", part))
            outcome.outcome = "flashed"
        self._say(port, "starting", 1.0)
        running = rp2.wait_for_start(drive, known, self._alive)
        outcome.unique_id = running.unique_id or outcome.unique_id
        if by_drive:
            self._say(port, "verifying", 1.0)
            outcome.unique_id, right = rp2.holds(running.device, built)
            if not right:
                raise WriteError(f"{port.device}: the flash does not hold what was written: try another cable")
        self._settle(port, spec, lambda: running.device, rerun=True)

    def _picoboot(self, port: Port, drive: Port, built: Flashable, outcome: Outcome) -> None:
        """Through the boot ROM's own interface, which reads the flash back too."""
        self._say(port, "comparing")
        with PicobootSession(drive.device, find_device(drive.location or "")) as session:
            regions = self._wrong_regions(session, built)
            if regions:
                session.write(regions, lambda part: self._say(port, "writing", part))
            session.reset()
        outcome.outcome = "flashed" if regions else "already right"

    def _settle(self, port: Port, spec: BoardSpec, find: Callable[[], str | None], rerun: bool = False) -> None:
        """Wait until the firmware says that it runs, and do what is left to do then."""
        self._say(port, "waiting for its report", 1.0)
        _check_report(port, wait_for_report(find, self._report_s, rerun, self._alive), spec)
        device = find()
        if device is not None:
            self._finish(device)

    def _device(self, port: Port) -> str | None:
        """Where the board is now: a chip's own USB may come back under another name."""
        if port.location is None or Path(port.device).exists():
            return port.device
        return next((found.device for found in find_ports() if found.location == port.location), None)


def board_to_flash(name: str) -> BoardSpec:
    """The board file of that name. Raises BoardFileError, NoBoardFileError."""
    spec = load_board(name)
    if spec.image is None:
        raise NoBoardFileError(f"{name}: nothing to flash: it is the MicroPython unix port; see quaver emulate {name}")
    return spec


def _image_name(built: Flashable) -> str:
    assert built.board.image is not None
    return f"MicroPython {built.board.image.version}, quaver {__version__}"


def _check_report(port: Port, report: Report, spec: BoardSpec) -> None:
    if (report.version, report.board) != (__version__, spec.name):
        raise NoReportError(
            f"{port.device}: its firmware reports quaver {report.version} on {report.board}, "
            f"expected {__version__} on {spec.name}: reset it and try again"
        )


def choose_ports(names: Sequence[str], everything: bool, ask: Callable[[list[Port]], list[Port]] | None) -> list[Port]:
    """The ports to flash: those named, or all boards that are connected, or the only one, or what `ask` gives.

    ask: asks a person, None where there is nobody. Raises NoBoardError, WhichBoardError, BoardError.
    """
    if names:
        return list({port.device: port for port in map(named_port, names)}.values())
    # What USB does not say to be a board is not taken for one unless somebody names it.
    found = [port for port in find_ports() if port.chips]
    if not found:
        raise NoBoardError("no board was found on USB: plug it in (an RP2040 with BOOTSEL held), or name its --port")
    if everything or len(found) == 1:
        return found
    if ask is None:
        listed = "; ".join(f"{port.device} ({port.description})" for port in found)
        raise WhichBoardError(f"{len(found)} boards are connected: {listed}: name one with --port, or give --all")
    return ask(found)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0, the exit code that all failures have in common, or that of FlashError."""
    codes = {outcome.exit_code for outcome in outcomes if outcome.outcome == "failed"}
    if not codes:
        return 0
    return codes.pop() if len(codes) == 1 else FlashError.exit_code


__all__ = ["Fleet", "Outcome", "Stopped", "Watch", "board_to_flash", "choose_ports", "exit_code"]
