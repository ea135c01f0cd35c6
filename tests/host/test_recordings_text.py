"""Text: any file gives exactly the values that are in it, or one line that says why not."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaver.errors import RecordingError
from quaver.recordings import load

RATE = 20_000.0
COUNT = 200
_RNG = np.random.default_rng(12)
SIGNAL = np.round(0.35 * _RNG.normal(size=(COUNT, 3)), 6)


def read(tmp_path, text, encoding="utf-8", name="x.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return load(path, **options)


def lines(form, values=SIGNAL[:, 0]):
    return "".join(
        form.format(v=f"{v:.6f}", c=f"{v:.6f}".replace(".", ","), i=i, t=i / RATE, ms=i / RATE * 1e3) + "\n"
        for i, v in enumerate(values)
    )


# A style of one axis: header, line, what it says of the rate.
STYLES = {
    "plain": ("", "{v}", None),
    "name": ("x\n", "{v}", None),
    "crlf and a trailing comma": ("x,\r\n", "{v},\r", None),
    "time in s": ("Time (s),Acceleration (g)\n", "{t:.5f},{v}", RATE),
    "time without a header": ("", "{t:.5f},{v}", RATE),
    "time in another language": ("Zeit [s];Beschl [g]\n", "{t:.5f};{v}", RATE),
    "time of no known name": ("abszisse ordinate\n", "{t:.5f} {v}", RATE),
    "time in ms": ("t_ms\tacc\n", "{ms:.2f}\t{v}", RATE),
    "an index of pandas": (",accel\n", "{i},{v}", None),
    "an index in R": ("accel\n", "{i} {v}", None),
    "a sample number": ("sample;x\n", "{i};{v}", None),
    "decimal comma alone": ("", "{c}", None),
    "decimal comma and a name": ("acceleration [g]\n", "{c}", None),
    "decimal comma, semicolon": ("time;accel\n", "{i};{c}", None),
    "decimal comma, tab": ("accel\tindex\n", "{c}\t{i}", None),
    "decimal comma, blanks": ("", "{i}  {c}", None),
    "decimal comma, quoted": ('"n","a"\n', '"{i}","{c}"', None),
    "comments": ("# made by hand\n# data_rate = 20000 Hz, filter = 488 Hz\ncount,a\n", "{i},{v}", RATE),
    "percent comments, interval": ("% Sample interval: 0.00005 s\n% t a\n", "{t:.5f} {v}", RATE),
    "names and units": ("t,x\ns,g\n", "{t:.5f},{v}", RATE),
    "labels": ("Time (s),Sensor,X\n", "{t:.5f},S1:,{v}", RATE),
    "LabVIEW": (
        "LabVIEW "
        "Measurement\t\nSeparator\tTab\nDecimal_Separator\t,\nX_Columns\tNo\n***End_of_Header***\t\n\t\nChannels\t1\n"
        "Y_Unit_Label\tg\nX_Dimension\tTime\nDelta_X\t0,000050\n***End_of_Header***\t\t\nX_Value\tDev0/Ai0\tComment\n",
        "\t{c}",
        RATE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_every_style_gives_the_values_that_are_in_it(tmp_path, style, encoding):
    header, form, rate = STYLES[style]
    if rate is None:
        with pytest.raises(RecordingError, match="does not state its sampling rate"):
            read(tmp_path, header + lines(form), encoding)
    recording = read(tmp_path, header + lines(form), encoding, rate=rate or RATE)
    assert recording.acceleration.shape == (COUNT, 1)
    assert np.array_equal(recording.acceleration[:, 0], SIGNAL[:, 0].astype(np.float32))
    assert recording.rate_hz == pytest.approx(rate or RATE, rel=1e-6)
    if rate:
        with pytest.raises(RecordingError, match=rf"was sampled at {rate:g} Hz \(by .*\), not at {rate * 1.02:g} Hz"):
            read(tmp_path, header + lines(form), encoding, rate=rate * 1.02)


@pytest.mark.parametrize(
    ("stamp", "rate"),
    [
        (lambda i: f"2024-04-21 15:54:46.{i * 50:06}", RATE),
        (lambda i: f"2024-04-21T15:54:46.{i * 50:06}Z", RATE),
        (lambda i: f"21.04.2024 15:54:46.{i * 50:06}", RATE),
        (lambda i: f"23:59:59.{999_000 + i * 50:06}" if i < 20 else f"00:00:00.{(i - 20) * 50:06}", RATE),
        (lambda i: f"{1641807866241 + i // 10}", 10_000.0),  # ms since 1970, ten samples in each
        (lambda i: f"{1641807866.241 + i * 5e-5:.6f}", RATE),
        (lambda i: f"{1641807866241000000 + i * 50_000}", RATE),  # ns
        (lambda i: f"{i * 50}", RATE),  # of the units of time only µs gives a likely rate
    ],
)
def test_time_stamps_give_the_rate(tmp_path, stamp, rate):
    signal = np.tile(SIGNAL[:, 0], 10)
    text = "timestamp;accel\n" + "".join(f"{stamp(i)};{v:.6f}\n" for i, v in enumerate(signal))
    recording = read(tmp_path, text)
    assert recording.rate_hz == pytest.approx(rate, rel=1e-4)
    assert np.array_equal(recording.acceleration[:, 0], signal.astype(np.float32))


_TWO = "".join(f"{i * i % 7},{100 + (i * i * 37) % 800}\n" for i in range(100))


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (_TWO, {}, r"may be one number with a decimal comma, or two: name the decimal mark"),
        ("".join(f"1,{100 + (i * i * 37) % 800}.5\n" for i in range(100)), {},
         "thousands marks, or 2: name the delimiter"),
        ("".join(f"{1 + i % 7}.{100 + (i * i * 37) % 800};0\n" for i in range(100)), {},
         "decimal mark or a thousands mark"),
        ("".join(f"0.{i % 7}5;1,{i % 9}5\n" for i in range(100)), {}, "with a point .* and with a comma"),
        (lines("{v}") + "0.1,0.2\n", {}, "line 201: expected 1 number, found '0.1,0.2'"),
        (lines("{i};{c}") + '9;"1.234,5"\n', {}, "line 201: expected 2 numbers"),
        ("20000\n" + lines("{v}"), {},
         "line 1: '20000' is written unlike the samples below and may be the sampling rate"),
        (lines("{v},a") + lines("{v},b"), {}, "column 1 changes from 'a' to 'b' at line 201"),
        ("n,x\n" + "".join(f"{i + (i > 50)},{v}\n" for i, v in enumerate(SIGNAL[:, 0])), {}, "jumps by 2 at line 53"),
        ("t (s),x\n" + "".join(f"{(i + (i > 50)) / RATE:.5f},{v}\n" for i, v in enumerate(SIGNAL[:, 0])), {},
         "at line 53"),
        ("t (s),x\n" + 2 * lines("{t:.5f},{v}"), {}, "goes back at line 202: several recordings in one file"),
        ("t,x\n" + "".join(f"{i * 0.01:.2f},{v}\n" for i, v in enumerate(SIGNAL[:, 0])), {},
         r"100 Hz \(s\) or 100000 Hz \(ms\)"),
        ("x (V)\n" + lines("{v}"), {"rate": RATE}, "is a voltage .*: give the sensor's scale"),
        ("x [furlong]\n" + lines("{v}"), {"rate": RATE}, "'furlong', which is not a known unit: give its unit"),
        ("x_mg\n" + lines("{v}"), {"rate": RATE, "unit": "g"}, "states that x_mg is in mg, not g"),
        (lines("{v}", SIGNAL[:, 0] * 1000), {"rate": RATE}, r"its RMS would be .* g, more than 200 g: give its unit"),
        (lines("{v}", SIGNAL[:, 0] + 9.81), {"rate": RATE}, "its mean would be 9.8.* give its unit, by the mean m/s2"),
        ("".join(f"{v * 1000:.0f}\n" for v in SIGNAL[:, 0]), {"rate": RATE}, "holds whole numbers without a unit"),
        ("x\n" + lines("{v}") + "-0.1,\n0.2,4\n", {"rate": RATE}, "line 202: expected 1 number"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_one_line_that_says_so(tmp_path, text, options, says):
    with pytest.raises(RecordingError) as caught:
        read(tmp_path, text, **options)
    assert re.search(says, str(caught.value)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        "# unit: {}\ntime,acc\n", "# Acceleration in {}\ntime,acc\n", "# Units: s, {}\ntime,acc\n",
        "Time,Acc\ns,{}\n", "time,acc ({})\n", "t_s,acc {}\n", "t_s,acc_{}\n", "time,acc,|a|\ns,{}\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("unit", "g"), [("m/s²", 1 / 9.80665), ("m s-2", 1 / 9.80665), ("milli g", 1e-3)])
def test_a_unit_is_taken_wherever_it_stands(tmp_path, header, unit, g):
    wide = "|a|" in header
    text = header.replace("time,acc,|a|\ns,{}", "time,acc,|a|\ns,{},{}").replace("{}", unit)
    recording = read(tmp_path, text + lines("{t:.5f},{v}" + (",1.5" if wide else "")))
    assert recording.taken[0].unit_source == "by the file" and recording.acceleration.shape[1] == 1
    assert recording.acceleration[:, 0] == pytest.approx(SIGNAL[:, 0] * g, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    ("header", "offset", "says"),
    [
        ("x_furlong/s2", 0.0, "furlong/s2', which is not a known unit"),
        ("# unit: furlong\nx", 0.0, "'furlong', which is not a known unit"),
        ("gx", 0.0, "may be a rotation as well as acceleration: give its unit"),
        ("速度", 0.0, "has no signal that is acceleration"),
        ("geschwindigkeit", 0.0, "has no signal that is acceleration"),
        ("|a|", 0.0, "is a magnitude, without a direction"),
        ("data rate: 115200 baud\nx", 0.0, "does not state its sampling rate"),
        ("x", 9806.65, "give its unit, by the mean mm/s2"),
    ],
)
def test_what_a_header_or_gravity_contradicts_is_refused(tmp_path, header, offset, says):
    with pytest.raises(RecordingError, match=says):
        read(tmp_path, header + "\n" + lines("{v}", SIGNAL[:, 0] + offset), rate=None if "baud" in header else RATE)


def test_gravity_is_found_in_whichever_way_the_sensor_lies(tmp_path):
    signal = SIGNAL[:, 0] - SIGNAL[:, 0].mean()
    tilted = "x,y,z\n" + "".join(f"{9 * v + 5.66},{9 * v - 5.66},{60 * v + 5.66}\n" for v in signal)
    with pytest.raises(RecordingError, match="gravity is 1 g: give its unit, by the mean m/s2"):
        read(tmp_path, tilted, rate=RATE)


def test_the_options_decide_what_the_text_does_not(tmp_path):
    one = read(tmp_path, _TWO, rate=RATE, decimal="comma", unit="g").acceleration
    two = read(tmp_path, _TWO, rate=RATE, delimiter="comma", unit="mg").acceleration
    assert one[8, 0] == pytest.approx(1.868) and one.shape == (100, 1)
    assert two[8].tolist() == pytest.approx([0.001, 0.868])
    dotted = "".join(f"{1 + i % 7}.{100 + (i * i * 37) % 800}\n" for i in range(100))
    assert read(tmp_path, dotted, rate=RATE, decimal="point", unit="m/s2").acceleration[0, 0] == pytest.approx(
        1.1 / 9.80665
    )
    for options, g in (
        ({"scale": 0.5}, 0.5),
        ({"unit": "lsb", "scale": 0.5}, 0.5),
        ({"unit": "mg", "scale": 2.0}, 0.002),
    ):
        counts = "".join(f"{i * i % 5}\n" for i in range(100))
        assert read(tmp_path, counts, rate=RATE, **options).acceleration[4, 0] == pytest.approx(g)


def test_text_after_the_numbers_is_left_out_and_said(tmp_path):
    recording = read(tmp_path, "x\n" + lines("{v}") + "\nMean: 0.01\nRMS: 0.35\n", rate=RATE)
    assert len(recording.acceleration) == COUNT
    assert "2 lines of text after the numbers left out, from line 203 on: 'Mean: 0.01'" in str(recording.taken[0])


def test_a_line_of_numbers_is_read_along(tmp_path):
    recording = read(tmp_path, ",".join(f"{v:.6f}" for v in SIGNAL[:, 0]), rate=RATE)
    assert np.array_equal(recording.acceleration[:, 0], SIGNAL[:, 0].astype(np.float32))


def test_a_signal_that_drifts_up_is_no_time(tmp_path):
    drift = np.array([float(f"{v:.6f}") for v in SIGNAL[:, 0] * 0.1 + np.arange(COUNT) * 0.005])
    recording = read(
        tmp_path, "x,y\n" + "".join(f"{a:.6f},{b:.6f}\n" for a, b in zip(drift, SIGNAL[:, 1], strict=True)), rate=RATE
    )
    assert np.array_equal(recording.acceleration[:, 0], drift.astype(np.float32))


def test_counters_that_wrap_are_an_index(tmp_path):
    for wrap, step in ((256, 1), (65536, 512), (100, -1)):
        text = "".join(f"{(i * step) % wrap};{v:.6f}\n" for i, v in enumerate(np.tile(SIGNAL[:, 0], 3)))
        assert (
            read(tmp_path, text, rate=RATE).axes == ("1",) or read(tmp_path, text, rate=RATE).acceleration.shape[1] == 1
        )


# The property

_MARK = st.sampled_from(
    [(".", ","), (".", ";"), (".", "\t"), (".", " "), (".", "|"), (",", ";"), (",", "\t"), (",", " ")]
)


@st.composite
def _files(draw):
    """(bytes of a text, its values): random styles over random numbers."""
    decimal, delimiter = draw(_MARK)
    width = draw(st.integers(1, 3))
    rows = draw(st.integers(64, 80))
    digits = draw(st.sampled_from([1, 2, 3, 6]))
    seed = draw(st.integers(0, 1 << 32))
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(rows, width)) * draw(st.sampled_from([0.02, 0.5, 3.0])), digits)
    columns = [[f"{v:.{digits}f}" for v in values[:, at]] for at in range(width)]
    names = list("xyz"[:width])
    leading = draw(st.sampled_from(["", "index", "time", "wrap", "label"]))
    if leading:
        names.insert(
            0,
            {"index": draw(st.sampled_from(["", "n", "名"])), "time": "Time (s)", "wrap": "seq", "label": "id"}[
                leading
            ],
        )
        first = {
            "index": [str(i) for i in range(rows)], "time": [f"{i / 1000:.3f}" for i in range(rows)],
            "wrap": [str(i % 16) for i in range(rows)], "label": ["S1"] * rows,
        }[leading]  # fmt: skip
        columns.insert(0, first)
    if decimal == ",":
        columns = [[cell.replace(".", ",") for cell in column] for column in columns]
    if draw(st.booleans()) and delimiter != " ":
        columns = [[f'"{cell}"' for cell in column] for column in columns]
    comment = draw(st.sampled_from(["", "# a comment, with (words); and 12 numbers 3.4\n", "% x\n", "// y\n\n"]))
    head = delimiter.join(names) + "\n" if draw(st.booleans()) else ""
    end = draw(st.sampled_from(["", delimiter])) if delimiter != " " else ""
    text = comment + head + "".join(delimiter.join(row) + end + "\n" for row in zip(*columns, strict=True))
    text = text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))), values


@given(file=_files())
def test_any_text_gives_its_values_or_one_line(tmp_path_factory, file):
    data, values = file
    path = tmp_path_factory.mktemp("any") / "x.csv"
    path.write_bytes(data)
    try:
        found = load(path, rate=1000.0, unit="g").acceleration
    except RecordingError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        # What is plain is not refused: only commas between columns and thousands look alike.
        assert "name the de" in str(error) or "velocity" in str(error), error
    else:
        assert found.shape == values.shape and np.array_equal(found, values.astype(np.float32))


@settings(max_examples=settings().max_examples // 6)
@given(data=st.binary(max_size=400) | st.text(alphabet="0123456789.,;\t -+eE\n#gxt:/", max_size=600).map(str.encode))
def test_any_bytes_end_in_values_or_one_line(tmp_path_factory, data):
    for suffix in (".csv", ".lvm", ".wav", ".npz", ".npy", ".mat", ".h5", ".tdms", ".uff"):
        path = tmp_path_factory.mktemp("any") / f"x{suffix}"
        path.write_bytes(data * 3)
        try:
            load(path, rate=1000.0, unit="g")
        except RecordingError as error:
            assert "\n" not in str(error)
