"""`quaver bench page`: what it measures is there. How long it took here says nothing, so no time is asserted."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from quaver.bench import fuxa, page
from quaver.errors import PageError


@pytest.mark.nightly
def test_every_browser_hears_of_every_record_and_all_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_LIVE_S", 1)
    monkeypatch.setattr(page, "_PLANT", 20)
    monkeypatch.setattr(page, "_LOOKS", 1)
    monkeypatch.setattr(page, "_ALARMS", 1)
    steps: list[str] = []
    found = {figure.name.strip(): figure for figure in page.run_page(3, 20, steps.append, 8000)}
    assert found["browsers that heard of every record"].value == 3
    assert 100 < found["points"].value <= 1000
    assert all(figure.value >= 0 for figure in found.values()) and len(steps) == 10
    assert 0 < found["the page's files, compressed"].value < found["of every screen"].value < 300
    assert (
        found["in Chromium, a year: from the press to the charts"].value > found["from the last answer's arrival"].value
    )


def test_what_the_first_page_of_another_names_is_weighed_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "package/package.json": b'{"version": "9.1.0"}',
        "package/dist/index.html": b'<script src="main.js"></script><link href="icon.png"><a href="https://else.test/a.js">',
        "package/dist/main.js": b"x" * 50_000,
        "package/dist/icon.png": bytes(3000),
        "package/dist/editor.js": bytes(range(256)) * 1000,
    }
    with tarfile.open(tmp_path / "fuxa.tgz", "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    packed = sum(len(gzip.compress(files[f"package/dist/{name}"], 9)) for name in ("index.html", "main.js"))
    found = fuxa.weigh(tmp_path / "fuxa.tgz")
    assert "9.1.0" in found.name and found.value == round((packed + 3000) / 1000, 1)
    (tmp_path / "none.tgz").write_bytes(b"no archive")
    with pytest.raises(PageError, match="npm pack"):
        fuxa.weigh(tmp_path / "none.tgz")
