"""The journal over littlefs: what is on flash after a restart, what a spoiled segment costs, what a full flash keeps.

On the real MicroPython and its VfsLfs2, on flash in memory. A restart takes the part's contents to a new mount.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.bench import power_cuts
from tests.programs import program

GUEST = Path(power_cuts.__file__).with_name("guest")

Node = Callable[..., Any]


@pytest.fixture
def node(micropython: Callable[..., Any]) -> Node:
    def run(code: str, *arguments: Any, blocks: int = 48) -> Any:
        return micropython(code, argument=[str(GUEST), blocks, *arguments], heap="8m")

    return run


def test_everything_that_waits_survives_a_restart_in_order(node: Node) -> None:
    sent, count, oldest = node(program(__file__, "survives"))
    assert sent == [["e", 1, 0], ["e", 2, 0], *(["t", 1, n] for n in range(1, 31)), ["t", 2, 1]]
    assert count == 33
    assert oldest == 1


def test_what_was_acknowledged_never_comes_back(node: Node) -> None:
    first, second, third, left = node(program(__file__, "acknowledged"))
    assert first == ["t", 1, 76]
    assert second == [["t", 1, n] for n in range(77, 177)]
    assert third == [["t", 1, n] for n in range(177, 200)]
    assert left == 0


def test_an_alarm_is_on_flash_before_it_can_be_sent(node: Node) -> None:
    sent = node(program(__file__, "alarm_first"))
    assert sent == [["e", 1, 1]]  # the telemetry was in RAM


def test_telemetry_is_in_ram_while_the_link_is_up_and_costs_no_flash(node: Node) -> None:
    operations, spilled, later, always = node(program(__file__, "telemetry_in_ram"))
    assert operations == 0
    assert spilled == 4
    assert 20 + 4 <= later < 40 + 4  # all but the last few
    assert always == later + 1


def test_a_restart_says_from_where_telemetry_may_have_been_lost(node: Node) -> None:
    first, up, idle, down, silent = node(program(__file__, "lost_from"))
    assert first == []
    assert up == [1, 2]
    assert idle[0] == 2
    assert 1001 - 64 <= idle[1] <= 1001  # never more than 64 records are in doubt that had arrived
    assert down == [3, 4]  # all of it is on flash
    assert silent == [3, 4, 4, 0]


def test_when_full_the_oldest_telemetry_goes_and_the_gap_is_exact(node: Node) -> None:
    sent, told, held = node(program(__file__, "full"))
    events = [seq for message_class, boot, seq in sent if message_class == "e" and boot == 1]
    telemetry = {seq for message_class, boot, seq in sent if message_class == "t"}
    assert len(events) == 7  # every alarm is there
    assert [name for name, *_ in told] == ["records_dropped"]
    runs = told[0][3]
    given_up = {n for i in range(0, len(runs), 3) for n in range(runs[i + 1], runs[i + 2] + 1)}
    assert set(runs[::3]) == {1}
    assert given_up | telemetry | set(events) == set(range(607))
    assert not given_up & (telemetry | set(events))
    assert max(given_up) < min(telemetry)  # the oldest went
    assert held < 32768 / 110


def test_alarms_alone_are_bounded_too_and_the_newest_stay(node: Node) -> None:
    sent, told = node(program(__file__, "alarms_alone"))
    boots_sent = {seq for _, _, seq in sent}
    given_up = {n for event in told for i in range(0, len(event[3]), 3) for n in range(event[3][1], event[3][2] + 1)}
    assert given_up | boots_sent >= set(range(500))
    assert 499 in boots_sent
    assert len(sent) * 115 < 32768 + 8192


def test_a_full_flash_costs_telemetry_and_no_alarm(node: Node) -> None:
    sent, told, failed = node(
        program(__file__, "full_flash"),
        blocks=40,
    )
    seen = {seq for _, _, seq in sent}
    runs = [event[3][i : i + 3] for event in told for i in range(0, len(event[3]), 3)]
    given_up = {n for _, first, last in runs for n in range(first, last + 1)}
    assert failed > 0
    assert seen | given_up >= set(range(500))
    assert {n for n in range(500) if n % 50 == 0} <= seen


def test_a_flash_that_takes_nothing_leaves_a_bounded_ram(node: Node) -> None:
    waiting, sent, told = node(program(__file__, "dead_flash"))
    assert waiting == 32
    alarms = [seq for message_class, _, seq in sent if message_class == "e"]
    assert alarms[:10] == list(range(0, 200, 20))
    runs = [event[3][i : i + 3] for event in told for i in range(0, len(event[3]), 3)]
    given_up = {n for _, first, last in runs for n in range(first, last + 1)}
    assert given_up | {seq for _, _, seq in sent} >= set(range(200))


CORRUPTIONS = (
    "a bit flips",
    "a length lies",
    "a stretch is erased",
    "the tail is gone",
    "it is cut off between two entries",
    "it is empty",
    "it is garbage",
)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("segment", [0, 1])
def test_a_spoiled_segment_costs_what_was_in_it_and_is_told(node: Node, corruption: str, segment: int) -> None:
    sent, told, left = node(program(__file__, "corrupt_segment"), corruption, segment)
    telemetry = [seq for message_class, boot, seq in sent if message_class == "t" and boot == 1]
    runs = [event[3][i : i + 3] for event in told if event[3] for i in range(0, len(event[3]), 3)]
    gone = {n for boot, first, last in runs if boot == 1 for n in range(first, min(last, 119) + 1)}
    assert telemetry == sorted(set(telemetry))
    assert gone | set(telemetry) == set(range(120))
    assert len(telemetry) >= 40  # the other segment is whole
    assert [event[:2] for event in told if event[0] == "flash_failed"] == [["flash_failed", "telemetry"]]
    assert left == 0


@pytest.mark.parametrize("change", ["its head", "its tail", "its end is gone", "it is empty"])
def test_a_spoiled_state_loses_at_most_what_it_staged(node: Node, change: str) -> None:
    sent, told = node(program(__file__, "corrupt_state"), change)
    telemetry = {seq for message_class, boot, seq in sent if message_class == "t"}
    assert telemetry >= set(range(18))
    if change != "it is empty":  # an empty one is as if there were none
        assert any(event[0] == "flash_failed" for event in told)


def test_strange_files_in_the_folder_do_no_harm(node: Node) -> None:
    sent = node(program(__file__, "strange_files"))
    assert [s for s in sent if s[0] == "t"] == [*(["t", 1, n] for n in range(20)), ["t", 2, 0]]


def test_a_payload_over_the_bound_is_refused_and_one_at_it_is_kept(node: Node) -> None:
    refused, sent = node(program(__file__, "payload_bound"))
    assert refused == "a payload of 641 bytes: at most 640"
    assert sent == [["t", 1, 0]]


def test_boots_are_counted_over_spoiled_files_and_never_twice(node: Node) -> None:
    plain, leapt, lost = node(program(__file__, "boots"))
    assert plain == [1, 2, 3, 4]
    assert 4 < leapt[0] < leapt[1] < leapt[2] < leapt[3]
    assert lost == 0
