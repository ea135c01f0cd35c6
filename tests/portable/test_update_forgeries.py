"""A node takes no release that is not genuine, or not for it, and tells of each.

`tools/update_forgeries.py` offers it a hundred thousand, and prints how many of each class were tried.
"""

import pytest

from quaver.bench.update_forgeries import offer

REASONS = (
    *("expired", "malformed", "no_time", "old", "wrong_board", "wrong_content", "wrong_key", "wrong_micropython"),
    *("wrong_signature", "wrong_version"),
)


@pytest.mark.long
def test_none_is_taken_and_all_are_told() -> None:
    found = offer(480, seed=7)
    assert (found.taken, found.wrong) == ({}, ())
    assert sum(found.tried.values()) == 480 and min(found.tried.values()) == 20
    assert sum(found.events.values()) >= 480
    assert set(found.events) == {f"release_{reason}" for reason in REASONS}


def test_the_trial_sees_a_node_that_takes_some() -> None:
    """One whose clock is years behind takes what has expired."""
    found = offer(48, seed=7, unix_s=1)
    assert found.taken == {"expired": 2}
