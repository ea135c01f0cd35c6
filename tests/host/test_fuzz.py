"""A share of tools/fuzz.py: every parser that meets strangers takes what it is given, or refuses it by name."""

import importlib
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quaver import errors
from quaver.build.uf2 import make_uf2, read_uf2
from quaver.diode import bundle
from quaver.diode.udp import Receiver
from quaver.recordings import load
from quaver.recordings.mat_elements import DamagedError, check_elements

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/fuzz.py"


def run(*options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *map(str, options)], capture_output=True, text=True)


@pytest.mark.long
@pytest.mark.slowest
def test_no_parser_does_else_than_take_or_refuse_what_it_is_given(tmp_path: Path) -> None:
    names = [line.split()[0] for line in run("--list").stdout.splitlines()]
    result = run("--brief", "--inputs", 150, "--folder", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = re.findall(r"^(\S+): (\d+) inputs, (\d+) taken, (\d+) on MicroPython$", result.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == names and len(names) > 40
    assert all(int(inputs) >= 150 and int(taken) > 0 for _, inputs, taken, _ in rows)
    assert sum(inputs == there for _, inputs, _, there in rows) == 18  # all of the device's


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Any:
    for path in (ROOT / "tools", ROOT / "tools/guest"):
        monkeypatch.syspath_prepend(str(path))
    from fuzzing import trial

    return trial


def test_what_else_it_does_is_kept_with_its_input(trial: Any, tmp_path: Path) -> None:
    def one(data: bytes) -> str:
        if data == b"broken":
            raise AssertionError("a promise")
        return str({b"a": 1}[data])

    tried = trial.Trial(trial.Target("x", "", (), (KeyError,), 9, one), tmp_path)
    for data in (b"a", b"b", b"broken", b"broken", None):
        tried(data)
    assert (tried.inputs, tried.taken) == (5, 1)
    assert [what.split(" at ")[0] for what in tried.findings] == ["AssertionError a promise"]
    assert Path(next(iter(tried.findings.values()))).read_bytes() == b"broken"


def test_another_outcome_on_micropython_is_a_finding(trial: Any) -> None:
    import fuzz_device

    unix = trial.Unix("cbor", (ROOT / "tools/guest", ROOT / "firmware", ROOT / "protocols"))
    found = unix.put(b"\x01", fuzz_device.outcome("item")) + unix.put(b"\x18\x01", fuzz_device.outcome("item"))
    assert [data for data, _ in found + unix.flush()] == [b"\x18\x01"]
    unix.close()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


DEEP, LONG = b"a = " + b"[" * 3000, b"a = " + b"9" * 5000


@pytest.mark.parametrize("data", [DEEP, LONG, b"a = \xff"])
@pytest.mark.parametrize(
    ("module", "verb", "error"),
    [
        ("quaver.bridge.spec", "read_bridge", "BridgeError"),
        ("quaver.board.spec", "read_board", "BoardFileError"),
        ("quaver.access.openid", "read_plan", "AccessError"),
    ],
)
def test_a_toml_file_that_python_gives_up_is_refused_in_a_line(
    module: str, verb: str, error: str, data: bytes, tmp_path: Path
) -> None:
    with pytest.raises(getattr(errors, error), match="TOML") as caught:
        getattr(importlib.import_module(module), verb)(written(tmp_path / "x.toml", data))
    assert "\n" not in str(caught.value)


def test_a_uf2_for_where_there_is_no_flash_is_refused() -> None:
    """Joined, its pages would fill the memory."""
    data = make_uf2({0x10000000: bytes(256), 0xFFFFF000: bytes(256)}, 0xE48BFF56)
    with pytest.raises(errors.BuildError, match="0xfffff000, where there is no flash"):
        read_uf2(data, 0xE48BFF56)


def test_a_bundle_with_a_number_that_no_store_takes_is_refused() -> None:
    key = Ed25519PrivateKey.generate()
    good = bundle.Record(bytes(8), "s/a/l/a/n", "telemetry", 1, 2, bytes(8), 3, "{}")
    bundle.unpack(bundle.pack(bundle.Bundle("0123456789ab", 3, [good]), key), key.public_key())
    for number, record in ((1 << 63, good), (3, good._replace(seq=1 << 64))):
        with pytest.raises(errors.DiodeError, match="holds no records"):
            bundle.unpack(bundle.pack(bundle.Bundle("0123456789ab", number, [record]), key), key.public_key())


def test_a_foreign_datagram_makes_no_decoder_panic(capfd: pytest.CaptureFixture[str]) -> None:
    receiver = Receiver("127.0.0.1:0")
    for block in (0, 1, 97):
        assert receiver._take(b"QVD1" + bytes(8) + (5000).to_bytes(4, "big") + bytes((block,)) + bytes(1203)) is None
    receiver.close()
    assert capfd.readouterr().err == ""


def test_a_damaged_tdms_file_says_so_as_a_note(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import nptdms

    with nptdms.TdmsWriter(tmp_path / "x.tdms") as writer:
        about = {"wf_increment": 1 / 20_000, "unit_string": "g"}
        writer.write_segment([nptdms.ChannelObject("g", "acc_z", np.sin(np.arange(200.0)), about)])
    whole = (tmp_path / "x.tdms").read_bytes()
    assert load(written(tmp_path / "whole.tdms", whole)).taken[0].notes == ()
    found = load(written(tmp_path / "cut.tdms", whole[:-9]))
    assert len(found.acceleration) < 200 and "the file may be damaged (" in found.taken[0].notes[0]
    assert capfd.readouterr().err == ""


def test_a_broker_that_does_not_keep_to_mqtt_ends_the_connection_and_no_more() -> None:
    """At once: of a length no more than its four bytes are read. On CPython in a process of its own."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import fuzz; from pathlib import Path\n"
        "fuzz._paths(Path(sys.argv[1])); import fuzz_device\n"
        "one, right = fuzz_device.target('mqtt')\n"
        "up = b'\\x20\\x02\\x00\\x00\\x90\\x03\\x00\\x01\\x01\\x40\\x02\\x00\\x02'\n"
        "for more in (b'\\x30' + b'\\xff' * 40, b'\\x34\\x06\\0\\1t\\0\\1m', b'\\x30\\x03\\0\\1\\xff'):\n"
        "    print(one(up + more), len(up))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    ends = [line.split() for line in result.stdout.splitlines() if line.startswith("True")]
    assert [int(at) - int(up) for _, *_, at, up in ends] == [5, 8, 5]


def mat(compressed: bool = False) -> bytes:
    out = io.BytesIO()
    held = {
        "x": np.arange(99.0), "z": np.array([1 + 2j]), "text": "accel", "s": {"a": {"b": np.int16([1, 2])}, "c": "g"},
        "cells": np.array([np.arange(3), "y", {}], dtype=object), "sparse": scipy.sparse.csc_matrix(np.eye(3)),
        "flag": np.array([True]), "none": np.zeros((0, 0)),
    }  # fmt: skip
    scipy.io.savemat(out, held, do_compression=compressed)
    return out.getvalue()


def test_the_elements_of_matlabs_files_fit() -> None:
    check_elements(mat())
    check_elements(mat(compressed=True))


@pytest.mark.parametrize(
    ("place", "instead"),
    [
        (b"\x09\0\0\0\x18\x03\0\0", b"\x08\0\0\0\x18\x03\0\0"),  # of a type without numbers
        (b"\x09\0\0\0\x18\x03\0\0", b"\x0e\0\0\0\x18\x03\0\0"),  # a matrix where numbers belong
        (b"\x09\0\0\0\x18\x03\0\0", b"\xff\0\0\0\x18\x03\0\0"),
        (b"\x09\0\0\0\x18\x03\0\0", b"\x09\0\0\0\x08\x03\0\0"),  # two elements where one belongs
        (b"\x09\0\0\0\x18\x03\0\0", b"\x09\0\0\0\xff\x03\0\0"),
    ],
)
def test_a_matlab_file_that_ends_scipy_is_refused(place: bytes, instead: bytes, tmp_path: Path) -> None:
    """Its reader ended the whole process."""
    data = mat()
    assert data.count(place) == 1
    with pytest.raises(errors.RecordingError, match=r"is not a readable mat recording: .*; save it again"):
        load(written(tmp_path / "x.mat", data.replace(place, instead)))


@pytest.mark.parametrize("empty", ["", np.zeros((0, 0), dtype=object)])
def test_a_matrix_of_more_values_than_it_has_bytes_is_refused(empty: object, tmp_path: Path) -> None:
    """SciPy's reader made room for them all, 4 GB, or went round for each."""
    out = io.BytesIO()
    scipy.io.savemat(out, {"x": empty})
    sizes = b"\5\0\0\0\x08\0\0\0"  # dimensions, two of them
    data = out.getvalue()
    begin = data.index(sizes) + len(sizes)
    data = data[:begin] + bytes((1, 0, 0, 0x20, 1, 0, 0, 0)) + data[begin + 8 :]
    with pytest.raises(errors.RecordingError, match=r"a matrix of 536870913 values, in [0-9]+ bytes"):
        load(written(tmp_path / "x.mat", data))


def test_matrices_that_are_nested_too_deep_are_refused() -> None:
    cell = np.arange(3.0)
    for _ in range(40):
        held = np.empty((1, 1), dtype=object)
        held[0, 0] = cell
        cell = held
    out = io.BytesIO()
    scipy.io.savemat(out, {"x": cell})
    with pytest.raises(DamagedError, match="nested too deep"):
        check_elements(out.getvalue())
