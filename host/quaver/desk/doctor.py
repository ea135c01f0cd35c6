"""The doctor: checks a board from the cable to the broker and reports the first failure.

Each step of `quaver.board.failures.STEPS` has one check; the first that raises a KnownFailure ends the walk. What is
asked of the board runs there, with the firmware's own drivers and links, so what it says holds for the node too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quaver import __version__
from quaver.board.failures import STEPS, KnownFailure, cause_of
from quaver.board.guest import guest
from quaver.board.ports import Port
from quaver.board.repl import Exec
from quaver.board.serial import SerialBoard
from quaver.board.spec import BoardSpec
from quaver.broker.address import without_logins
from quaver.desk import attach
from quaver.desk.sync import About, ask, board_of, current_firmware, device_reason, differences, said
from quaver.errors import BoardError
from quaver_wire.reasons import words

_PROMPT_S = 6.0  # for a board to give its prompt, whatever it was doing
_TIMEOUT_S = 30.0  # one step on the board without a word: joining a network takes up to 20
_LOOK_S = 0.1
_WATCH_S = 8.0  # for a board that does not stay up to say why: it starts within 3
_CALM_S = 2.0  # of silence after a start that went well
_STARTS = 3  # in which a board has shown that it does not stay up
_LINES = 12  # of its console
_SAYS_ITSELF = re.compile(r"node: quaver (\S+) on ")
_SECRET = re.compile(r"(?i)(pass\w*|pwd|psk|key|secret|token|code)(\W{0,3}[=:]\W{0,3})[^\s,;}]+")
_LEAST_BLOCKS = 4  # free ones, below which the node can't replace a file
_MPY_VERSION = 6  # of the files that mpy-cross makes, since MicroPython 1.19


@dataclass
class Report:
    """What was found: for each step that is well, a few words; the failure that ended the walk, or None."""

    found: dict[str, str] = field(default_factory=dict)
    failure: KnownFailure | None = None

    def state(self, step: str) -> str:
        """ "ok", "failed", or "" for a step that was not reached."""
        if self.failure is None:
            return "ok"
        place = STEPS.index(step) - STEPS.index(self.failure.known.step)
        return "ok" if place < 0 else "" if place else "failed"


def examine(
    name: str | None,
    build: Callable[[str], Mapping[str, bytes]] = current_firmware,
    tell: Callable[[str], None] = lambda step: None,
) -> Report:
    """Examine the board on the port of that name, or the only one that is connected; restarts it in the end.

    build: the files that belong on a board. tell: called with each step that begins. Raises BoardError when the board
    goes away in between, and what `build` raises.
    """
    report = Report()
    try:
        tell("driver")
        port = attach.choose(name)
        report.found["driver"] = f"{port.device}, {port.description}"
        tell("port busy")
        board = attach.open_port(port)
        report.found["permission"] = report.found["port busy"] = "opened for us alone"
        with board:
            _examine_board(board, port, build, report.found, tell)
    except KnownFailure as failure:
        report.failure = failure
    return report


def _examine_board(
    board: SerialBoard,
    port: Port,
    build: Callable[[str], Mapping[str, bytes]],
    found: dict[str, str],
    tell: Callable[[str], None],
) -> None:
    tell("bootloader")
    _prompt(board, port)
    found["bootloader"] = "not in it: MicroPython's prompt answers"
    try:
        with board.execs() as run:
            about = ask(run)
            checks: tuple[tuple[str, Callable[[], str]], ...] = (
                ("image", lambda: _image(about)),
                ("chip", lambda: _chip(about)),
                ("file system", lambda: _file_system(run, about)),
                ("version", lambda: _version(run, about, build)),
                ("config", lambda: _config(run)),
                ("sensors", lambda: _sensors(run)),
                ("radio", lambda: _radio(run, about)),
                ("broker", lambda: _broker(run)),
            )
            for step, check in checks:
                tell(step)
                found[step] = check()
    except BaseException:
        if board.alive() is None:
            board.reset()
        raise
    tell("start")
    before = len(board.console())
    board.reset()
    found["start"] = _start(board, before)


def _start(board: SerialBoard, before: int) -> str:
    """How the firmware starts. before: bytes of the console from an earlier time."""
    said = _watch(board, before)
    cause = _failing(said)
    if cause is not None:
        raise _shown(KnownFailure("stays_not_up", cause=cause[0], remedy=cause[1]), said)
    own = _SAYS_ITSELF.findall(said)
    return f"quaver {own[-1]} runs" if own else f"it reports nothing within {_WATCH_S:.0f} s"


def _watch(board: SerialBoard, before: int) -> str:
    """What the board prints from now on: until it is calm, has failed or restarted often enough, or for _WATCH_S."""
    deadline = time.monotonic() + _WATCH_S
    said, calm_at = "", deadline
    while board.alive() is None and _starts(said) < _STARTS and time.monotonic() < min(deadline, calm_at):
        time.sleep(_LOOK_S)
        now = board.console()[before:].decode(errors="replace").replace("\r", "")
        if now != said:
            said = now
            calm_at = time.monotonic() + _CALM_S if _SAYS_ITSELF.search(said) or said.endswith(">>> ") else deadline
    return said


def _starts(said: str) -> int:
    return max(len(_SAYS_ITSELF.findall(said)), said.count("rst:0x"), said.count("MPY: soft reboot"))


def _failing(said: str) -> tuple[str, str] | None:
    """Cause and remedy where a board ended, started several times, or failed; None when it did what it should."""
    starts = _starts(said)
    if starts > 1 or said.endswith(">>> ") or "Traceback (" in said or not starts:
        cause = cause_of(said)
        if cause is None and starts > 1:
            return "it restarts again and again", "read its console (quaver console)"
        if cause is None and said.endswith(">>> "):
            return "it ends without a message", "restore its files (quaver sync)"
        return cause
    return None


def _shown(failure: KnownFailure, said: str) -> KnownFailure:
    """The failure with the last lines of the console, which may hold what a program prints of its settings."""
    lines = [without_logins(_SECRET.sub(r"\1\2…", line)).rstrip() for line in said.splitlines()]
    printable = ("".join(mark if mark.isprintable() else "?" for mark in line) for line in lines if line)
    failure.console = list(printable)[-_LINES:]
    return failure


def _prompt(board: SerialBoard, port: Port) -> None:
    """The board's prompt, or who answers instead."""
    try:
        board.interrupt(_PROMPT_S)
        return
    except BoardError:
        if board.alive() is not None:
            raise
    said = _watch(board, 0)
    board.stop()
    cause = cause_of(said)
    if cause is not None:
        raise _shown(KnownFailure("restarts", port=port.device, cause=cause[0], remedy=cause[1]), said)
    chip = _boot_loader(port.device)
    if chip is None:
        raise _shown(KnownFailure("no_prompt", port=port.device), said)
    raise KnownFailure("boot_loader_esp", port=port.device, chip=chip)


