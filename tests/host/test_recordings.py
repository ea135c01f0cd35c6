"""Recordings in, acceleration out: every format, every mistake, and sources that answer the same each time."""

import pickle

import numpy as np
import pytest
import scipy.io
import scipy.io.wavfile

from quaver.errors import RecordingError
from quaver.files.carried import payload
from quaver.recordings import ChannelError, Playlist, RateError, Recording, RecordingSource, load
from quaver.recordings.resample import resample
from quaver.recordings.sources import Bearing, Machine
from quaver.recordings.units import velocity_mm_s

_ODR = 26_667.0  # the IIS3DWB's
_WAVE = np.random.default_rng(3).integers(-500, 500, 1000).astype(np.int16)


def _sine(frequency, rate, seconds=1.0, height=1.0):
    return (height * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def _recording(*axes, rate=12_000.0):
    return Recording("test", np.stack(axes, axis=1).astype(np.float32), rate)


def _strongest(signal, rate):
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return (int(spectrum[1:].argmax()) + 1) * rate / len(signal)


# Formats


def test_npz_with_integers_and_a_scale(tmp_path):
    path = tmp_path / "one.npz"
    np.savez(path, x=_WAVE, g_per_lsb=0.001, fs=12_000.0, rpm=1797.0)
    recording = load(path)
    assert recording.name == "one"
    assert recording.acceleration.shape == (1000, 1)
    assert recording.acceleration.dtype == np.float32
    assert recording.acceleration[0, 0] == pytest.approx(0.001 * _WAVE[0])
    assert (recording.rate_hz, recording.rpm, recording.temperature_c) == (12_000.0, 1797.0, None)


@pytest.fixture
def run(tmp_path):
    """A run to failure as PRONOSTIA's: 3 records of 100 samples, two axes, temperature every 5 s."""
    path = tmp_path / "run.npz"
    horizontal = np.repeat(np.arange(1, 4, dtype=np.int16), 100).reshape(3, 100)
    np.savez(
        path,
        horizontal=horizontal,
        vertical=-horizontal,
        g_per_lsb=0.5,
        fs=25_600.0,
        t=np.array([0.0, 10.0, 20.0]),
        temperature=np.array([[0.0, 5.0, 15.0, 20.0], [50.0, 60.0, 80.0, 90.0]]),
    )
    return path


def test_npz_of_several_records_is_all_in_a_row(run):
    recording = load(run)
    assert recording.acceleration.shape == (300, 2)
    assert recording.acceleration[[0, 100, 200], 0].tolist() == [0.5, 1.0, 1.5]
    assert recording.temperature_c == pytest.approx(70.0)


def test_one_record_and_one_channel_can_be_chosen(run):
    recording = load(run, record=1, channel="vertical")
    assert recording.acceleration.shape == (100, 1)
    assert set(recording.acceleration[:, 0].tolist()) == {-1.0}
    assert recording.temperature_c == pytest.approx(70.0)


def test_mfpt_mat(tmp_path):
    path = tmp_path / "baseline_1.mat"
    scipy.io.savemat(path, {"bearing": {"gs": _sine(100, 97_656, 0.1)[:, None], "sr": 97_656, "rate": 25, "load": 270}})
    recording = load(path)
    assert recording.acceleration.shape == (9765, 1)
    assert (recording.rate_hz, recording.rpm) == (97_656.0, 1500.0)


@pytest.fixture
def cwru(tmp_path):
    """As 99.mat of Case Western, which carries 98's signals too."""
    path = tmp_path / "99.mat"
    signals = {
        f"X{n:03}_{c}_time": np.full((200, 1), v) for n, c, v in ((98, "DE", 1.0), (99, "DE", 2.0), (99, "FE", 3.0))
    }
    scipy.io.savemat(path, {**signals, "X099RPM": 1750})
    return path


def test_cwru_mat_takes_the_signals_of_its_own_number(cwru):
    recording = load(cwru, rate=12_000)
    assert recording.acceleration[0].tolist() == [2.0, 3.0]
    assert recording.axes == ("X099_DE_time", "X099_FE_time")
    assert (recording.rate_hz, recording.rpm) == (12_000.0, 1750.0)
    assert load(cwru, rate=12_000, channel="fe").acceleration[0, 0] == 3.0
    assert load(cwru, rate=12_000, channel="X098_DE_time").acceleration[0, 0] == 1.0


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("{0}\n", (100, 1)),
        ("{0},{1}\n", (100, 2)),
        ("{0};{1};{2};\n", (100, 3)),
        ("{0}   {1}\n", (100, 2)),
        ("{0}\t{1}\r\n", (100, 2)),
    ],
)
@pytest.mark.parametrize("head", ["", "Acceleration (g), second\n"])
def test_csv_with_and_without_names(tmp_path, text, shape, head):
    path = tmp_path / "x.csv"
    path.write_text(head + "".join(text.format(n / 1000, -n / 500, 1e-3 * n) for n in _WAVE[:100]))
    recording = load(path, rate=1000)
    assert recording.acceleration.shape == shape
    assert recording.acceleration[50, 0] == pytest.approx(_WAVE[50] / 1000)


