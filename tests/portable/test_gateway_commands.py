"""A gateway's commands: each leaves when it has arrived; of too many the oldest goes, whatever a connection does."""

from pathlib import Path

from gateway.commands import Commands

NODE = bytes(range(8))


def test_each_leaves_when_it_has_arrived_and_what_comes_meanwhile_is_taken_along(tmp_path: Path) -> None:
    commands = Commands(str(tmp_path / "commands"))
    for word in (b"a", b"b", b"c", b"d"):
        commands.put(NODE, word)
    waiting = commands.of(NODE)
    taken = [waiting[0]]
    waiting.pop(0)
    commands.put(NODE, b"e")  # into the room that a left
    assert [commands.read(NODE, number) for number in commands.numbers(NODE)] == [b"b", b"c", b"d", b"e"]
    while waiting:
        taken.append(waiting[0])
        waiting.pop(0)
    assert taken == [b"a", b"b", b"c", b"d", b"e"]
    assert (len(commands), commands.waits(NODE), commands.dropped) == (0, False, 0)
    assert list((tmp_path / "commands").iterdir()) == []


def test_the_oldest_that_goes_while_it_is_on_its_way_takes_no_other_along(tmp_path: Path) -> None:
    commands = Commands(str(tmp_path / "commands"))
    for word in (b"a", b"b", b"c", b"d"):
        commands.put(NODE, word)
    waiting = commands.of(NODE)
    assert waiting[0] == b"a"
    commands.put(NODE, b"e")
    waiting.pop(0)  # a has arrived, and was given up meanwhile
    assert (waiting[0], len(waiting), commands.dropped) == (b"b", 4, 1)
    again = Commands(str(tmp_path / "commands"))  # after a power cut
    assert [again.read(NODE, number) for number in again.numbers(NODE)] == [b"b", b"c", b"d", b"e"]