def _boot_loader(device: str) -> str | None:
    """The chip whose ROM boot loader answers at the port; None when none does. The board is not reset for it."""
    from quaver.flash.errors import FlashError
    from quaver.flash.esp import answering_chip

    try:
        return answering_chip(device)
    except FlashError:
        return None


def _image(about: About) -> str:
    if about.interpreter != "micropython":
        raise KnownFailure("other_interpreter", interpreter=about.interpreter)
    if about.mpy & 0xFF != _MPY_VERSION:
        raise KnownFailure("other_bytecode", found=about.mpy & 0xFF, wanted=_MPY_VERSION)
    version = ".".join(map(str, about.version))
    wanted = [spec.image.version for spec in _candidates(about) if spec.image is not None]
    if wanted and about.version < tuple(map(int, wanted[0].split("."))):
        raise KnownFailure("old_image", found=version, wanted=wanted[0])
    return f"MicroPython {version}"


def _candidates(about: About) -> list[BoardSpec]:
    try:
        return [board_of(about)]
    except KnownFailure:
        return []


def _chip(about: About) -> str:
    board_of(about)
    return about.machine or about.platform


def _file_system(run: Exec, about: About) -> str:
    if about.room is None:
        raise KnownFailure("no_file_system")
    block, free = about.room
    seen = said(run(guest(__file__, "check_files"), timeout=_TIMEOUT_S))
    for path, number in seen.get("unreadable", []):
        raise KnownFailure("damaged_file_system", path=path, reason=device_reason(number))
    if not block:
        raise KnownFailure("damaged_file_system", path="/", reason=device_reason(free))
    if free < _LEAST_BLOCKS:
        raise KnownFailure("full_file_system", free=free * block // 1024)
    for number in seen.get("unwritable", []):
        raise KnownFailure("no_write", reason=device_reason(number))
    if seen.get("kept") != [True]:
        raise KnownFailure("no_write", reason="it reads back differently")
    return f"{free * block // 1024} KiB free"


def _version(run: Exec, about: About, build: Callable[[str], Mapping[str, bytes]]) -> str:
    spec = board_of(about)
    if about.board is None:
        raise KnownFailure("no_firmware")
    version = about.board[2]
    files = build(spec.name)
    wrong, unfinished = differences(run, files, about)
    if unfinished:
        raise KnownFailure("unfinished_change")
    if version != __version__:
        raise KnownFailure("other_firmware", found=version, wanted=__version__)
    if wrong:
        raise KnownFailure("changed_firmware", count=len(wrong), path=wrong[0])
    trusts = f"; takes releases of key {about.release_key}" if about.release_key else ""
    return f"Quaver {version}, {len(files)} files, all correct{trusts}"


def _config(run: Exec) -> str:
    seen = said(run(guest(__file__, "check_config"), timeout=_TIMEOUT_S))
    if seen["key"] == [True] and seen["sealed"] != [True]:
        raise KnownFailure("bad_key")
    if seen["key"] != [True] and seen["code"] == [True]:
        raise KnownFailure("blank_node")
    if seen["config"] != [True]:
        raise KnownFailure("no_config")
    for problem in seen["problems"][0]:
        raise KnownFailure("bad_config", problem=problem.removeprefix("/config.json: "))
    ((path, why),) = seen["ca"]
    if why:
        raise KnownFailure("no_ca", path=path, reason=why)
    return f"config.json is valid, records are {'sealed' if seen['sealed'] == [True] else 'not sealed'}"


def _sensors(run: Exec) -> str:
    sensors: list[Any] = said(run(guest(__file__, "check_sensors"), timeout=_TIMEOUT_S)).get("sensor", [])
    found = []
    for sensor, part, why, absent in sensors:
        if why:
            reason = why if isinstance(why, str) else words(why)
            raise KnownFailure("no_sensor", sensor=sensor, part=part, reason=reason)
        found.append("".join([part, *(f" ({words(one)})" for one in absent)]))
    return "; ".join(found) or "none configured"


def _radio(run: Exec, about: About) -> str:
    seen = said(run(guest(__file__, "check_radio"), timeout=_TIMEOUT_S))
    ((ssid, why),) = seen["radio"]
    if not ssid:
        raise KnownFailure("no_network_name")
    if "no such network" in why:
        others = ", ".join(seen["seen"][0]) if seen.get("seen") else ""
        raise KnownFailure("no_network", ssid=ssid, seen=others or "none")
    if "wrong password" in why:
        raise KnownFailure("wrong_password", ssid=ssid)
    if why:
        raise KnownFailure("no_join", ssid=ssid, reason=why.removeprefix("wifi "))
    return f"joined {ssid}"


def _broker(run: Exec) -> str:
    seen = said(run(guest(__file__, "check_broker"), timeout=_TIMEOUT_S))
    ((host, port, why),) = seen["broker"]
    ((server, no_time),) = seen["time"]
    if not host:
        raise KnownFailure("no_broker", broker="in config.json", reason="broker.host is empty")
    if no_time:
        raise KnownFailure("no_time", server=server, reason=no_time)
    if "password" in why or "authorised" in why:
        raise KnownFailure("broker_refuses", broker=f"{host}:{port}", reason=why)
    if "certificate" in why or ("TLS" in why and "memory" not in why):
        raise KnownFailure("broker_not_trusted", broker=f"{host}:{port}", reason=why)
    if why:
        raise KnownFailure("no_broker", broker=f"{host}:{port}", reason=why)
    return f"{host}:{port} accepts the node; quaver monitor shows whether its ACL accepts the records"
