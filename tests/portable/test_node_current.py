"""What a node says of a clamp's current, on the real MicroPython in virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.programs import program


def test_what_is_cut_off_or_lost_has_an_rms_alone_and_is_marked(micropython: Callable[..., Any]) -> None:
    said, turns, running, held = micropython(program(__file__, "readings"), virtual_time=True)
    good, clipped, again, lossy, silent = said
    rms_a = 10000 / 2**0.5 * 1e-3
    for values, marks, changes, *_ in (good, again):
        assert values["current_a"] == pytest.approx(rms_a, rel=1e-4)
        assert values["line_hz"] == pytest.approx(50, abs=0.02)
        assert values["sidebands"][:2] == [None, None]
        assert (marks, changes) == ([], [])
    for (values, marks, *_), mark in ((clipped, "current_clipped"), (lossy, "dropped")):
        assert values["current_a"] > 0.9 * rms_a
        assert (values["line_hz"], values["sidebands"], marks) == (None, None, [mark])
    assert silent[:3] == [{}, ["current_failed"], ["203"]]
    assert [starts for *_, starts, _ in said] == [1, 2, 4, 6, 7]  # what lost samples was taken once more
    assert all(starts == stops for *_, starts, stops in said)
    assert turns > 6 * 35  # others ran while it took its 4 s
    assert (running, held) == (0, False)  # one that was cut off has stopped the stream