def test_csv_leaves_the_time_out_and_takes_a_column_by_name_or_number(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("time,a,b\n" + "".join(f"{n * 0.001},{n % 9 - 4}.5,{n % 7 - 3}.25\n" for n in range(100)))
    assert load(path, rate=1000).acceleration[7].tolist() == [3.5, -3.25]
    assert load(path, channel="b").acceleration[7].tolist() == [-3.25]
    assert load(path, rate=1000, channel="1", scale=0.5).acceleration[7].tolist() == [1.75]
    with pytest.raises(ChannelError, match="'time' is the time, not a signal: it has a, b"):
        load(path, channel="time")


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.full(100, 16_384, np.int16), 0.5),
        (np.full(100, -(2**30), np.int32), -0.5),
        (np.full(100, 192, np.uint8), 0.5),
        (np.full(100, 0.75, np.float32), 0.75),
    ],
)
def test_wav_integers_are_fractions_of_full_scale_and_floats_stay(tmp_path, samples, expected):
    path = tmp_path / "x.wav"
    scipy.io.wavfile.write(path, 25_600, samples)
    with pytest.raises(RecordingError, match="does not name their unit: give the"):
        load(path)
    recording = load(path, scale=2.0)
    assert recording.rate_hz == 25_600.0
    assert recording.acceleration.shape == (100, 1)
    assert recording.acceleration[0, 0] == pytest.approx(2 * expected)


def test_wav_channels(tmp_path):
    path = tmp_path / "x.wav"
    scipy.io.wavfile.write(path, 8000, np.tile(np.array([1.0, 2.0], np.float32), (100, 1)))
    assert load(path, unit="g").acceleration[0].tolist() == [1.0, 2.0]
    assert load(path, unit="g", channel="1").acceleration[0].tolist() == [2.0]


# Mistakes


def _save(name, **arrays):
    return lambda folder: np.savez(folder / name, **arrays)


def _mat(name, **arrays):
    return lambda folder: scipy.io.savemat(folder / name, arrays)


def _write(name, data):
    return lambda folder: (folder / name).write_bytes(data)


_X = np.ones(100, np.float32)
_GAP = np.where(np.arange(100) == 42, np.nan, 1.0)
_NUMBERS = b"1.0,2.0\n" * 100


