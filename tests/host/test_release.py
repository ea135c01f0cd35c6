"""Releases: the same bytes for the same input, signed as COSE says, and refused when a byte is not what was signed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cbor2
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from pycddl import Schema, ValidationError
from pycose.keys import EC2Key
from pycose.messages import Sign1Message

from quaver.bench.update_bytes import LIMIT, costs
from quaver.board.chips import chips
from quaver.board.image import read_image
from quaver.board.spec import load_board
from quaver.build import firmware_files
from quaver.cli import root
from quaver.errors import ReleaseError
from quaver.release import bundle
from quaver.release.bundle import Release, build_release, read_release
from quaver.release.files import listing, parse
from quaver.release.manifest import BoardPart, Manifest, decode
from quaver.release.patches import patched
from quaver.release.signing import PrivateKey, PublicKey, create_key, public_of, read_private_key, read_public_key

CDDL = (Path(__file__).parents[2] / "protocols/release.cddl").read_text()
KEY = PrivateKey(ec.derive_private_key(0x5EED, ec.SECP256R1()))
OTHER = PrivateKey(ec.derive_private_key(0x07E4, ec.SECP256R1()))
UNTIL = 2_000_000_000
PASSPHRASE = "eight or more"


@pytest.fixture(scope="module")
def release() -> Release:
    return build_release(["pico_w", "unix"], 7, expires=UNTIL, key=KEY, next_key=OTHER, downgrade=[b"\1" * 8])


@pytest.fixture
def file(release: Release, tmp_path: Path) -> Path:
    path = tmp_path / "a.release"
    path.write_bytes(release.encode())
    return path


def test_a_release_is_read_back_and_follows_its_schema(release: Release, file: Path) -> None:
    assert read_release(file) == release
    Schema(CDDL).validate_cbor(file.read_bytes())
    for envelope in release.envelopes:
        Schema(f"start = envelope\n{CDDL}").validate_cbor(envelope)
        protected, _, payload, _ = cbor2.loads(envelope).value
        Schema(f"start = algorithm\n{CDDL}").validate_cbor(protected)
        Schema(f"start = manifest\n{CDDL}").validate_cbor(payload)
    assert [(f.path, f.size) for f in release.files("pico_w")] == [
        (path, len(data)) for path, data in sorted(firmware_files("pico_w").items()) if path != "boot.py"
    ]


def test_the_schema_can_say_no(release: Release) -> None:
    for change in ({2: 0}, {3: ""}, {5: {}}, {6: b"short"}, {8: []}, {9: {}}, {10: 1}):
        payload = cbor2.dumps(cbor2.loads(release.manifest.encode()) | change, canonical=True)
        with pytest.raises(ValidationError):
            Schema(f"start = manifest\n{CDDL}").validate_cbor(payload)
        with pytest.raises(ReleaseError, match="the manifest is invalid"):
            decode(payload)


def test_another_process_builds_the_same_bytes(release: Release) -> None:
    """With another hash seed and in another folder: nothing of the machine is in it."""
    code = (
        "import hashlib\nfrom cryptography.hazmat.primitives.asymmetric import ec\n"
        "from quaver.release.bundle import build_release\nfrom quaver.release.signing import PrivateKey\n"
        "a, b = (PrivateKey(ec.derive_private_key(n, ec.SECP256R1())) for n in (0x5EED, 0x07E4))\n"
        "made = build_release(['unix', 'pico_w'], 7, expires=2000000000, key=a, next_key=b, downgrade=[b'\\1' * 8])\n"
        "print(hashlib.sha256(made.encode()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12", "TZ": "Asia/Tokyo"}
    run = subprocess.run([sys.executable, "-c", code], cwd="/", env=environment, capture_output=True, check=True)
    assert run.stdout.decode().strip() == hashlib.sha256(release.encode()).hexdigest()


@pytest.mark.parametrize(("at", "key"), [(0, KEY), (1, OTHER)])
def test_an_independent_library_verifies_both_signatures(release: Release, at: int, key: PrivateKey) -> None:
    parts = [dict(part) if isinstance(part, Mapping) else part for part in cbor2.loads(release.envelopes[at]).value]
    message: Any = Sign1Message.from_cose_obj(parts, True)
    message.key = EC2Key(crv="P_256", x=key.public.xy[:32], y=key.public.xy[32:])
    message.external_aad = b"quaver release"
    assert message.verify_signature()
    message.external_aad = b"something else"
    assert not message.verify_signature()


def test_who_has_signed_it_and_until_when(release: Release) -> None:
    release.verify(KEY.public, UNTIL - 1)
    release.verify(OTHER.public, UNTIL - 1)
    with pytest.raises(ReleaseError, match="expired on 2033-05-18: no node takes it"):
        release.verify(KEY.public, UNTIL)
    stranger = PrivateKey(ec.derive_private_key(0xBAD, ec.SECP256R1()))
    with pytest.raises(ReleaseError, match=f"this key is {stranger.public.key_id.hex()}"):
        release.verify(stranger.public, UNTIL - 1)


@given(st.data())
def test_no_changed_byte_of_a_signed_manifest_is_verified(release: Release, data: Any) -> None:
    envelope = bytearray(release.envelopes[0])
    at = data.draw(st.integers(0, len(envelope) - 1))
    envelope[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ReleaseError):
        KEY.public.verify(bytes(envelope))


@given(st.data())
def test_no_changed_or_cut_file_is_taken(release: Release, tmp_path_factory: Any, data: Any) -> None:
    whole = release.encode()
    if data.draw(st.booleans()):
        changed = bytearray(whole)
        changed[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        changed = bytearray(whole[: data.draw(st.integers(0, len(whole) - 1))])
    path = tmp_path_factory.getbasetemp() / "changed.release"
    path.write_bytes(changed)
    with pytest.raises(ReleaseError) as refused:
        taken = read_release(path)
        taken.verify(KEY.public, UNTIL - 1)
        taken.verify(OTHER.public, UNTIL - 1)
    assert "\n" not in str(refused.value)


def test_what_was_put_together_from_two_releases_is_refused(release: Release, tmp_path: Path) -> None:
    later = build_release(["unix"], 8, expires=UNTIL, key=KEY)
    path = tmp_path / "mixed"
    for envelopes, contents, reason in (
        ((release.envelopes[0], later.envelopes[0]), release.contents, "of different manifests"),
        (release.envelopes, later.contents, "contents are missing"),
        (later.envelopes, {**release.contents, **later.contents}, "contents that its manifest does not name"),
    ):
        path.write_bytes(Release(envelopes, release.manifest, contents).encode())
        with pytest.raises(ReleaseError, match=reason):
            read_release(path)


@pytest.mark.parametrize(
    "path", ["../boot.py", "/boot.py", "a/../b", "config.json", "device.key", "release.key", "journal/1", "a" * 40, "é"]
)
def test_no_release_has_a_file_of_the_nodes_own_or_outside_its_folders(path: str) -> None:
    with pytest.raises(ReleaseError, match=r"the path"):
        listing({path: b""})


@pytest.mark.parametrize(
    "data",
    [b"", b"x", bytes(34) + b"a.py", bytes(34) + b"b.py\n" + bytes(34) + b"a.py\n", bytes(34) + b"\xff\n", bytes(40)],
)
def test_a_list_that_is_not_in_order_is_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse(data)


@given(
    st.builds(
        Manifest,
        st.integers(1, (1 << 32) - 1),
        st.just("1.2.3+dev"),
        expires=st.integers(0, (1 << 32) - 1),
        boards=st.dictionaries(
            st.from_regex(r"[a-z0-9_]{1,24}", fullmatch=True),
            st.builds(
                BoardPart,
                st.just("rp2040"),
                st.integers(0, 65535),
                st.just(("1.27.0",)),
                st.binary(min_size=32, max_size=32),
                st.integers(1, 65535),
            ),
            min_size=1,
            max_size=5,
        ),
        sbom=st.binary(min_size=32, max_size=32),
        next_key=st.none() | st.binary(min_size=64, max_size=64),
        downgrade=st.lists(st.binary(min_size=8, max_size=8), max_size=3).map(tuple),
    )
)
def test_a_manifest_is_read_back(manifest: Manifest) -> None:
    assert decode(manifest.encode()) == manifest


@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        decode(data)


def test_the_bill_of_materials_names_every_image_by_its_sha256(release: Release) -> None:
    bill = json.loads(release.sbom)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert "timestamp" not in bill["metadata"]
    names = {part["name"] for part in bill["components"]}
    assert {"micropython-umqtt.simple2", "aioble"} <= names
    assert any(name.startswith("micropython RPI_PICO_W") for name in names)


def test_a_key_is_private_and_its_public_half_is_not(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "release-key.pem"
    made = create_key(path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    assert read_private_key(path, PASSPHRASE).public.xy == read_public_key(public_of(path)).xy == made.public.xy
    with pytest.raises(ReleaseError, match="not opened by this passphrase"):
        read_private_key(path, "another one")
    with pytest.raises(ReleaseError, match="exists"):
        create_key(path, PASSPHRASE)
    path.chmod(0o640)
    with pytest.raises(ReleaseError, match="other users can read it"):
        read_private_key(path, PASSPHRASE)


def test_a_point_that_is_not_of_the_curve_is_refused() -> None:
    with pytest.raises(ReleaseError, match="not a point of the curve"):
        PublicKey(bytes(64))


def test_the_commands_from_key_to_verified_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUAVER_RELEASE_KEY", str(tmp_path / "key.pem"))
    monkeypatch.setenv("QUAVER_RELEASE_PASSPHRASE", PASSPHRASE)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(root, ["release", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    key_id = run("keys", "create").split()[1].rstrip(":")
    assert key_id in run("keys", "show")
    run("build", "--sequence", "3", "--expires", "2099-01-01", "--board", "unix", "-o", "r")
    assert json.loads(Path("r.cdx.json").read_bytes())["bomFormat"] == "CycloneDX"
    assert f"signed by key {key_id}, good until 2099-01-01; sequence number 3" in run("verify", "r")
    shown = json.loads(run("show", "r", "--json"))
    assert (shown["sequence"], list(shown["boards"])) == (3, ["unix"])
    assert "  code/node." in run("show", "r", "--board", "unix")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["build", "--sequence", "1", "--expires", "2020-01-01"], "is past"),
        (["build", "--sequence", "0", "--expires", "2099-01-01"], "not in the range"),
        (["build", "--sequence", "1", "--expires", "2099-01-01", "--board", "pico_x"], "board 'pico_x' is unknown"),
        (["build", "--sequence", "1", "--expires", "2099-01-01", "--step-down", "x"], "'x'"),
        (["show", "key.pem"], "is not a release"),
        (["show", "absent"], "No such file"),
        (["verify", "key.pem", "--key", "key.pem"], "is not a public key"),
        (["show", "key.pem", "--json", "--sbom"], "give one of them"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from quaver.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUAVER_RELEASE_KEY", "key.pem")
    monkeypatch.setenv("QUAVER_RELEASE_PASSPHRASE", PASSPHRASE)
    create_key(Path("key.pem"), PASSPHRASE)
    assert main(["release", *arguments]) != 0
    said = capsys.readouterr().err
    assert reason in said and said.count("\n") == 1
    assert not list(tmp_path.glob("*.release"))


def test_the_usual_board_of_each_chip_fits_a_release() -> None:
    usual = [chip.board for chip in chips().values()]
    assert set(build_release(usual, 1, expires=UNTIL, key=KEY).manifest.boards) == set(usual)


def test_an_image_comes_in_pieces_for_the_boards_that_take_one(tmp_path: Path) -> None:
    release = build_release(["pico_w", "esp32_c3"], 7, expires=UNTIL, key=KEY, images=True)
    [(name, image)] = release.manifest.images.items()
    assert (name, image.micropython) == ("esp32_c3", "1.27.0")
    pieces = parse(release.contents[image.listing])
    whole = b"".join(release.contents[piece.sha256] for piece in pieces)
    official = read_image(load_board("esp32_c3"))
    assert whole == official[0x10000:]
    # ESP-IDF appends the SHA-256 of the rest.
    assert whole[-32:] == hashlib.sha256(whole[:-32]).digest()
    path = tmp_path / "a.release"
    path.write_bytes(release.encode())
    assert read_release(path) == release
    Schema(CDDL).validate_cbor(path.read_bytes())
    Schema(f"start = manifest\n{CDDL}").validate_cbor(release.manifest.encode())
    with pytest.raises(ReleaseError, match="none of these boards"):
        build_release(["pico_w"], 7, expires=UNTIL, key=KEY, images=True)


def test_one_line_of_any_module_costs_a_node_at_most_8_kb() -> None:
    """Of those that cost most, for what they are or because packs hand modules on to the next; and of one in a pack."""
    for cost in costs("pico_w", ["dsp/kernels.py", "node/measure.py"]):
        assert cost.patched < LIMIT and cost.patched < cost.whole


def test_patches_name_what_they_are_for_and_are_whole() -> None:
    first = build_release(["unix"], 7, expires=UNTIL, key=KEY)
    assert build_release(["unix"], 8, expires=UNTIL, key=KEY, after=[first]).manifest.patches == {}
    changed = {**first.contents_of("unix"), "boot.py": b""}
    changed["main.py"] += b"# more"
    with patch.object(bundle, "firmware_files", lambda _board: dict(changed)):
        made = build_release(["unix"], 8, expires=UNTIL, key=KEY, after=[first])
    part = made.manifest.patches["unix"]
    data = made.contents[part.patches]
    assert patched(data) == [hashlib.sha256(changed["main.py"]).digest()[:4]] and len(data) == part.size < 100
    with pytest.raises(ReleaseError, match="cut off"):
        patched(data[:-1])
