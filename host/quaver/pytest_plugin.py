"""A pytest plugin: device tests that run on an emulated board and, unchanged, on a real one. See docs/pytest-plugin.md.

Everything heavy is imported when a test asks for a board: pytest loads this file wherever Quaver is installed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from quaver.board.interface import Board
    from quaver.emulator.bus import Attached
    from quaver.emulator.setup import Setup
    from quaver.plant.judge import Outcome

_DEFAULT_TARGET = "unix:"
_EMULATED = {"unix:": "unix", "rp2040:": "pico_w", "esp32_c3:": "esp32_c3"}
_REAL = ("serial:", "socket://")
# What the emulations bring; a board file also lists radios that no emulation has.
_EMULATED_RADIOS = ("wifi",)
_NEEDS = ("needs_radio", "needs_flash", "needs_sensor")
_CONSOLE_LINES = 40  # of the board's console, under a failed test


@dataclass(frozen=True)
class Target:
    """One `--target`: where a board is. `board` names its board file; "" for a real one, which isn't asked."""

    where: str
    board: str

    @property
    def emulated(self) -> bool:
        return self.where in _EMULATED

    def __str__(self) -> str:
        return self.where.rstrip(":")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("quaver", "boards")
    group.addoption(
        "--target",
        action="append",
        metavar="WHERE",
        help="A board to run board tests on; repeatable: unix: (the default), rp2040:, esp32_c3:, "
        "serial:/dev/ttyACM0, socket://host:port",
    )
    group.addoption(
        "--sensor",
        action="append",
        default=[],
        metavar="NAME",
        help="A sensor that is wired to the real boards, as needs_sensor(NAME) names it; repeatable",
    )
    group.addoption(
        "--board-files",
        type=Path,
        metavar="FOLDER",
        help="Firmware for the emulated boards: every file of this folder, at the same path from the root",
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "needs_radio(name='wifi'): skip on a board without that radio (wifi, ble)",
        "needs_flash: skip on a board without a file system with free space",
        "needs_sensor(name): skip on a board that has no such sensor on its buses",
    ):
        config.addinivalue_line("markers", line)
    for where in _targets(config):
        if where not in _EMULATED and not where.startswith(_REAL):
            raise pytest.UsageError(
                f"--target {where}: not a board; expected unix:, rp2040:, esp32_c3:, serial:PORT or socket://host:port"
            )
    folder = config.getoption("--board-files")
    if folder is not None and not folder.is_dir():
        raise pytest.UsageError(f"--board-files {folder}: not a folder; name one that holds main.py and the rest")


def _targets(config: pytest.Config) -> list[str]:
    given: list[str] = config.getoption("--target") or [_DEFAULT_TARGET]
    return list(dict.fromkeys(given))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "board_target" in metafunc.fixturenames:
        targets = _targets(metafunc.config)
        metafunc.parametrize("board_target", targets, ids=targets, indirect=True, scope="session")


@pytest.fixture(scope="session")
def board_target(request: pytest.FixtureRequest) -> Target:
    """Where this run of the test has its board; a test that takes it runs once for each `--target`."""
    where: str = request.param
    return Target(where, _EMULATED.get(where, ""))


@pytest.fixture(scope="session")
def board_files(board_target: Target, pytestconfig: pytest.Config) -> Mapping[str, bytes]:
    """What an emulated board finds on its flash, path -> bytes: the folder of `--board-files`, else nothing.

    Override it to build your firmware; `board_target.board` says for which board.
    """
    folder: Path | None = pytestconfig.getoption("--board-files")
    if folder is None:
        return {}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="session")
def board_rig(board_target: Target) -> tuple[Attached, ...]:
    """The sensors on an emulated board's buses, by default around a healthy machine. Override at will."""
    if not board_target.emulated:
        return ()
    return default_rig(board_target.where)


def default_rig(where: str = "unix:") -> tuple[Attached, ...]:
    """The sensors of a node, and beside them each part of emulator.sensors whose file says where, in `attached`.

    Of emulated boards the Pico W alone carries a 1-Wire line.
    """
    import pkgutil
    from importlib import import_module

    from quaver.emulator import sensors
    from quaver.emulator.bus import OneWireModel
    from quaver.plant.node import healthy_machine, standard_rig

    source = healthy_machine()
    models = [import_module(found.name) for found in pkgutil.iter_modules(sensors.__path__, f"{sensors.__name__}.")]
    rig = (*standard_rig(source), *(each.attached(source) for each in models if hasattr(each, "attached")))
    return tuple(part for part in rig if where == "rp2040:" or not isinstance(part.model, OneWireModel))


@pytest.fixture(scope="session")
def board_setup(board_target: Target, request: pytest.FixtureRequest) -> Setup | None:
    """How an emulated board is started: files and rig. None for a real board."""
    if not board_target.emulated:
        return None
    from quaver.emulator.setup import Setup

    return Setup(files=request.getfixturevalue("board_files"), rig=request.getfixturevalue("board_rig"))


