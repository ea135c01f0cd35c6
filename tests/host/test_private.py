"""Files with secrets: their owner's alone, on the disk when the writer goes on, and whole after any failure."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from quaver.errors import SessionError
from quaver.files.private import write_private
from quaver.fleet.command_numbers import Counter
from quaver.fleet.keys import KeyStore


def _key(folder: Path) -> Path:
    KeyStore(folder).create(bytes(8))
    return folder / "keys.json"


def _number(folder: Path) -> Path:
    Counter(folder).take(bytes(8))
    return folder / "commands.json"


def _secret(folder: Path) -> Path:
    write_private(folder / "secret", b"new", SessionError)
    return folder / "secret"


@pytest.mark.parametrize("write", [_key, _number, _secret])
def test_what_was_written_outlives_a_cut(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file system owes after a cut: the content that was flushed, under the names of the flushed folder."""
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    content: dict[int, bytes] = {}
    names: dict[str, int] = {}
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            assert found.st_ino == folder.stat().st_ino
            names.update({path.name: path.stat().st_ino for path in folder.iterdir()})
        else:
            content[found.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    monkeypatch.setattr(os, "fsync", fsync)
    path = write(folder)
    monkeypatch.undo()
    assert content[names[path.name]] == path.read_bytes() != b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_place_that_can_not_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    for path in (tmp_path / "file" / "secret", tmp_path / "file" / "folder" / "secret", tmp_path):
        with pytest.raises(SessionError, match="can't be written"):
            write_private(path, b"new", SessionError)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_bytes() == b"kept"
