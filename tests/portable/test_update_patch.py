"""A node makes files of a release from those that it has; whatever the patches are, nothing else comes of them."""

import asyncio
import hashlib
import io
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from update import patch

from quaver.release.patches import patches

CHUNK = 1024
PIECE = st.binary(min_size=1, max_size=300)


class Stage:
    """What of update.stage.Stage patches need, over files in memory. spoil: what a chunk becomes on its way."""

    def __init__(self, old: Mapping[str, bytes], new: Mapping[str, bytes], data: bytes) -> None:
        self.flash = {"/" + path: content for path, content in old.items()}
        self.quiet = asyncio.Lock()
        self.fetched = 0
        self.refused: list[str] = []
        self._new = new
        self._data = data

    async def fetch(self, digest: bytes, n: int) -> bytes:
        assert digest == hashlib.sha256(b"all").digest()
        return self._data[n * CHUNK : (n + 1) * CHUNK]

    def refuse(self, why: str) -> None:
        self.refused.append(why)

    async def lacks(self, digest: bytes) -> tuple[bytes, int, str] | None:
        for path, content in self._new.items():
            whole = hashlib.sha256(content).digest()
            if whole.startswith(digest) and self.flash.get("/" + path + ".new") != content:
                return whole, len(content), "/" + path + ".new"
        return None

    async def source(self, path: str, digest: bytes) -> int:
        found = self.flash.get("/" + path, b"")
        return len(found) if hashlib.sha256(found).digest().startswith(digest) else 0

    def open(self, path: str, mode: str) -> io.BytesIO:
        return io.BytesIO(self.flash[path])

    async def new(self, path: str) -> io.BytesIO:
        stage = self

        class File(io.BytesIO):
            def close(self) -> None:
                stage.flash[path] = self.getvalue()
                super().close()

        return File()


def applied(
    monkeypatch: pytest.MonkeyPatch, old: Mapping[str, bytes], new: Mapping[str, bytes], data: bytes, size: int = 0
) -> Stage:
    stage = Stage(old, new, data)
    monkeypatch.setattr(patch, "opened", stage.open)
    monkeypatch.setattr(patch.files, "drop", lambda path: stage.flash.pop(path, None))
    asyncio.run(patch.apply(stage, (hashlib.sha256(b"all").digest(), size or len(data))))
    for path, content in stage.flash.items():
        if path.endswith(".new"):
            assert content == new[path[1:-4]], "a staged file is another's"
    return stage


def waiting(stage: Stage) -> set[str]:
    return {path[1:-4] for path in stage.flash if path.endswith(".new")}


@given(st.lists(PIECE, min_size=6, max_size=30), st.data())
def test_what_differs_makes_the_new_files(pieces: list[bytes], data: Any) -> None:
    chosen = st.lists(st.sampled_from(pieces), min_size=1, max_size=20).map(b"".join)
    old = {"code/a": data.draw(chosen), "code/b": data.draw(chosen), "main.py": data.draw(chosen)}
    new = {**old, "code/a": data.draw(chosen), "code/c": data.draw(chosen), "main.py": data.draw(chosen)}
    made = patches([old], new)
    if not made:
        return
    with pytest.MonkeyPatch.context() as monkeypatch:
        stage = applied(monkeypatch, old, new, made)
    assert not stage.refused
    changed = {path for path in new if new[path] not in old.values()}
    assert waiting(stage) <= changed
    assert waiting(stage)
    assert stage.fetched == len(made)


def test_a_line_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"code/a": bytes(range(256)) * 16, "code/b": hashlib.shake_128(b"b").digest(4096)}
    added = hashlib.shake_128(b"new").digest(40)
    new = {"code/a": old["code/a"], "code/b": old["code/b"][:2000] + added + old["code/b"][2000:]}
    made = patches([old], new)
    assert len(made) < 100
    assert waiting(applied(monkeypatch, old, new, made)) == {"code/b"}


def test_what_moved_to_another_file_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [hashlib.shake_128(bytes([n])).digest(1500) for n in range(4)]
    old = {"code/a": parts[0] + parts[1], "code/b": parts[2] + parts[3]}
    new = {"code/a": parts[0] + parts[3], "code/b": parts[2] + parts[1], "code/c": parts[1] + parts[0]}
    made = patches([old], new)
    assert len(made) < 250
    assert waiting(applied(monkeypatch, old, new, made)) == set(new)


def test_a_node_of_another_version_takes_the_patches_that_are_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = ({"code/a": hashlib.shake_128(b"a").digest(3000) + bytes([n])} for n in range(3))
    made = patches([first, second], third)
    for own in (first, second):
        assert waiting(applied(monkeypatch, own, third, made)) == {"code/a"}
    stage = applied(monkeypatch, {"code/a": bytes(3001)}, third, made)
    assert not waiting(stage) and not stage.refused


OLD = {"code/a": hashlib.shake_128(b"x").digest(3000), "code/b": hashlib.shake_128(b"y").digest(2000)}
NEW = {"code/a": OLD["code/a"][:1000] + b"other" + OLD["code/a"][900:], "code/b": OLD["code/b"][::2] + OLD["code/b"]}
MADE = patches([OLD], NEW)


@given(st.data())
def test_spoiled_patches_yield_nothing_else(data: Any) -> None:
    spoiled = bytearray(MADE)
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    size = len(spoiled)
    if data.draw(st.booleans()):
        del spoiled[data.draw(st.integers(0, len(spoiled) - 1)) :]
    with pytest.MonkeyPatch.context() as monkeypatch:
        stage = applied(monkeypatch, OLD, NEW, bytes(spoiled), size)
    assert {path: content for path, content in stage.flash.items() if not path.endswith(".new")} == {
        "/" + path: content for path, content in OLD.items()
    }


def test_a_file_that_has_nothing_of_the_old_one_has_no_patch() -> None:
    new = hashlib.shake_128(b"all new").digest((1 << 16) - 1)  # as long as a file of a release may be
    assert patches([OLD], {"code/a": new}) == b""


def test_patches_that_are_cut_off_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = applied(monkeypatch, OLD, NEW, MADE[:-1], len(MADE))
    assert stage.refused == ["release_wrong_content"]