@pytest.mark.parametrize(
    ("name", "make", "options", "says"),
    [
        ("x.mp3", _write("x.mp3", b"ID3"), {}, "expected a file named .asc, .csv, .dat, .h5, "),
        ("none.npz", _write("x.npz", b""), {}, "is not a file"),
        ("x.npz", _write("x.npz", b""), {}, "is empty"),
        ("x.npz", _write("x.npz", b"nonsense"), {}, "is not a .npz file"),
        ("x.mat", _write("x.mat", b"nonsense" * 40), {}, "is not a readable mat recording: "),
        ("x.mat", _write("x.mat", b"nonsense" * 40), {}, "; save it again with MATLAB's -v7, or as .npz"),
        ("x.wav", _write("x.wav", b"nonsense" * 40), {}, "is not a readable wav recording: "),
        ("x.csv", _write("x.csv", b"\xff\xfe\x00nonsense"), {"rate": 1000}, "is not text that can be read"),
        ("x.csv", _write("x.csv", b"\n\n"), {"rate": 1000}, "has no samples"),
        ("x.csv", _write("x.csv", b"a,b\n"), {"rate": 1000}, "has no samples: none of its lines holds numbers"),
        ("x.csv", _write("x.csv", _NUMBERS), {}, "does not state its sampling rate: give it in Hz"),
        (
            "x.csv",
            _write("x.csv", _NUMBERS + b"1.0,x\n"),
            {"rate": 1000},
            "line 101: expected 2 numbers, found '1.0,x'",
        ),
        ("x.csv", _write("x.csv", _NUMBERS + b"1.0\n"), {"rate": 1000}, "line 101: expected 2 numbers"),
        ("x.csv", _write("x.csv", b"1.5,2.5,3.5,4.5\n" * 100), {"rate": 1000}, "4 columns of signals: choose one"),
        ("x.csv", _write("x.csv", _NUMBERS), {"rate": 1000, "channel": "z"}, "has no channel 'z': it has 0, 1"),
        ("x.csv", _write("x.csv", _NUMBERS), {"rate": 0}, "a sampling rate of 0 Hz: expected 50 to 2e+06 Hz"),
        ("x.csv", _write("x.csv", _NUMBERS), {"rate": float("nan")}, "a sampling rate of nan Hz"),
        ("x.csv", _write("x.csv", _NUMBERS), {"rate": 1000, "scale": -1.0}, "expected a positive number"),
        ("x.csv", _write("x.csv", _NUMBERS), {"rate": 1000, "record": 1}, "has no record 1: it has one"),
        ("x.npz", _save("x.npz", x=_X, fs=-5.0), {}, "a sampling rate of -5 Hz"),
        ("x.npz", _save("x.npz", x=_X), {}, "does not state its sampling rate"),
        ("x.npz", _save("x.npz", x=_X, fs=12e3), {"rate": 48e3}, "was sampled at 12000 Hz (by fs), not at 48000 Hz"),
        ("x.npz", _save("x.npz", x=_GAP, fs=12e3), {}, "1 samples are NaN or infinite, the first is 42"),
        ("x.npz", _save("x.npz", x=_X * np.inf, fs=12e3), {}, "100 samples are NaN or infinite"),
        ("x.npz", _save("x.npz", x=_X[:10], fs=12e3), {}, "has 10 samples: expected at least 64"),
        ("x.npz", _save("x.npz", x=_X[:0], fs=12e3), {}, "has no signal"),
        ("x.npz", _save("x.npz", x=np.ones(100, np.int16), fs=12e3), {}, "x holds whole numbers without a unit: give"),
        ("x.npz", _save("x.npz", x=_X, g_per_lsb=0.0, fs=12e3), {}, "g_per_lsb is 0"),
        ("x.npz", _save("x.npz", x=_X, fs=12e3), {"channel": "y"}, "has no channel 'y': it has x"),
        ("x.npz", _save("x.npz", x=_X, fs=12e3), {"record": 3}, "has no record 3: it has one"),
        ("x.npz", _save("x.npz", horizontal=_X, vertical=_X[:90], fs=12e3), {}, "differ in length"),
        ("x.npz", _save("x.npz", x=np.array(["a"] * 100), fs=12e3), {}, "holds <U1, not real numbers: choose another"),
        ("x.npz", _save("x.npz", x=_X * 1j, fs=12e3), {}, "holds complex64, not real numbers: choose another"),
        (
            "x.npz",
            _save("x.npz", x=np.ones((4, 5, 50)), fs=12e3),
            {},
            "x has 3 dimensions, expected 1 or 2: choose another",
        ),
        (
            "x.npz",
            _save("x.npz", horizontal=_X, vertical=np.ones(100, np.int16), fs=12e3),
            {},
            "vertical holds whole numbers without a unit",
        ),
        ("x.mat", _mat("x.mat", X001_DE_time=np.ones((4, 5, 50))), {"rate": 12e3}, "its signal has 3 dimensions"),
    ],
)
def test_a_bad_file_is_one_line_that_says_what_and_why(tmp_path, name, make, options, says):
    make(tmp_path)
    with pytest.raises(RecordingError) as caught:
        load(tmp_path / name, **options)
    line = str(caught.value)
    assert line.startswith(str(tmp_path / name))
    assert says in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, RateError), ({"rate": 7.0}, RateError), ({"rate": 1e3, "channel": "z"}, ChannelError)],
)
def test_what_another_rate_or_channel_mends_is_an_error_of_its_own(tmp_path, options, kind):
    """So that whoever asked for the rate or the channel can say how it is given."""
    (tmp_path / "x.csv").write_bytes(_NUMBERS)
    with pytest.raises(kind):
        load(tmp_path / "x.csv", **options)


