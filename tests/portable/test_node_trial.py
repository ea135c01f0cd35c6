"""A bad configuration never bricks a node; enrolment and trial survive a cut at every flash operation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.trial import Trial
from tests.programs import program

OLD, NEW = b'{"node":"old"}', b'{"node":"new"}'
HERE = Path(__file__).parent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_bytes(OLD)
    return tmp_path


def start(root: Path) -> tuple[Trial, bytes]:
    """A start of the node: what it runs with."""
    trial = Trial(str(root))
    return trial, Path(trial.begin()).read_bytes()


def test_a_configuration_that_brings_the_node_online_is_kept(root: Path) -> None:
    trial, config = start(root)
    assert (config, trial.running) == (OLD, False)
    trial.accept()  # online with what is in force changes nothing
    trial.propose(NEW)
    trial, config = start(root)
    assert (config, trial.running) == (NEW, True)
    trial.accept()
    for _ in range(2):
        trial, config = start(root)
        assert (config, trial.running, trial.rejected) == (NEW, False, False)
    trial.back()
    trial, config = start(root)
    assert config == OLD
    trial.accept()
    assert start(root)[1] == OLD


def test_one_that_does_not_is_rejected_at_the_next_start_and_told(root: Path) -> None:
    start(root)[0].propose(NEW)
    assert start(root)[1] == NEW
    trial, config = start(root)
    assert (config, trial.running, trial.rejected) == (OLD, False, True)
    assert start(root)[0].rejected  # nobody was told yet
    trial.told()
    assert not start(root)[0].rejected
    assert sorted(p.name for p in root.iterdir()) == ["config.json"]


def test_a_second_proposal_replaces_the_first_also_while_that_is_on_trial(root: Path) -> None:
    start(root)[0].propose(NEW)
    trial, _ = start(root)
    trial.propose(b'{"node":"third"}')
    trial.accept()  # what came online was not the third
    trial, config = start(root)
    assert (config, trial.running) == (b'{"node":"third"}', True)


def test_there_is_nothing_to_roll_back_to_at_first(root: Path) -> None:
    with pytest.raises(ValueError, match="nothing to roll back to"):
        Trial(str(root)).back()


def test_a_trial_has_a_limit(micropython: Callable[..., Any]) -> None:
    assert micropython(
        program(__file__, "limit"),
        virtual_time=True,
    ) == [300]


def test_enrolment_with_a_cut_at_every_operation(micropython: Callable[..., Any]) -> None:
    """From blank the node is blank or enrolled; enrolled anew it has the old key, none, or the new; and a second try
    succeeds from wherever the first left it."""
    tried = micropython(
        program(__file__, "enrolment_cut"),
        argument=str(HERE),
    )
    assert tried[0] > 20
    # a commit is the last operation, so no cut of the first enrolment leaves the node enrolled
    assert set(tried[1]) >= {"blank", "1", "None"}


def test_a_wrong_code_with_a_cut_at_every_operation(micropython: Callable[..., Any]) -> None:
    """The count is on flash before a proof is looked at, never lower than it was, and from the fifth each start waits:
    who cuts the power after each answer, or before it, gains no try."""
    cuts, waits = micropython(
        program(__file__, "tries_cut"),
        argument=str(HERE),
    )
    assert cuts > 40
    assert waits == [[0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [5, 30], [6, 60], [7, 120]]


def test_trial_with_a_cut_at_every_operation(micropython: Callable[..., Any]) -> None:
    """Whatever step of proposing, starting, keeping and rejecting is cut: the node starts with the old or the new
    configuration, whole, and one that failed never comes back."""
    tried = micropython(
        program(__file__, "trial_cut"),
        argument=str(HERE),
    )
    assert tried >= 30


def test_what_is_retired_is_gone_from_the_flash_itself(micropython: Callable[..., Any]) -> None:
    result = micropython(
        program(__file__, "erased"),
        argument=str(HERE),
    )
    assert result[0] == [True, True, True]
    assert result[1] == [0, 0, 0]
    assert result[2] == ["boot.0", "journal", "session.code", "7K2MXQ4TB0WNZ9RH", "41"]
    assert result[3]
