"""Holds the import arrows between the rooms: who may know whom (see README, the map of the rooms)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIFETIMES = {"node", "build", "service", "command", "enrol", "gateway"}
DEVICE = LIFETIMES | {"dsp", "drivers", "links", "hal", "board", "umqtt"}
HARDWARE = {"machine", "network", "esp32", "rp2", "bluetooth"}
OURS = DEVICE | {"quaver", "quaver_wire"}

# room -> what of ours it may import, besides itself
ARROWS = {
    "protocols/quaver_wire": set(),
    "firmware/drivers": set(),
    "firmware/dsp": {"quaver_wire"},
    "firmware/links": {"umqtt"},
    "firmware/hal": set(),
    # A folder is a lifetime: what lives longer imports nothing of what is given back before it.
    "firmware/node": {"dsp", "quaver_wire"},
    "firmware/gateway": {"node", "quaver_wire"},
    "firmware/build": {"node", "dsp", "quaver_wire"},
    "firmware/service": {"node", "build", "quaver_wire"},
    "firmware/command": {"node", "build", "quaver_wire"},
    "firmware/enrol": {"node", "build", "command", "quaver_wire"},
    "host/quaver": {"quaver_wire"},
}
# the composition roots alone see everyone: of a node in service, of a gateway, what both share, of a node that is sent
# commands, and of a blank one
_ROOTS = ("build/node", "build/gateway", "build/wiring", "service/obey", "enrol/onboard")
EXEMPT = {f"firmware/{name}.py" for name in _ROOTS}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


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
        if "hal" not in path.parts:
            assert not {n.partition(".")[0] for n in imports(path)} & HARDWARE, path


def test_nothing_imports_the_command_line_and_only_it_knows_its_library() -> None:
    for path in files("host/quaver"):
        if "cli" not in path.parts:
            found = imports(path)
            assert not {n for n in found if n == "quaver.cli" or n.startswith("quaver.cli.")}, path
            assert "click" not in {n.partition(".")[0] for n in found}, path