def test_a_mat_file_of_any_kind_and_a_missing_rate_or_channel(tmp_path, cwru):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"a": np.ones(100)})
    assert load(path, rate=12_000).acceleration.shape == (100, 1)
    with pytest.raises(RateError, match="does not state its sampling rate"):
        load(cwru)
    with pytest.raises(ChannelError, match="has no channel 'BA': it has X099_DE_time, X099_FE_time"):
        load(cwru, rate=12_000, channel="BA")


# Sources


@pytest.mark.parametrize("rate", [12_000.0, 25_600.0, 48_828.0, 97_656.0])
def test_a_resampled_tone_keeps_its_frequency_and_height(rate):
    source = RecordingSource(_recording(_sine(1000, rate, height=0.8), rate=rate))
    signal = source.samples(0, _ODR, 1000, 8192)
    assert signal.shape == (8192, 3)
    assert signal.dtype == np.float32
    assert _strongest(signal[:, 2], _ODR) == pytest.approx(1000, abs=_ODR / 8192)
    assert signal[:, 2].std() * np.sqrt(2) == pytest.approx(0.8, rel=0.005)


def test_what_the_sensors_rate_cannot_hold_is_filtered_out():
    source = RecordingSource(_recording(_sine(20_000, 97_656), rate=97_656.0))
    assert np.abs(source.samples(0, _ODR, 1000, 8192)).max() < 0.01


def test_a_rate_off_by_a_few_ppm_is_followed():
    source = RecordingSource(_recording(_sine(1000, 12_000)))
    slow, fast = (source.samples(0, _ODR * (1 + ppm * 1e-6), 0, 26_000)[:, 2] for ppm in (-2000, 2000))
    turns = [np.count_nonzero(np.diff(np.signbit(signal))) / 2 for signal in (slow, fast)]
    assert turns[0] - turns[1] == pytest.approx(26_000 * 1000 / _ODR * 0.004, abs=1)


def test_one_signal_is_z_and_several_lie_where_their_names_say():
    one, two = np.full(1000, 1.0), np.full(1000, 2.0)

    def at_sensor(axes, *signals):
        signals = np.stack(signals, axis=1).astype(np.float32)
        return RecordingSource(Recording("test", signals, 12_000.0, axes=axes)).samples(0, 12_000.0, 500, 1).tolist()

    assert at_sensor((), one) == at_sensor(("x",), one) == [[0, 0, 1]]
    assert at_sensor(("horizontal", "vertical"), one, two) == [[0, 1, 2]]
    assert at_sensor(("acc_z", "acc_y"), one, two) == [[0, 2, 1]]
    assert at_sensor(("x-axis (g)", "y-axis (g)", "z-axis (g)"), one, two, one) == [[1, 2, 1]]
    for axes in ((), ("a", "b"), ("x", "y"), ("z", "z")):
        with pytest.raises(ChannelError, match=r"a node measures z: choose one: "):
            at_sensor(axes, one, two)


