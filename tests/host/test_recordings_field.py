"""Files as people bring them: each gives the right signal, or one line that names the remedy."""

import json
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.io.wavfile

from quaver.cli import main
from quaver.errors import RecordingError
from quaver.files.carried import payload
from quaver.recordings import ChannelError, RecordingSource, load
from quaver.recordings.rails import clipped, rails_of
from quaver.recordings.units import velocity_mm_s

FIELD = Path(os.environ.get("QUAVER_FIELD", payload().parent / "shared" / "data" / "field"))
RATE = 20_000.0
RMS_G = 0.3508  # of the whole signal without its mean; 0.3517 g of its first measurement


def impacts(seconds=1.7):
    """A shaft at 25 Hz, and impacts at 89.5 Hz that ring: RMS 0.35 g."""
    time = np.arange(int(seconds * RATE)) / RATE
    since = time % (1 / 89.5)
    noise = np.random.default_rng(4).normal(0, 0.01, time.size)
    return 0.3 * np.sin(2 * np.pi * 25 * time) + 1.2 * np.exp(-since * 900) * np.sin(2 * np.pi * 3200 * since) + noise


_RATE, _NOTHING, _FULL_SCALE = {"rate": RATE}, {}, {"scale": 16.0}
# What a person has to say for a file, whose first axis is the signal then.
G = {
    **dict.fromkeys(
        ("crlf.csv", "decimal_comma_header_one_column.csv", "decimal_comma_one_column.csv", "index_pandas.csv",
         "nofs.npz",
         "one_variable.mat", "plain.npy", "plain_arr0.npz", "rate_in_first_line.csv", "row_vector.csv",
         "sample_index.csv",
         "trailing_comma.csv", "two_header_lines.csv", "utf16.csv", "cwru_keys.npz", "cwru_like_097.mat",
         "fs_array.npz",
         "fs_str.npz"),
        _RATE,
    ),
    **dict.fromkeys(
        ("datetime.csv", "decimal_comma_semicolon.csv", "decimal_comma_tab.csv", "dut_like.mat", "elapsed.csv",
         "epoch_ms.csv",
         "labview.lvm", "labview_lvm.csv", "ms2.csv", "rpm_arr.npz", "time_header_units.csv", "time_no_header.csv",
         "time_plain.csv", "x_is_records_t.npz"),
        _NOTHING,
    ),
    **dict.fromkeys(
        ("pcm16.wav", "pcm24.wav", "pcm24_ext.wav", "recorder_cut_size0.wav", "streamed_size.wav", "truncated.wav"),
        _FULL_SCALE,
    ),
    "milli_g_ints.csv": {"rate": RATE},
    "raw_lsb.csv": {"rate": RATE, "scale": 0.000488},
    "float_ms2.wav": {"unit": "m/s2"},
    "voltage_offset.csv": {"rate": RATE, "scale": 10.0},
    "waveforms_header.csv": {"scale": 1.0},
    "xyz_fault_on_z.csv": {"rate": RATE, "channel": "z"},
    "rpm_nan.npz": {"rpm": 1500.0},
    "rpm_neg.npz": {"rpm": 1500.0},
    "cw_rpm_nan_097.mat": {"rate": RATE, "rpm": 1500.0},
}  # fmt: skip
REFUSED = {
    "blank_lines.csv": "record it again",
    "complex.npz": "not real numbers: choose another channel",
    "empty.csv": "is empty: record it again",
    "empty_cell.csv": "1 samples are NaN or infinite, the first is 777: correct the file",
    "header_only.csv": "none of its lines holds numbers",
    "nan_gap.csv": "8 samples are NaN or infinite, the first is 777: correct the file",
    "objects.npz": "never loaded: save plain numbers",
    "real_3dprinter_sensor1.csv": "jumps by 28 at line 59, where 12 is its step: rows are missing",
    "v73.mat": "is a damaged or unfinished HDF5 file (MATLAB v7.3)",
}


