"""Bearings, zones, the baseline and the verdict, on the real MicroPython."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.programs import program

Run = Callable[..., Any]

RATIOS = program(__file__, "ratios")


def test_bearings_by_name_geometry_and_ratios(micropython: Run) -> None:
    """The SKF 6205's ratios as Case Western Reserve University states them, PRONOSTIA's as FEMTO-ST does."""
    skf = [3.5848, 5.4152, 2.3567, 0.39828]
    by_name, by_geometry, by_ratios, pronostia = micropython(
        RATIOS,
        argument=["6205", {"balls": 9, "ball_mm": 7.94, "pitch_mm": 39.04}, {"ratios": skf}, "PRONOSTIA"],
    )
    assert by_name == pytest.approx(skf, rel=1e-3)
    assert by_geometry == by_name
    assert by_ratios == skf
    assert pronostia == pytest.approx([5.61, 7.39, 3.59, 0.43], abs=0.005)


def test_every_bearing_of_the_library_passes_the_check_of_ratios(micropython: Run) -> None:
    got = micropython(program(__file__, "library"))
    assert got >= 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("6299", "bearing 6299: not in the library"),
        (7, "bearing: expected a name"),
        ({"balls": 9, "ball_mm": 39.04, "pitch_mm": 7.94}, "bearing: 9 balls of 39.04 mm do not fit"),
        ({"balls": 30, "ball_mm": 7.94, "pitch_mm": 39.04}, "bearing: 30 balls of 7.94 mm do not fit"),
        ({"balls": 9, "ball_mm": 7.94}, "bearing: expected four numbers"),
        ({"balls": 9, "ball_mm": 7.94, "pitch_mm": 39.04, "angle": 3}, "bearing.angle: unknown key"),
        ({"balls": 9.5, "ball_mm": 7.94, "pitch_mm": 39.04}, "bearing.balls: expected 3 to 60"),
        ({"ratios": [5.4152, 3.5848, 2.3567, 0.39828]}, "bearing: BPFO 5.4152 and BPFI 3.5848"),
        ({"ratios": [3.5848, 5.1152, 2.3567, 0.39828]}, "bearing: BPFO 3.5848 and BPFI 5.1152"),
        ({"ratios": [3.5848, 5.4152, 4.7134, 0.39828]}, "bearing: BSF 4.7134: expected 2.357"),
        ({"ratios": [3.5848, 5.4152, 2.3567, 0.4983]}, "bearing: FTF 0.4983: expected BPFO / balls, 0.3983"),
        ({"ratios": [3.5848, 5.4152, 2.3567]}, "bearing.ratios: expected BPFO, BPFI, BSF and FTF"),
        ({"ratios": [3.5848, 5.4152, 2.3567, "0.4"]}, "bearing: expected four numbers"),
    ],
)
def test_a_mistake_in_a_bearing_is_told(micropython: Run, given: Any, said: str) -> None:
    (answer,) = micropython(RATIOS, argument=[given])
    assert isinstance(answer, str)
    assert answer.startswith(said)


def test_zones(micropython: Run) -> None:
    got = micropython(program(__file__, "zones"))
    assert got[:6] == [0, 0, 1, 1, 2, 3]
    assert got[6:10] == [3, 2, 3, 3]
    assert got[10] == "machine: expected group 1 or 2, rigid or flexible, found 3 rigid"


# A machine made of numbers: `measured` gives what measurement and lines would say.


def test_learning_then_watching(micropython: Run) -> None:
    got = micropython(program(__file__, "learning"))
    states, median, (warning, alarm), running = got
    # one odd measurement among the three that teach does not move the median
    assert median == pytest.approx(0.30)
    assert (warning, alarm) == (pytest.approx(0.48), pytest.approx(0.75))
    assert [state for state, _, _ in states] == [1, 1, 1, 2, 2, 2, 2, 2]
    assert [level for _, level, _ in states] == [0, 0, 0, 0, 0, 2, 2, 0]
    assert states[5][2] == ["rms"]
    assert running == 8 * 60


def test_a_scattering_feature_gets_room(micropython: Run) -> None:
    got = micropython(program(__file__, "scatter"))
    deviation = 1.4826 * 0.5
    assert got[0] == pytest.approx([1.5 + 6 * deviation, 1.5 + 10 * deviation])
    assert got[1] == pytest.approx([0.004, 0.008])
    assert got[2] is None


def test_a_machine_that_stands_still_is_not_judged(micropython: Run) -> None:
    got = micropython(program(__file__, "standing"))
    assert got[0] == got[-1] == 300
    assert got[1:-1] == [[0, 0, [], None, ""]] * 4


def test_a_machine_that_stands_still_has_no_zone(micropython: Run) -> None:
    """A slow shake of the floor: 0.015 g at 3 Hz are 8 mm/s."""
    got = micropython(program(__file__, "standing_zone"))
    assert got == [None, 3, None]


def test_a_machine_in_zone_c_teaches_nothing_and_one_that_knocks_does(micropython: Run) -> None:
    got = micropython(program(__file__, "teaching"))
    assert got == [[3, 0], [0, 1], [0, 2], [3, 1], [3, 0]]


@pytest.mark.parametrize(("line", "fault"), [("bpfo", 0), ("bpfi", 1), ("bsf2", 2), ("ftf", 3)])
def test_a_clear_fault_is_named_when_it_lasts(micropython: Run, line: str, fault: int) -> None:
    got = micropython(
        program(__file__, "clear_fault"),
        argument=line,
    )
    assert got[0] == [2, 0, [], None, ""]
    assert got[1] == got[2] == [2, 2, sorted(["rms", "envelope", line]), fault, ""]
    assert got[3] == pytest.approx(40)


def test_a_machine_that_stands_has_no_speed_but_a_tachometer_s(micropython: Run) -> None:
    """The mains hum at 50 Hz, and the machine beside turns."""
    got = micropython(program(__file__, "standing_speed"))
    assert got == [[1, 50, 0.9], [0, None, 0], [0, None, 0], [0, 50, 1]]


@pytest.mark.parametrize(
    ("measured", "strength", "trusted", "said"),
    [
        ({}, {"bpfo": 12.0}, True, "bpfo is weak, 19 of 24 dB"),
        ({}, {"bpfo": 12.0, "pair": 9.0}, True, "bpfo is weak, 19 of 24 dB"),
        ({}, {"bsf2": 12.0}, True, "bsf2 is weak, 19 of 24 dB"),
        ({}, {"bsf2": 7.0, "pair": 9.0}, True, "bsf2 is weak, 10 of 12 dB"),
        ({}, {"bpfo": 40.0, "signs": 1}, True, "bpfo has no second sign"),
        ({}, {"bpfo": 40.0, "bpfi": 25.0}, True, "bpfo and bpfi are alike"),
        ({"shaft_confidence": 0.3}, {"bpfo": 40.0}, True, "the speed is not certain"),
        ({"stretch": 16}, {"bpfo": 40.0}, True, "too short to tell lines apart"),
        ({}, {"bpfo": 40.0}, False, "the samples are clipped or incomplete"),
        ({}, {"changed": True}, True, "the speed changed while it was measured"),
        ({}, {}, True, "no line of the bearing is there"),
        ({}, None, True, "no bearing or no speed"),
    ],
)
def test_what_is_not_clear_is_not_named(
    micropython: Run, measured: Any, strength: Any, trusted: bool, said: str
) -> None:
    got = micropython(
        program(__file__, "unclear_fault"),
        argument=[measured, strength, trusted],
    )
    state, level, causes, fault, abstained = got
    assert (state, level, fault, abstained) == (2, 2, None, said)
    assert {"rms", "envelope"} <= set(causes)


def test_a_fault_of_the_rotor_is_named_where_it_is_what_rose(micropython: Run) -> None:
    alone, small, steady, beside = micropython(
        program(__file__, "other_fault"),
        argument=[[2.0, 0.7, 1.0], [2.0, 0.2, 1.0], [1.2, 0.9, 1.0], [2.0, 0.7, 40.0]],
    )
    assert alone == [2, 1, ["velocity"], 4, ""]
    # a fifth of the power of 2 mm/s is less than the 1 mm/s that always were
    assert small[:4] == [2, 1, ["velocity"], None]
    assert steady == [2, 0, [], None, ""]
    # a race that is clear comes first
    assert beside[3] == 1


def test_a_line_that_was_always_there_is_not_named(micropython: Run) -> None:
    got = micropython(program(__file__, "old_line"))
    assert got == [2, 2, ["rms"], None, "bpfi was there before"]


def test_a_line_of_which_nothing_was_learned_is_not_named(micropython: Run) -> None:
    got = micropython(program(__file__, "unlearned_line"))
    assert got == [2, 2, ["rms"], None, "nothing was learned of bpfi"]


def test_shape_warns_and_zones_alarm_without_a_baseline(micropython: Run) -> None:
    got = micropython(program(__file__, "no_baseline"))
    assert [answer[1] for answer in got] == [0, 1, 1, 2, 2, 0, 0]
    assert got[1][2] == ["kurtosis"]
    assert "zone" in got[3][2]
    assert all(answer[0] == 1 and answer[3] is None for answer in got)


def test_an_octave_that_rises_alone_alarms(micropython: Run) -> None:
    """A lower octave says nothing, nor does one that scattered, nor one of which nothing was learned."""
    upper, lower, scattering, old, short = micropython(program(__file__, "octave"))
    assert upper == [[1, ["octave"]], [2, ["octave"]], pytest.approx(2.6)]
    assert lower[:2] == scattering[:2] == [[0, []], [0, []]]
    assert scattering[2] == lower[2] == pytest.approx(1.0)
    assert old == [[0, []], [0, []], 0]
    assert short == [[0, []], [0, []], None]


def test_shocks_alarm_where_a_level_has_risen_too(micropython: Run) -> None:
    """Not where the level is as it was, where the machine knocked when it was learned, or once."""
    both, level, shocks, knocker, once, short = micropython(program(__file__, "impacts"))
    assert both == [2, ["impacts", "kurtosis", "rms"]]
    assert level == [1, ["rms"]]
    assert shocks == [1, ["kurtosis"]]
    assert knocker == [1, ["kurtosis", "rms"]]
    assert once == [0, []]
    assert short == knocker


def test_what_can_not_be_trusted_teaches_nothing(micropython: Run) -> None:
    got = micropython(program(__file__, "untrusted"))
    assert got == [False, 1]


def test_a_baseline_survives_a_restart_at_any_point(micropython: Run) -> None:
    got = micropython(program(__file__, "restart"))
    answers, refused, learned = got
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] is True
    assert answers[0][1][0] == pytest.approx(0.315)
    assert (refused, learned) == (6, False)
