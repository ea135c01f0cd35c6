"""The outbox: events first, each entry until it is acknowledged, RAM bounded; over a folder of this machine."""

from pathlib import Path

import pytest

from node.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    outbox = Outbox(1, str(tmp_path / "journal"))
    outbox.link(True)
    return outbox


def drain(outbox: Outbox) -> list[tuple[str, int]]:
    sent = []
    while entry := outbox.first():
        sent.append((entry.message_class, entry.seq))
        outbox.done(entry)
    return sent


def test_events_go_before_telemetry_and_each_in_order(outbox: Outbox) -> None:
    for seq, message_class in enumerate(("telemetry", "event", "telemetry", "answer", "event")):
        outbox.put(message_class, seq, b"sealed")
    assert len(outbox) == 5
    assert drain(outbox) == [("event", 1), ("answer", 3), ("event", 4), ("telemetry", 0), ("telemetry", 2)]
    assert len(outbox) == 0


def test_what_was_not_acknowledged_is_sent_again_with_the_same_bytes(outbox: Outbox) -> None:
    outbox.put("event", 0, b"sealed")
    first = outbox.first()
    assert first is not None
    assert (first.message_class, first.payload) == ("event", b"sealed")
    assert outbox.first() == first


def test_an_entry_is_done_even_when_it_moved_to_flash_while_it_was_sent(outbox: Outbox) -> None:
    outbox.put("telemetry", 0, b"t0")
    sending = outbox.first()
    for seq in range(1, 40):
        outbox.put("telemetry", seq, b"t")
    assert sending is not None
    outbox.done(sending)
    assert drain(outbox) == [("telemetry", seq) for seq in range(1, 40)]


def test_an_entry_that_an_alarm_overtook_is_done_and_the_alarm_stays(outbox: Outbox) -> None:
    outbox.put("telemetry", 0, b"t0")
    sending = outbox.first()
    outbox.put("event", 1, b"alarm")
    assert sending is not None
    outbox.done(sending)
    outbox.done(sending)
    assert drain(outbox) == [("event", 1)]


def test_whoever_waits_is_woken_by_the_next_entry(outbox: Outbox) -> None:
    outbox.filled.clear()
    assert outbox.first() is None
    outbox.put("telemetry", 0, b"t0")
    assert outbox.filled.is_set()