@pytest.mark.skipif(not FIELD.is_dir(), reason="the files from the field are not beside the repository")
@pytest.mark.slowest
def test_every_file_from_the_field():
    for path in sorted(FIELD.iterdir()):
        if path.suffix not in (".csv", ".lvm", ".wav", ".npz", ".npy", ".mat") or path.stem.startswith("plan_"):
            continue  # a plan is a list of nodes
        options = G.get(path.name)
        if options is None:
            says = REFUSED.get(path.name) or (
                "git lfs pull" if "lfs" in path.name else "web page" if "html" in path.name else ""
            )
            if not says:
                continue
            with pytest.raises(RecordingError, match=re.escape(says)) as caught:
                load(path, rate=RATE if path.suffix in (".csv", ".npz") and "real" not in path.name else None)
            assert "\n" not in str(caught.value)
            continue
        if options:
            with pytest.raises(RecordingError):
                load(path)
        recording = load(path, **options)
        name = path.name
        signal = recording.acceleration[:, 0]
        assert signal.std() == pytest.approx(RMS_G, rel=0.01), name
        assert recording.rate_hz == pytest.approx(RATE, rel=1e-3), name
        assert velocity_mm_s(signal, recording.rate_hz) == pytest.approx(13.3, rel=0.03), name
        taken = recording.taken[0]
        assert taken.rate_hz == recording.rate_hz and taken.rate_source and taken.unit and taken.column, name
    with pytest.raises(ChannelError, match="has 4 columns of signals: choose one by name or number: 0, 1, 2, 3"):
        load(FIELD / "four_channels.wav", unit="g")
    car = load(FIELD / "real_picoquake_car_vibration.csv")
    assert (car.axes, car.rate_hz, len(car.acceleration)) == (("a_x", "a_y", "a_z"), 2000.0, 10_000)
    for name in ("coarse_2_decimals.csv", "coarse_adxl345_lsb.csv"):
        assert rails_of(load(FIELD / name, rate=RATE).acceleration[:, 0]) == (-np.inf, np.inf), name


# Small copies of each kind, but for those of text, which have a module of their own


