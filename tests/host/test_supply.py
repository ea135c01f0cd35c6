"""The supply chain: locks with hashes, the bill of materials of an installation, signed packages, the audit."""

import io
import json
import os
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from quaver.board.spec import board_names, load_board
from quaver.cli import root
from quaver.release.host_sbom import debian_packages, host_bill, locked
from quaver.release.sbom import bill_of_materials
from quaver.release.signing import create_key, public_of
from tools.audit_locks import audit
from tools.package_release import SIGNATURE, SUMS, build, sign

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
PLANT_EXTRAS = sorted(set(EXTRAS) - {"dev", "docs", "bench"})


def _lock(name: str) -> str:
    return (ROOT / "locks" / name).read_text()


@pytest.mark.parametrize(
    ("lock", "extras"), [("run.txt", PLANT_EXTRAS), ("dev.txt", ["dev", "bench"]), ("docs.txt", ["docs"])]
)
def test_a_lock_has_each_dependency_at_its_version(lock: str, extras: list[str]) -> None:
    found = locked(_lock(lock))
    wanted = [PROJECT["project"]["dependencies"], *(EXTRAS[extra] for extra in extras)]
    for need in (Requirement(line) for lines in wanted for line in lines):
        assert {f"=={version}" for version in found.get(canonicalize_name(need.name), ())} == {str(need.specifier)}, (
            f"{need.name}: run make lock"
        )


@pytest.mark.parametrize("lock", sorted(path.name for path in (ROOT / "locks").glob("*.txt")))
def test_everything_that_is_locked_has_its_hashes(lock: str) -> None:
    packages = re.split(r"\n(?=[A-Za-z0-9])", "\n".join(li for li in _lock(lock).splitlines() if "#" not in li))
    assert packages and all(re.search(r"--hash=sha256:[0-9a-f]{64}", package) for package in packages)


def test_dev_locks_what_builds_the_project_so_that_nothing_comes_without_a_hash() -> None:
    assert PROJECT["build-system"]["requires"] == ["hatchling==1.27.0"]
    assert locked(_lock("dev.txt"))["hatchling"] == {"1.27.0"}
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "$(PIP) " in line]
    assert len(installs) > 3
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation" in line for line in installs)


def test_the_bills_are_valid_cyclonedx() -> None:
    specs = [load_board(name) for name in board_names()]
    for document in (host_bill("1.0", specs).document, bill_of_materials("1.0", specs)):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode()) is None
    broken = document.replace(b'"bomFormat": "CycloneDX"', b'"bomFormat": "other"')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(broken.decode()) is not None


def test_the_bill_of_an_installation_has_libraries_page_system_and_boards(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["release", "sbom", "-o", str(tmp_path / "bill.json")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    bill = json.loads((tmp_path / "bill.json").read_bytes())
    assert "timestamp" not in bill["metadata"]
    parts = {part["name"]: part for part in bill["components"]}
    assert {"cryptography", "cffi", "starlette", "uplot", "jsqr", "debian/mosquitto", "aioble"} <= set(parts)
    assert not {"pytest", "ruff", "mypy"} & set(parts)
    assert parts["uplot"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert [name for name in parts if not parts[name].get("licenses") and not name.startswith("debian/")] == []
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    cryptography = f"cryptography@{parts['cryptography']['version']}"
    assert cryptography in needs[f"quaver@{bill['metadata']['component']['version']}"]
    assert [need.partition("@")[0] for need in needs[cryptography]] == ["cffi"]


def test_the_bill_names_the_packages_that_the_set_up_may_install() -> None:
    script = (ROOT / "tools/setup-system").read_text()
    named = re.findall(r'missing="\$missing ([^"]+)"', script)
    assert sorted(name for names in named for name in names.split()) == sorted(debian_packages())


@pytest.fixture
def osv() -> Iterator[str]:
    """An OSV that knows one vulnerability, of uv, at an address of its own."""
    known = {
        "id": "GHSA-0000-0000-0001",
        "aliases": ["CVE-2026-0001"],
        "summary": "one",
        "details": "one",
        "affected": [
            {
                "package": {"name": "uv", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
            }
        ],
    }

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps({"vulns": [known]} if asked["package"]["name"] == "uv" else {}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


@pytest.mark.long
def test_the_audit_names_a_known_vulnerability_and_tells_when_nothing_was_checked(osv: str) -> None:
    lock = ROOT / "locks/uv.txt"
    version = next(iter(locked(lock.read_text())["uv"]))
    assert audit(lock, {}, osv) == [f"uv.txt: uv {version}: CVE-2026-0001, fixed in 99.0"]
    assert audit(lock, {"CVE-2026-0001": "not used"}, osv) == []
    assert audit(ROOT / "locks/dev.txt", {}, osv) == []  # also what is locked twice, for two versions of Python
    assert audit(lock, {}, "http://127.0.0.1:1/") is None


def _verified(folder: Path, public: Path) -> bool:
    """As SECURITY.md tells people to do it."""
    openssl = ["openssl", "dgst", "-sha256", "-verify", str(public), "-signature", SIGNATURE, SUMS]
    commands = (openssl, ["sha256sum", "--check", "--strict", SUMS])
    return all(subprocess.run(command, cwd=folder, capture_output=True).returncode == 0 for command in commands)


def test_standard_tools_verify_a_package_and_see_a_changed_byte(tmp_path: Path) -> None:
    key = create_key(tmp_path / "key.pem", "a passphrase")
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in ("quaver.whl", "quaver.tar.gz"):
        (folder / name).write_bytes(name.encode() * 100)
    sign(folder, key)
    public = public_of(tmp_path / "key.pem")
    assert _verified(folder, public)
    create_key(tmp_path / "other.pem", "a passphrase")
    assert not _verified(folder, public_of(tmp_path / "other.pem"))
    for name in ("quaver.whl", SUMS, SIGNATURE):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        assert not _verified(folder, public), name
        (folder / name).write_bytes(whole)
    assert _verified(folder, public)


@pytest.mark.long
@pytest.mark.slowest
def test_the_package_is_the_same_bytes_wherever_it_is_built_and_carries_the_lock(tmp_path: Path) -> None:
    made = []
    for name in ("one", "another"):
        root = tmp_path / name / "quaver"
        subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(root)], check=True)
        for path in root.rglob("*.py"):
            os.utime(path, (1, 1) if name == "one" else None)
        made.append({path.name: path.read_bytes() for path in build(tmp_path / name, root)})
    assert made[0] == made[1]
    (wheel,) = (data for name, data in made[0].items() if name.endswith(".whl"))
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        assert "quaver/_payload/locks/run.txt" in archive.namelist()
