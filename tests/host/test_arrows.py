"""Holds the import arrows between the rooms: who may know whom (see README, the map of the rooms)."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIFETIMES = {"node", "build", "service", "command", "enrol", "gateway", "update"}
DEVICE = LIFETIMES | {"dsp", "drivers", "links", "hal", "board", "umqtt"}
HARDWARE = {"machine", "network", "esp32", "rp2", "bluetooth"}
OURS = DEVICE | {"quaver", "quaver_wire"}

# room -> what of ours it may import, besides itself
ARROWS = {
    "protocols/quaver_wire": set(),
    "firmware/drivers": set(),
    "firmware/extra": set(),
    "firmware/dsp": {"quaver_wire"},
    "firmware/links": {"umqtt"},
    "firmware/hal": set(),
    # A folder is a lifetime: what lives longer imports nothing of what is given back before it.
    "firmware/node": {"dsp", "quaver_wire"},
    "firmware/gateway": {"node", "quaver_wire"},
    "firmware/build": {"board", "node", "dsp", "quaver_wire"},
    "firmware/service": {"node", "build", "quaver_wire"},
    "firmware/command": {"node", "build", "update", "quaver_wire"},
    "firmware/enrol": {"node", "build", "command", "quaver_wire"},
    "firmware/update": {"node", "quaver_wire"},
    "host/quaver": {"quaver_wire"},
}
# the composition roots alone see everyone: of a node in service, of a gateway, what both share, of a node that is sent
# commands, and of a blank one
_ROOTS = (
    "build/node",
    "build/gateway",
    "build/wiring",
    "build/sensors",
    "build/parts/__init__",
    "build/power",
    "build/rules",
    "build/uart",
    "service/obey",
    "enrol/onboard",
    "update/run",
)
EXEMPT = {f"firmware/{name}.py" for name in _ROOTS}


# host room -> the host rooms that it may import. What all may know is left out: errors and the version.
HOST = {
    "files": set(),
    "system": set(),
    "broker": set(),
    "store": {"system"},
    "board": {"broker", "files"},
    "messages": {"broker"},
    "recordings": {"files"},
    "build": {"board", "files"},
    "release": {"board", "broker", "build", "files"},
    "emulator": {"board", "build", "files", "recordings"},
    "analysis": {"board", "build", "emulator", "recordings"},
    "flash": {"board", "build"},
    "desk": {"board", "broker", "build", "flash"},
    "fleet": {"analysis", "broker", "files", "messages"},
    "rollout": {"broker", "files", "fleet", "messages"},
    "ingest": {"broker", "fleet", "messages", "store", "system"},
    "modbus": {"files", "messages"},
    "diode": {"bridge", "broker", "files", "ingest", "messages", "query", "store"},
    "gateway": {"broker", "fleet", "messages", "modbus", "system"},
    "knowledge": {"files"},
    "mcp": {"files", "messages"},
    "access": {"files"},
    "query": {"analysis", "files", "fleet", "knowledge", "messages", "rollout", "store"},
    "alarms": {"files", "knowledge", "messages", "query", "store"},
    "bridge": {"alarms", "broker", "files", "knowledge", "messages", "query", "rollout", "store"},
    "lake": {"files", "messages", "query", "store"},
    "upkeep": {"files", "messages", "store"},
    "benchmark": {"analysis", "files", "recordings"},
    "reports": {"files", "messages", "store"},
    "plant": {
        *("board", "broker", "build", "emulator", "files", "fleet"),
        *("ingest", "messages", "recordings", "store", "system"),
    },
    "twin": {"analysis", "board", "build", "fleet", "messages", "plant", "query", "release", "store"},
    "serve": {
        *("access", "alarms", "broker", "files", "fleet", "knowledge", "messages", "plant", "provision", "query"),
        *("reports", "rollout", "store", "system", "twin"),
    },
    "provision": {"board", "broker", "emulator", "files", "flash", "fleet", "messages"},
    "pytest_plugin": {"board", "emulator", "plant"},
}
# What measures, and what a person types, may know every room; nothing may know the command line.
HOST["bench"] = set(HOST) - {"pytest_plugin"}
HOST["cli"] = set(HOST) - {"pytest_plugin"}


def compiled(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, but for the imports of firmware that are there for types alone: `if False`."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Constant) and not child.test.value):
            yield child
            yield from compiled(child)


@functools.cache
def imports(path: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in compiled(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def files(room: str) -> list[Path]:
    """Its modules, without what the host only starts: programs that run on MicroPython."""
    return [p for p in sorted((ROOT / room).rglob("*.py")) if not {"unix_shim", "guest"} & set(p.parts)]


@pytest.mark.parametrize("room", ARROWS)
def test_a_room_imports_only_what_its_arrow_points_at(room: str) -> None:
    own = Path(room).name
    for path in files(room):
        if str(path.relative_to(ROOT)) in EXEMPT:
            continue
        ours = {name.partition(".")[0] for name in imports(path)} & OURS
        assert ours <= ARROWS[room] | {own}, path


def test_only_hal_touches_the_hardware() -> None:
    for path in files("firmware") + files("protocols"):
        # boot.py depends on nothing that an update may change
        if "hal" not in path.parts and path != ROOT / "firmware/boot.py":
            assert not {n.partition(".")[0] for n in imports(path)} & HARDWARE, path


def test_only_node_random_asks_the_chip_for_random_numbers() -> None:
    """By hal.noise: from anywhere else they would not be tested, nor worth what docs/random.md says."""
    asks = re.compile(r"urandom|getrandbits|randbytes|\bimport (u?random|secrets)\b|\bfrom (u?random|secrets) ")
    found = {str(p.relative_to(ROOT)) for p in files("firmware") + files("protocols") if asks.search(p.read_text())}
    assert found == {"firmware/hal/noise.py"}
    named = {p for p in files("firmware") if re.search(r"\bnoise\b.*import|import noise\b", p.read_text())}
    assert {str(p.relative_to(ROOT)) for p in named} == {"firmware/build/gateway.py", "firmware/enrol/onboard.py"}


def test_nothing_imports_the_command_line_and_only_it_knows_its_library() -> None:
    for path in files("host/quaver"):
        if "cli" not in path.parts:
            found = imports(path)
            assert not {n for n in found if n == "quaver.cli" or n.startswith("quaver.cli.")}, path
            assert "click" not in {n.partition(".")[0] for n in found}, path


def test_every_room_of_the_host_has_its_arrows() -> None:
    rooms = {path.relative_to(ROOT / "host/quaver").parts[0].removesuffix(".py") for path in files("host/quaver")}
    assert rooms == set(HOST) | {"__init__", "errors"}


@pytest.mark.parametrize("room", HOST)
def test_a_host_room_imports_only_what_its_arrows_point_at(room: str) -> None:
    for path in files("host/quaver"):
        if path.relative_to(ROOT / "host/quaver").parts[0].removesuffix(".py") == room:
            ours = {name.split(".")[1] for name in imports(path) if name.startswith("quaver.")}
            assert ours & set(HOST) <= HOST[room] | {room}, path


def test_the_arrows_between_host_rooms_make_no_circle() -> None:
    left = dict(HOST)
    while left:
        ground = {room for room, below in left.items() if not below & set(left)}
        assert ground, f"a circle among {sorted(left)}"
        for room in ground:
            del left[room]