def test_the_axis_that_is_analysed_is_the_one_that_the_node_measures(tmp_path, capsys):
    signal = impacts()
    path = tmp_path / "xyz.csv"
    path.write_text("x,y,z\n" + "".join(f"{v / 50:.5f},{v / 40:.5f},{v:.5f}\n" for v in signal))
    assert main(["analyze", str(path), "--rate", "20000", "--group", "2", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["taken"]["axis"] for line in told] == sorted("xyz" * (len(told) // 3))
    assert all(line["taken"]["rate_hz"] == 20000 and line["taken"]["unit"] == "g" for line in told)
    by_axis = {line["taken"]["axis"]: line for line in told}
    assert by_axis["z"]["features"]["rms_g"] == pytest.approx(signal[:32768].std(), rel=0.01)
    assert by_axis["x"]["features"]["rms_g"] == pytest.approx(signal[:32768].std() / 50, rel=0.02)
    node = RecordingSource(load(path, rate=RATE)).samples(0, RATE, 0, 32768)
    assert node[:, 2].std() == pytest.approx(by_axis["z"]["features"]["rms_g"], rel=0.01)
    assert main(["analyze", str(path), "--rate", "20000", "--channel", "z"]) == 0
    assert "xyz: z (axis z) in g (assumed), 20000 Hz (as given)" in capsys.readouterr().out
    path.write_text(path.read_text().replace("x,y,z", "a,b,c"))
    assert main(["emulate", "unix", "--recording", str(path), "--rate", "20000"]) == 5
    error = capsys.readouterr().err
    assert "a node measures z: choose one: a, b, c (--channel NAME)" in error and len(error.splitlines()) == 1


def _wav(path, samples, size=None):
    scipy.io.wavfile.write(path, int(RATE), samples)
    if size is not None:
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, 40, size)
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("size", "cut", "note"),
    [
        (0, 0, "its header does not say how long it is"),
        (0xFFFFFFFF, 0, "its header does not say how long it is"),
        (None, 4001, "cut short: 17999 of 20000 samples are there"),
    ],
)
def test_a_wav_that_was_cut_short_is_read_as_far_as_it_goes_and_says_so(tmp_path, size, cut, note):
    path = tmp_path / "x.wav"
    whole = np.round(impacts(1.0) / 16 * 32768).astype(np.int16)
    _wav(path, whole, size)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    recording = load(path, scale=16.0)
    assert note in str(recording.taken[0])
    count = 20_000 - -(-cut // 2)
    assert np.allclose(recording.acceleration[:, 0], whole[:count] / 32768 * 16, atol=1e-6)
    assert load(path, unit="lsb", scale=16 / 32768).acceleration[:, 0] == pytest.approx(recording.acceleration[:, 0])
    path.write_bytes(path.read_bytes()[:44])
    with pytest.raises(RecordingError, match="cut off before its first sample"):
        load(path, scale=16.0)


@pytest.mark.parametrize("shape", ["(n,)", "(n,1)", "(1,n)", "(n,3)", "(3,n)"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5"])
def test_arrays_of_any_shape(tmp_path, shape, suffix):
    import h5py

    one = impacts(0.1)
    three = np.stack([one, 2 * one, 3 * one], axis=1)
    array = {"(n,)": one, "(n,1)": one[:, None], "(1,n)": one[None], "(n,3)": three, "(3,n)": three.T}[shape]
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".npz":
        np.savez(path, whatever=array)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"whatever": {"data": array}})
    else:
        with h5py.File(path, "w") as file:
            file["group/whatever"] = array
    with pytest.raises(RecordingError, match="does not state its sampling rate"):
        load(path)
    recording = load(path, rate=RATE)
    assert recording.acceleration.shape == (len(one), 3 if "3" in shape else 1)
    assert np.array_equal(recording.acceleration[:, 0], one.astype(np.float32))


def test_hdf5_and_matlab_7_3_say_rate_and_unit(tmp_path):
    import h5py

    path = tmp_path / "x.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["acc"] = impacts(0.1)[None] * 9.80665
        file["fs"] = [[RATE]]
        file["acc"].attrs["unit"] = "m/s^2"
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    recording = load(path)
    assert (recording.rate_hz, recording.taken[0].unit) == (RATE, "m/s2")
    assert recording.acceleration[:, 0] == pytest.approx(impacts(0.1), abs=1e-6)


def test_an_hdf5_that_keeps_its_library_busy_is_given_up(tmp_path, monkeypatch):
    import h5py

    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["acc"] = impacts(0.1)
    monkeypatch.setattr("quaver.recordings.hdf5._LIMIT_S", -1.0)
    with pytest.raises(RecordingError, match=r"x\.h5: is a damaged or unfinished HDF5 file: it was not read in"):
        load(path, rate=RATE)


def test_tdms_and_uff(tmp_path):
    import nptdms
    import pyuff

    signal = impacts(0.1)
    with nptdms.TdmsWriter(tmp_path / "x.tdms") as writer:
        about = {"wf_increment": 1 / RATE, "unit_string": "mg"}
        writer.write_segment([nptdms.ChannelObject("Vibration", "acc_z", signal * 1000, about)])
    data = pyuff.prepare_58(
        func_type=1, rsp_node=1, rsp_dir=3, ref_node=1, ref_dir=3, data=signal,
        x=np.arange(len(signal)) / RATE, id1="z",
        ordinate_spec_data_type=12, ordinate_axis_units_lab="m/s^2", abscissa_spec_data_type=17,
        binary=0, orddenom_spec_data_type=0, z_axis_spec_data_type=0,
        abscissa_inc=1 / RATE, abscissa_spacing=1, ord_data_type=4,
    )  # fmt: skip
    pyuff.UFF(str(tmp_path / "x.uff")).write_sets(data, "overwrite")
    for name, g, unit in (("x.tdms", 1.0, "mg"), ("x.uff", 1 / 9.80665, "m/s2")):
        recording = load(tmp_path / name)
        assert recording.rate_hz == pytest.approx(RATE) and recording.taken[0].unit == unit
        assert recording.acceleration[:, 0] == pytest.approx(signal * g, abs=1e-5)


def test_a_missing_library_is_named_with_its_remedy(tmp_path, monkeypatch):
    import sys

    for name, module, head in (
        ("x.h5", "h5py", b"\x89HDF\r\n\x1a\n"),
        ("x.tdms", "nptdms", b"TDSm"),
        ("x.uff", "pyuff", b"    -1"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        (tmp_path / name).write_bytes(head + bytes(100))
        with pytest.raises(
            RecordingError, match=rf"{name}: needs {module} to be read: pip install 'quaver\[formats\]'$"
        ):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (
            "x.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 2\n",
            "Git LFS pointer .* git lfs pull",
        ),
        ("x.mat", b"\n <!DOCTYPE html>\n<html>", "a saved web page .*: download the file itself"),
        ("x.csv", b'{"message": "Not Found"}', "is JSON"),
        ("x.wav", b"\x1f\x8b\x08\x00", "compressed with gzip: unpack it"),
        ("x.csv", b"RIFF\x00\x00\x00\x00WAVE", "is a WAV file: give it a name that ends in .wav"),
        ("x.csv", b"PK\x03\x04", "is a ZIP archive that is cut short"),
        ("x.npz", b"\x80\x04\x95", "is a Python pickle, which may run code and is never loaded"),
        ("x.csv", bytes(range(256)), "is not text that can be read"),
    ],
)
def test_what_is_no_recording_is_named_as_what_it_is(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RecordingError, match=says):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"rpm": np.nan}, "rpm is nan: expected a speed of 1 to 60000 1/min: give it"),
        ({"rpm": -1500}, "rpm is -1500: expected a speed"),
        ({"rpm": "fast"}, "rpm is 'fast': expected one number"),
        ({"rpm": [1500.0, 1490.0]}, "rpm is 2 values: expected one number"),
        ({"fs": np.nan}, "a sampling rate of nan Hz"),
        ({"fs": "20 kHz"}, "fs is '20 kHz': expected one number"),
        ({"fs": [RATE, RATE]}, "fs is 2 values: expected one number"),
        ({"g_per_lsb": np.nan}, "g_per_lsb is nan: expected a positive number"),
        ({"g_per_lsb": [1.0, 2.0]}, "g_per_lsb is 2 values: expected one number"),
    ],
)
def test_what_a_file_says_passes_the_checks_of_the_command_line(tmp_path, capsys, about, says):
    np.savez(tmp_path / "x.npz", x=impacts(0.1), **{"fs": RATE, **about})
    with pytest.raises(RecordingError, match=re.escape(says)):
        load(tmp_path / "x.npz")
    if "rpm" in about:
        assert load(tmp_path / "x.npz", rpm=1500.0).rpm == 1500.0
        assert main(["analyze", str(tmp_path / "x.npz")]) == 5
        assert capsys.readouterr().err.endswith("(--rpm)\n")


