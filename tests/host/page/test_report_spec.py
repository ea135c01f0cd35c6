"""The file of the plant, in which a mistake is told in a line; and the words of reports, the same in both languages."""

import string
import tomllib
from pathlib import Path
from typing import Any

import pytest

from quaver.errors import ReportError
from quaver.reports import spec as module
from quaver.reports.spec import EXAMPLE, ZONE_D, factors, read_spec

ROOT = Path(__file__).resolve().parents[3]
SHIFT = '[[shift]]\nname = "{0}"\nbegins = "{1}"\nends = "{2}"\n'


def test_the_example_is_a_plant() -> None:
    spec = read_spec(EXAMPLE)
    assert (spec.zone, len(spec.shift), len(spec.tariff)) == ("Europe/Berlin", 3, 2)
    machine = spec.machine_of("works/hall/line-2/mill/mill")
    assert machine is not None and machine.zone_d == 4.5
    assert machine is spec.machine_of("mill") and spec.machine_of("works/mill/other") is None
    limits = spec.limits_of("works/hall/line-2/mill/mill", "velocity_mm_s")
    assert limits is not None and (limits.lower, limits.upper) == (None, 4.5)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("zone = 'Mars/Base'", "zone: expected a time zone of the IANA list"),
        ("colour = 1", "colour: extra inputs are not permitted"),
        (SHIFT.format("a", "06:00", "14:00") + SHIFT.format("b", "13:00", "22:00"), "the file: shift: a and b overlap"),
        (SHIFT.format("a", "22:00", "06:00") + SHIFT.format("b", "05:00", "07:00"), "the file: shift: a and b overlap"),
        (SHIFT.format("a", "25:00", "06:00"), "shift 1, begins: "),
        ("[co2]", "co2: name the country, or the plant's own g_per_kwh"),
        ("[co2]\ncountry = 'XX'", "co2: the table knows DE, GB, US"),
        ("[co2]\ng_per_kwh = 40", "co2: a g_per_kwh of your own needs its source and its year"),
        ("[[limits]]\nnode = 'mill'\nquantity = 'speed'\nupper = 1", "limits 1, quantity: expected a quantity"),
        ("[[limits]]\nnode = 'mill'\nquantity = 'rms_g'", "limits 1: name lower, upper or both"),
        ("[[limits]]\nnode = 'mill'\nquantity = 'rms_g'\nlower = 2\nupper = 1", "limits 1: `lower` has to be below"),
        ("[[machine]]\nnode = 'mill'\nidle_w = -1", "machine 1, idle_w: input should be greater than 0"),
        ("zone = ", "is no TOML"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "reports.toml"
    path.write_text(text)
    with pytest.raises(ReportError) as failure:
        read_spec(path)
    assert f"{path}: {why}" in str(failure.value) and "\n" not in str(failure.value)
    with pytest.raises(ReportError, match=r"can't be read.*quaver report new writes an example"):
        read_spec(tmp_path / "none.toml")


def test_the_counter_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "reports.toml").write_text("[[machine]]\nnode = 'mill'\ncounter = {file = 'm.csv', ideal_per_h = 9}")
    machine = read_spec(tmp_path / "reports.toml").machine[0]
    assert machine.counter is not None and machine.counter.file == tmp_path / "m.csv"


def test_each_factor_of_co2_has_its_source() -> None:
    assert {factor.country for factor in factors()} == {"DE", "GB", "US"}
    assert all(factor.source and 10 < factor.g_per_kwh < 1500 for factor in factors())
    assert len({(factor.country, factor.year) for factor in factors()}) == len(factors())


def test_zone_d_begins_where_the_firmware_has_it() -> None:
    limits: dict[str, Any] = {}
    text = (ROOT / "firmware/build/zones.py").read_text()
    exec(compile(text, "zones.py", "exec"), limits)
    assert {key: bounds[2] for key, bounds in limits["_LIMITS"].items()} == ZONE_D


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_languages_have_the_same_words_with_the_same_gaps() -> None:
    english, german = (
        tomllib.loads((Path(module.__file__).parent / f"{code}.toml").read_text("utf-8")) for code in ("en", "de")
    )
    for part in ("text", "note"):
        assert english[part].keys() == german[part].keys()
        for key, text in english[part].items():
            assert gaps(text) == gaps(german[part][key]), key
    used = "".join(path.read_text() for path in Path(module.__file__).parent.glob("*.py"))
    named = {key for key in english["note"] if f'"{key}"' in used}
    made = {key for key in english["note"] if key.startswith(("nelson_", "limit_", "def_"))}
    assert english["note"].keys() == named | made
