"""The outbox: bounded, events first, and an entry leaves only when it was acknowledged."""

from node.outbox import Outbox


def drain(outbox: Outbox) -> list[bytes]:
    sent = []
    while entry := outbox.first():
        sent.append(entry[1])
        outbox.done(entry)
    return sent


def test_events_go_before_telemetry_and_each_in_order() -> None:
    outbox = Outbox(8)
    for leaf, payload in (("telemetry", b"t1"), ("event", b"e1"), ("telemetry", b"t2"), ("event", b"e2")):
        outbox.put(leaf, payload)
    assert drain(outbox) == [b"e1", b"e2", b"t1", b"t2"]


def test_what_was_not_acknowledged_is_sent_again() -> None:
    outbox = Outbox(8)
    outbox.put("event", b"e1")
    assert outbox.first() is outbox.first()
    assert len(outbox) == 1


def test_when_full_the_oldest_telemetry_goes_and_events_stay() -> None:
    outbox = Outbox(4)
    outbox.put("event", b"e1")
    for n in range(5):
        outbox.put("telemetry", b"t%d" % n)
    outbox.put("event", b"e2")
    assert outbox.dropped == 3
    assert drain(outbox) == [b"e1", b"e2", b"t3", b"t4"]


def test_events_alone_are_bounded_too() -> None:
    outbox = Outbox(4)
    for n in range(6):
        outbox.put("event", b"e%d" % n)
    assert drain(outbox) == [b"e2", b"e3", b"e4", b"e5"]


def test_an_entry_that_was_dropped_while_it_was_sent_is_not_taken_twice() -> None:
    outbox = Outbox(4)
    for n in range(4):
        outbox.put("telemetry", b"t%d" % n)
    sending = outbox.first()
    outbox.put("telemetry", b"t4")
    assert sending is not None
    outbox.done(sending)
    assert drain(outbox) == [b"t1", b"t2", b"t3", b"t4"]
