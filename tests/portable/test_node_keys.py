"""What a node does with the file of its device keys, whole and corrupt."""

import json
from pathlib import Path
from typing import Any

import pytest

from build.keys import corrupt, load_keys, save_key


def test_a_key_that_is_not_there_is_not_corrupt(tmp_path: Path) -> None:
    path = str(tmp_path / "device.key")
    assert not corrupt(path) and load_keys(path) == {}
    save_key(2, b"k" * 32, b"j" * 32, path)
    assert not corrupt(path) and load_keys(path) == {2: b"k" * 32, 1: b"j" * 32}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        {"generation": 1},
        {"generation": 1, "key": "00"},
        {"generation": 0, "key": "00" * 32},
        {"generation": "1", "key": "00" * 32},
        {"generation": 1, "key": "zz" * 32},
        {"generation": 1, "key": 7},
        {"generation": 2, "key": "00" * 32, "before": "0"},
    ],
)
def test_a_corrupt_key_is_told_from_none(tmp_path: Path, content: Any) -> None:
    (tmp_path / "device.key").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path = str(tmp_path / "device.key")
    assert corrupt(path) and load_keys(path) == {}
