"""The supervisor, on the real MicroPython in virtual time: restarts, backoff, and a watchdog fed by progress."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.programs import program


def test_a_task_that_dies_comes_back_with_growing_patience(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "flaky")
    starts, deaths = micropython(code, virtual_time=True)
    assert starts == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert deaths == [
        ["flaky", 0, "ValueError(1,)"],
        ["flaky", 1, "ValueError(2,)"],
        ["flaky", 3, "RuntimeError('ended',)"],
    ]


def test_a_task_comes_back_also_when_there_is_no_memory_to_tell_of_its_death(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "hungry")
    assert micropython(code, virtual_time=True) == [0, 1, 3, 7]


def test_the_backoff_starts_over_after_a_healthy_run(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "healthy")
    starts = micropython(code, virtual_time=True)
    assert [b - a for a, b in pairwise(starts)] == [302, 302, 302]


def test_the_watchdog_starves_when_one_task_hangs_and_only_then(micropython: Callable[..., Any]) -> None:
    code = program(__file__, "watchdog")
    last, late = micropython(code, virtual_time=True)
    assert 109_000 <= last <= 110_000
    assert late == "hangs"


def test_the_mark_names_who_runs_and_once_a_task_is_late_that_one(micropython: Callable[..., Any]) -> None:
    seen = micropython(program(__file__, "marks"), virtual_time=True)
    at_temperature = ["measure", "held the processor: temperature"]
    assert seen == {
        "start": ["measure", "held the processor: waiting"],
        "place": at_temperature,
        "a helper": at_temperature,
        "a helper again": at_temperature,
        "after": at_temperature,
        "cancelled": at_temperature,
        "nobody": ["", "held the processor"],
        "before they run": ["", "held the processor"],
        "late": ["publish", "made no progress: publishing"],
        "late no more": ["publish", "held the processor: connecting"],
        "late again": ["publish", "made no progress: connecting"],
        "given back": True,
        "no mark": [None] * 4,
        "deaths": [],
    }