@pytest.fixture(scope="session")
def board(board_target: Target, board_setup: Setup | None) -> Iterator[Board]:
    """The board of this target, opened once for the whole run. Tests leave it able to run the next one."""
    with ExitStack() as stack:
        yield _open(stack, board_target, board_setup)


@pytest.fixture
def start_board(board_target: Target) -> Iterator[Callable[..., Board]]:
    """Starts further boards of an emulated target, each stopped when the test ends.

    `start_board(files={...}, rig=(...), broker_port=1883)` takes what `Setup` takes. Skips on a real target.
    """
    if not board_target.emulated:
        pytest.skip(f"{board_target}: the test starts boards of its own, which a real board can't do")
    from quaver.emulator.setup import Setup

    with ExitStack() as stack:

        def start(**setup: Any) -> Board:
            return _open(stack, board_target, Setup(**setup))

        yield start


def _open(stack: ExitStack, target: Target, setup: Setup | None) -> Board:
    from quaver.emulator.targets import open_board
    from quaver.errors import QuaverError

    try:
        return stack.enter_context(open_board(target.where, setup))
    except QuaverError as error:
        pytest.fail(f"{target}: {error}", pytrace=False)


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs whole plants of emulated nodes in one virtual time, and returns what their nodes said of what was done.

    `plant("works.toml")` takes a file, or a mapping as the file would hold it; `seed=7` stands in place of the file's.
    It runs in one process; pytest-xdist spreads tests over the processors. The outcome's `failed` lists what
    was not as the plant expects; `report.html` is in the test's `tmp_path`, a folder for each run.
    """
    from quaver.plant.judge import judge
    from quaver.plant.report import write
    from quaver.plant.spec import load_plant, plant_of
    from quaver.plant.world import World

    runs = 0

    def run(given: Path | str | Mapping[str, Any], seed: int | None = None) -> Outcome:
        nonlocal runs
        runs += 1
        found = plant_of(given) if isinstance(given, Mapping) else load_plant(Path(given))
        if seed is not None:
            found = found.model_copy(update={"seed": seed})
        folder = tmp_path / f"plant-{runs}"
        with World(found, folder, workers=1) as world:
            world.run()
            outcome = judge(found, world.store)
        write(outcome, folder)
        return outcome

    return run


@dataclass(frozen=True)
class _Facts:
    """What a target can do, for the needs_ markers. sensors: the names of the rig, or of `--sensor`."""

    radios: tuple[str, ...]
    flash: bool
    sensors: tuple[str, ...]

    def lacks(self, mark: pytest.Mark) -> str | None:
        """What of the marker's need is missing, in words, or None."""
        if mark.name == "needs_flash":
            return None if self.flash else "no file system with free space on its flash"
        names = mark.args or tuple(mark.kwargs.values())
        if mark.name == "needs_radio":
            name = str(names[0]) if names else "wifi"
            return None if name in self.radios else f"no {name} radio"
        if len(names) != 1:
            raise pytest.UsageError("needs_sensor takes one name, e.g. needs_sensor('iis3dwb')")
        return None if str(names[0]) in self.sensors else f"no {names[0]} on its buses"


@pytest.fixture(scope="session")
def _board_facts(
    board_target: Target, board_setup: Setup | None, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> _Facts:
    if board_setup is not None:
        return _Facts(_EMULATED_RADIOS, True, tuple(part.name for part in board_setup.rig))
    from quaver.board.guest import guest

    said = request.getfixturevalue("board").exec(guest(__file__, "abilities"))
    radios, room = ast.literal_eval(said.strip())
    return _Facts(tuple(radios), room > 0, tuple(pytestconfig.getoption("--sensor")))


@pytest.fixture(autouse=True)
def _board_fits(request: pytest.FixtureRequest) -> None:
    """Skip where the board lacks what the test's markers need; fail at once where the board has ended."""
    node: pytest.Item = request.node
    needs = [mark for mark in node.iter_markers() if mark.name in _NEEDS]
    if needs and "board_target" not in request.fixturenames:
        pytest.fail(f"{needs[0].name}: this test uses no board; add the fixture board", pytrace=False)
    if needs:
        facts: _Facts = request.getfixturevalue("_board_facts")
        missing = [words for words in map(facts.lacks, needs) if words]
        if missing:
            pytest.skip(f"{request.getfixturevalue('board_target')}: {', '.join(missing)}")
    if "board" in request.fixturenames:
        ended = request.getfixturevalue("board").alive()
        if ended is not None:
            pytest.fail(f"{request.getfixturevalue('board_target')}: the board has ended: {ended}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under a failed test, show what the board printed last."""
    report = yield
    board = getattr(item, "funcargs", {}).get("board")
    if report.failed and board is not None:
        from quaver.errors import QuaverError

        try:
            lines = board.console().decode(errors="replace").splitlines()[-_CONSOLE_LINES:]
        except QuaverError as error:
            lines = [str(error)]
        if lines:
            report.sections.append((f"Console of {board.where}", "\n".join(lines)))
    return report