def test_a_recording_loops_and_each_capture_starts_a_second_further_on():
    ramp = np.arange(2500, dtype=np.float32)
    source = RecordingSource(_recording(ramp, rate=1000.0))
    assert source.samples(0, 1000.0, 0, 3)[:, 2].tolist() == [0, 1, 2]
    assert source.samples(1, 1000.0, 0, 3)[:, 2].tolist() == [1000, 1001, 1002]
    assert source.samples(3, 1000.0, 10, 1)[:, 2].tolist() == [510]
    assert source.samples(0, 1000.0, 2499, 3)[:, 2].tolist() == [2499, 0, 1]
    assert source.samples(0, 1000.0, 0, 6000)[:, 2].tolist() == [*ramp, *ramp, *ramp[:1000]]


_SOURCES = {
    "recording": RecordingSource(_recording(_sine(440.3, 12_000, seconds=3.7))),
    "playlist": Playlist([(RecordingSource(_recording(_sine(100, 12_000))), 1), (Machine(fault="outer"), None)]),
    "healthy": Machine(),
    **{fault: Machine(fault=fault) for fault in ("outer", "inner", "ball")},
}


@pytest.mark.parametrize("name", _SOURCES)
def test_every_source_answers_the_same_whole_or_in_pieces_here_or_elsewhere(name):
    source = _SOURCES[name]
    whole = source.samples(1, _ODR, 100, 6000)
    pieces = [source.samples(1, _ODR, 100 + at, 1000) for at in reversed(range(0, 6000, 1000))]
    assert np.array_equal(whole, np.concatenate(pieces[::-1]))
    assert np.array_equal(whole, pickle.loads(pickle.dumps(source)).samples(1, _ODR, 100, 6000))
    assert not np.array_equal(whole, source.samples(2, _ODR, 100, 6000))
    assert source.samples(0, _ODR, 5, 0).shape == (0, 3)


def test_a_source_travels_without_its_resampled_copies():
    source = RecordingSource(_recording(_sine(440, 12_000)))
    before = len(pickle.dumps(source))
    source.samples(0, _ODR, 0, 10)
    assert len(pickle.dumps(source)) == before


def test_a_playlist_gives_each_source_its_own_count_and_the_last_goes_on():
    class Told:
        def __init__(self, value):
            self.value = value

        def samples(self, capture, rate_hz, first, count):
            return np.full((count, 3), self.value + capture, np.float32)

    playlist = Playlist([(Told(100), 2), (Told(200), 1), (Told(300), None)])
    assert [playlist.samples(capture, _ODR, 0, 1)[0, 0] for capture in range(6)] == [100, 101, 200, 300, 301, 302]
    with pytest.raises(RecordingError, match="a playlist of nothing"):
        Playlist([])
    with pytest.raises(RecordingError, match="part of None captures"):
        Playlist([(Told(1), None), (Told(2), 1)])


# The modelled machine


def test_bearing_frequencies_are_those_of_the_6205_and_of_pronostias():
    bearing = Bearing()
    assert bearing.bpfi == pytest.approx(5.4152, abs=1e-4)
    assert bearing.bpfo == pytest.approx(3.5848, abs=1e-4)
    assert bearing.bsf == pytest.approx(2.3567, abs=1e-4)
    assert bearing.ftf == pytest.approx(0.39828, abs=1e-4)
    bearing = Bearing(balls=13, ball_mm=3.5, pitch_mm=25.6)
    rounded = [round(value, 2) for value in (bearing.bpfi, bearing.bpfo, bearing.bsf, bearing.ftf)]
    assert rounded == [7.39, 5.61, 3.59, 0.43]


@pytest.mark.parametrize(
    ("count", "up", "down"),
    [(12_000, 20, 9), (12_000, 4, 15), (1001, 3, 2), (7, 5, 3), (5_000, 32_749, 12_000), (50, 1, 40)],
)
def test_another_rate_is_that_of_scipys_filter(count, up, down):
    from scipy.signal import resample_poly  # late: it takes each worker two seconds

    signal = np.random.default_rng(3).normal(size=(count, 2)).astype(np.float32)
    wanted = resample_poly(signal, up, down, axis=0)
    assert resample(signal, up, down) == pytest.approx(wanted, abs=1e-5)
    assert resample(signal[:, 0], up, down) == pytest.approx(wanted[:, 0], abs=1e-5)


