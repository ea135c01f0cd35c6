"""A node believes nothing that no gateway of its own has said, and loses no record by it.

`tools/link_forgeries.py` says a hundred thousand, and prints how many of each kind were tried.
"""

from quaver.bench.link_forgeries import say


def test_none_is_taken_all_are_told_and_no_record_is_lost() -> None:
    found = say(520, seed=7)
    assert (found.taken, found.lost, found.wrong) == ({}, 0, ())
    assert sum(found.tried.values()) == 520 and len(found.tried) == 26 and set(found.tried.values()) == {20}
    assert found.refused == {"wrong_link_key": 500, "revoked_gateway": 20}


def test_the_trial_sees_a_node_that_looks_at_no_tag() -> None:
    found = say(26, seed=7, checks=False)
    assert {what for what, _ in found.taken} == {"acknowledgement", "command", "time"} and found.lost
