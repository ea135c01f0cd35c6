"""Every file of a Pico W's firmware changes in one release, beside a journal as long as it may be."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from quaver.build import firmware_files
from quaver.cli import main
from quaver.pytest_plugin import Target
from quaver.release import bundle

from .test_operations import Plant, start_plant, time_server  # noqa: F401
from .test_update import KEY, left

pytestmark = pytest.mark.needs_radio
PATIENCE_S = 1500.0  # on a slow machine: 200 kB in chunks of 1 kB, twice
JOURNAL = 256 << 10  # bytes: outbox.flash_kb as it is by default


@pytest.fixture
def plant(board_target: Target, start_plant: Callable[..., Plant]) -> Any:  # noqa: F811
    if board_target.where != "rp2040:":
        pytest.skip(f"{board_target}: has room for more")
    plant = start_plant(False, {"release.key": KEY.public.xy, "filler": bytes(JOURNAL - 1024)})
    plant.own = {path: plant.files[path] for path in firmware_files("pico_w")}
    return plant


def release(
    plant: Any, sequence: int, files: Mapping[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setattr(bundle, "firmware_files", lambda board: dict(files))
    built = bundle.build_release(["pico_w"], sequence, expires=int(time.time()) + 1_000_000_000, key=KEY)
    path = tmp_path / f"{sequence}.release"
    path.write_bytes(built.encode())
    assert main(["release", "publish", str(path), f"--broker={plant.url}", "--site=plant"]) == 0
    return path


def check(plant: Any, files: Mapping[str, bytes]) -> None:
    plant.board.reset(run=False)
    assert {path: plant.board.get(path) for path in files} == files


@pytest.mark.skipif("QUAVER_WHOLE_UPDATE" not in os.environ, reason="takes minutes: set QUAVER_WHOLE_UPDATE")
@pytest.mark.timeout(2 * PATIENCE_S)
def test_all_files_change(plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is behind the last module of a pack, and the end of a script, does nothing: the firmware is another one."""
    new = {path: data + (b"\n" if path.endswith((".py", ".txt")) else b"\0") for path, data in plant.own.items()}
    path = release(plant, 2, new, tmp_path, monkeypatch)
    plant.node("update", str(path), timeout=PATIENCE_S)
    check(plant, {**new, "boot.py": plant.own["boot.py"]})
    assert sorted(left(plant)) == ["release.key", "release.sequence"]


@pytest.mark.long
@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_version_that_ends_at_the_prompt_is_left(plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {path: data + b"\0" if path == "code/node.seal" else data for path, data in plant.own.items()}
    failing["main.py"] = b"1 / 0\n" + plant.own["main.py"]
    path = release(plant, 2, failing, tmp_path, monkeypatch)
    assert "did not keep release 2" in plant.node("update", str(path), code=18, timeout=PATIENCE_S)
    check(plant, plant.own)
    assert sorted(left(plant)) == ["release.key"]