def test_rails_are_not_the_largest_of_few_digits():
    """A slow wave in few digits holds its top for some samples; a rail holds far more than the levels beside it."""
    from scipy.signal import resample_poly

    signal = resample_poly(impacts(), 4, 1)
    for step in (0.01, 0.0039, 0.05, 0.1):
        coarse = (np.round(signal / step) * step).astype(np.float32)
        assert rails_of(coarse) == (-np.inf, np.inf), step
        for rail in (0.5, 0.4) if step <= 0.01 else ():
            cut = np.clip(coarse, -rail, rail)
            assert sum(clipped(cut[at : at + 4096], rails_of(cut)) for at in range(0, len(cut) - 4096, 4096)) > 5, (
                step,
                rail,
            )
    sine = np.sin(2 * np.pi * 25 * np.arange(40_000) / RATE)
    assert rails_of(np.round(sine, 2)) == rails_of(sine) == (-np.inf, np.inf)
    assert clipped(np.clip(sine, -0.9, 0.9)) and clipped(np.clip(sine, -2.0, 0.9))
    bearing = np.clip(np.random.default_rng(1).normal(0, 0.3, 40_000) + signal[:40_000], -0.7, 0.7)
    assert clipped(np.round(bearing / 4.88e-4) * 4.88e-4)