@pytest.mark.parametrize(("count", "rate"), [(48_000, 12_000.0), (9_000, 26_667.0), (501, 100.0)])
def test_the_velocity_is_of_the_density_that_scipy_estimates(count, rate):
    from scipy.signal import welch

    signal = np.random.default_rng(3).normal(size=count).cumsum().astype(np.float32)
    hz, power = welch(signal, rate, nperseg=min(count, 1 << int(np.ceil(np.log2(rate)))), detrend="linear")
    band = (hz >= 10) & (hz <= 1000)
    wanted = np.sqrt((power[band] / (2 * np.pi * hz[band]) ** 2).sum() * hz[1]) * 9806.65
    assert velocity_mm_s(signal, rate) == pytest.approx(wanted, rel=1e-4)


def _envelope_lines(machine, seconds=4):
    """Envelope spectrum of z about the resonance: (frequencies in Hz, amplitudes)."""

    import scipy.signal  # late: it takes each worker two seconds

    signal = machine.samples(0, _ODR, 0, int(seconds * _ODR))[:, 2]
    band = scipy.signal.butter(4, [2000, 5000], "bandpass", fs=_ODR, output="sos")
    envelope = np.abs(scipy.signal.hilbert(scipy.signal.sosfiltfilt(band, signal)))
    spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope))))
    return np.fft.rfftfreq(len(envelope), 1 / _ODR), spectrum


@pytest.mark.parametrize(
    ("fault", "ratio"),
    [("outer", Bearing().bpfo), ("inner", Bearing().bpfi), ("ball", 2 * Bearing().bsf)],
)
def test_a_fault_shows_its_line_in_the_envelope(fault, ratio):
    machine = Machine(rpm=1797.0, fault=fault, severity=0.3, seed=7)
    assert machine.click_hz == pytest.approx(ratio * 1797 / 60)
    frequencies, spectrum = _envelope_lines(machine)
    near = (frequencies > 60) & (frequencies < 500)
    strongest = frequencies[near][spectrum[near].argmax()]
    assert strongest == pytest.approx(machine.click_hz, rel=0.01)


def test_an_inner_race_fault_turns_with_the_shaft():
    machine = Machine(fault="inner", severity=1.0)
    frequencies, spectrum = _envelope_lines(machine)
    side = spectrum[np.abs(frequencies - (machine.click_hz - 1797 / 60)).argmin()]
    floor = np.median(spectrum[(frequencies > 60) & (frequencies < 500)])
    assert side > 20 * floor


def test_severity_and_seed_matter_and_a_healthy_machine_is_quiet():
    healthy, faulty = (Machine(fault=fault, severity=0.5).samples(0, _ODR, 0, 8192)[:, 2] for fault in (None, "outer"))
    assert healthy.std() < 0.1
    assert np.abs(faulty).max() > 1.0 > 4 * np.abs(healthy).max() - 0.5
    assert np.array_equal(
        Machine(fault="outer", severity=0.0).samples(0, _ODR, 0, 64), Machine().samples(0, _ODR, 0, 64)
    )
    assert not np.array_equal(Machine(seed=1).samples(0, _ODR, 0, 64), Machine(seed=2).samples(0, _ODR, 0, 64))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fault": "cage"}, "fault 'cage': expected None, 'outer', 'inner', 'ball', 'unbalance', "),
        ({"rpm": 0.0}, "a machine of 0 rpm"),
        ({"severity": -1.0}, "severity -1"),
        ({"damping": 1.5}, "damping 1.5"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(values, says):
    with pytest.raises(RecordingError, match=says):
        Machine(**values)
    with pytest.raises(RecordingError, match="is not a bearing"):
        Bearing(ball_mm=50.0)


def test_the_shared_recordings_load_where_they_are():
    for path in sorted(payload().parent.joinpath("shared", "data").glob("*.npz")):
        recording = load(path)
        assert recording.acceleration.shape[0] > 100_000
        assert recording.rate_hz in (12_000.0, 25_600.0)
        assert 0.01 < recording.acceleration.std() < 2.0
