"""The clock: who goes on when, and in what order."""

import threading
import time

from quaver.emulator.clock import FOREVER, Clock

SECOND = 1_000_000_000


def test_alone_a_wait_is_a_leap():
    clock = Clock()
    board = clock.join("a")
    assert clock.wait_until(board, 86_400 * SECOND) == 86_400 * SECOND
    assert clock.now == 86_400 * SECOND


def test_time_never_runs_backwards():
    clock = Clock()
    board = clock.join("a")
    clock.wait_until(board, 5 * SECOND)
    assert clock.wait_until(board, 3 * SECOND) == 5 * SECOND


def test_many_boards_act_in_the_order_of_time():
    clock = Clock()
    seen: list[tuple[int, str]] = []
    boards = [(clock.join(name), name, step) for name, step in (("a", 7), ("b", 11), ("c", 13))]

    def live(member, name, step):
        for turn in range(1, 200):
            seen.append((clock.wait_until(member, turn * step), name))
        clock.leave(member)

    threads = [threading.Thread(target=live, args=board) for board in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    expected = sorted((turn * step, name) for _, name, step in boards for turn in range(1, 200))
    assert seen == expected


def test_a_board_that_computes_holds_the_others_back():
    clock = Clock()
    busy = clock.join("busy")
    waiting = clock.join("waiting")
    clock.begin(waiting, SECOND)
    assert clock.due(waiting) > 0
    clock.begin(busy, 2 * SECOND)
    assert clock.due(waiting) == 0
    assert clock.due(busy) > 0  # now the other one is at 1 s and runs


def test_a_board_at_its_prompt_holds_nobody_and_comes_back_at_the_present():
    clock = Clock()
    at_prompt = clock.join("prompt", parked=lambda: True)
    board = clock.join("board")
    assert clock.wait_until(board, 9 * SECOND) == 9 * SECOND
    clock.begin(at_prompt, 0)
    assert at_prompt.now == 9 * SECOND


def test_a_board_that_leaves_holds_nobody():
    clock = Clock()
    gone = clock.join("gone")
    board = clock.join("board")
    clock.begin(board, SECOND)
    assert clock.due(board) > 0
    clock.leave(gone)
    assert clock.due(board) == 0


def test_a_wait_for_ever_ends_only_by_a_cancel():
    clock = Clock()
    board = clock.join("a")
    other = clock.join("b")
    clock.begin(board, FOREVER)
    clock.wait_until(other, 4 * SECOND)
    assert clock.due(board) > 0
    assert clock.cancel(board) == 4 * SECOND


def test_real_time_keeps_the_pace_of_the_wall():
    clock = Clock(real_time=True)
    board = clock.join("a")
    began = time.monotonic()
    clock.wait_until(board, clock.now + SECOND // 10)
    assert time.monotonic() - began >= 0.1


def test_slack_lets_two_slow_boards_run_at_the_same_time_and_no_further_apart() -> None:
    clock = Clock()
    one, two = clock.join("one", slack=5), clock.join("two", slack=5)
    clock.begin(one, 0)
    clock.begin(two, 0)
    assert clock.due(one) == 0 == clock.due(two)  # without slack, two would wait for one
    clock.begin(two, 4)
    assert clock.due(two) == 0
    clock.begin(two, 6)
    assert clock.due(two) > 0  # one has not moved
    clock.begin(one, 5)
    assert clock.due(one) == 0
    assert clock.due(two) == 0
