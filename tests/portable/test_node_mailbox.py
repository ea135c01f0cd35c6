"""What a node is sent waits in the mailbox: what opens and obeys it is read when it comes, as far as memory goes."""

from collections.abc import Callable
from typing import Any

from tests.programs import program

RUN = program(__file__, "short_of_memory")


def test_a_command_that_memory_is_too_short_for_is_refused_by_name_and_the_next_one_obeyed(
    micropython: Callable[..., Any],
) -> None:
    obeyed, told, untold, state, dropped = micropython(RUN, argument=["import", "work", ""])
    assert obeyed == ["3"]
    assert told == [["message_refused", "memory", 1]] and untold == {"memory": 1}  # the second with the next event
    assert dropped == [True, True]  # nothing of it is left on the heap
    assert state == "kept"  # what a service had seen is not forgotten with it
