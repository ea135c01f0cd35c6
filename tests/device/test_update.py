"""A node takes a release over its broker: it is back with the new firmware, or by itself with the old one."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from quaver.build.compile import compile_mpy
from quaver.cli import main
from quaver.files.carried import payload
from quaver.release import bundle
from quaver.release.signing import PrivateKey

from .test_operations import Plant, not_on_a_pico_w, start_plant, time_server  # noqa: F401

pytestmark = pytest.mark.needs_radio
KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
OTHER = PrivateKey(ec.derive_private_key(0x07E4, ec.SECP256R1()))
IDENTIFY = "command/identify.mpy"


@pytest.fixture
def plant(start_plant: Callable[[bool], Plant]) -> Any:  # noqa: F811
    """A node in service, with a release key."""
    plant = start_plant(True)
    plant.board.put("release.key", KEY.public.xy)
    listed = plant.board.get("firmware.txt").decode().split()
    plant.own = {path: plant.board.get(path) for path in [*listed, "firmware.txt"]}
    plant.board.reset()
    plant.says(b"node: online", 2)
    return plant


def module(path: str, change: Callable[[str], str]) -> bytes:
    source = (payload("firmware") / path).with_suffix(".py").read_text()
    changed = change(source)
    assert changed != source
    return compile_mpy(changed.encode(), path.replace(".mpy", ".py"), "x64")


@pytest.fixture
def released(plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Builds a release of the node's own firmware with some files changed, and publishes it."""

    def release(changed: Mapping[str, bytes], sequence: int = 2, key: PrivateKey = KEY) -> Path:
        monkeypatch.setattr(bundle, "firmware_files", lambda board: {**plant.own, **changed})
        built = bundle.build_release(["unix"], sequence, expires=int(time.time()) + 10_000_000, key=key)
        path = tmp_path / f"{sequence}.release"
        path.write_bytes(built.encode())
        assert main(["release", "publish", str(path), f"--broker={plant.url}", "--site=plant"]) == 0
        return path

    return release


def test_a_node_updates_and_confirms(plant: Plant, released: Callable[..., Path]) -> None:
    new = module(IDENTIFY, lambda source: source.replace("node: identify", "node: identifies itself"))
    path = released({IDENTIFY: new})
    assert plant.json("update", str(path))["sequence"] == 2
    assert plant.node("identify") == "n1: blinks\n"
    assert b"node: identifies itself" in plant.board.console()
    assert plant.board.get("release.sequence") == b"2"
    assert not [name for name in left(plant) if name not in ("release.key", "release.sequence")]


def left(plant: Plant) -> list[str]:
    """What an update has on flash, at the top."""
    names: list[str] = json.loads(plant.board.exec("import json, os\nprint(json.dumps(os.listdir('/')))"))
    return [name for name in names if name.startswith("release.") or name.endswith((".new", ".old"))]
