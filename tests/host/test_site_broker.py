"""The broker in virtual time, by the packets of MQTT 3.1.1; section numbers are those of the standard."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from quaver.emulator.site_broker import Message, SiteBroker, matches


class Line(asyncio.Transport):
    """One client's connection; time stands still but for `pass_time`."""

    def __init__(self, broker: SiteBroker) -> None:
        super().__init__()
        self.got = b""
        self.closed = False
        self.protocol = broker.connection()
        self.protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.got += bytes(data)

    def close(self) -> None:
        self.closed = True

    def send(self, *packets: bytes) -> bytes:
        """What the broker answers to these packets."""
        before = len(self.got)
        for packet in packets:
            self.protocol.data_received(packet)
        return self.got[before:]


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def packet(head: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([head, len(body)]) + body


def connect(client: str, clean: bool = True, keep_alive: int = 60, will: tuple[str, bytes] | None = None) -> bytes:
    flags = clean << 1 | (0x2C if will else 0)
    last = text(will[0]) + len(will[1]).to_bytes(2, "big") + will[1] if will else b""
    return packet(0x10, text("MQTT") + bytes([4, flags]) + keep_alive.to_bytes(2, "big") + text(client) + last)


def publish(topic: str, payload: bytes, qos: int = 1, number: int = 1, retain: bool = False) -> bytes:
    return packet(0x30 | qos << 1 | retain, text(topic) + (number.to_bytes(2, "big") if qos else b"") + payload)


def subscribe(topic_filter: str) -> bytes:
    return packet(0x82, b"\0\x07" + text(topic_filter) + b"\x01")


def within(test: object) -> None:
    """Run an async test body in a loop: timers need one."""
    asyncio.run(test)  # type: ignore[arg-type]


def test_a_message_reaches_who_listens_and_the_receivers() -> None:
    async def body() -> None:
        broker = SiteBroker()
        heard: list[Message] = []
        broker.receive("a/#", heard.append)
        one, two = Line(broker), Line(broker)
        assert one.send(connect("one")) == b"\x20\x02\0\0"
        two.send(connect("two"))
        assert two.send(subscribe("a/+")) == b"\x90\x03\0\x07\x01"
        assert one.send(publish("a/b", b"hello", number=5)) == b"\x40\x02\0\x05"
        assert two.got.endswith(packet(0x32, text("a/b") + b"\0\x01hello"))
        assert heard == [Message("a/b", b"hello", 1)]
        assert two.send(packet(0xC0, b"")) == b"\xd0\x00"

    within(body())


def test_a_kept_session_gets_what_came_meanwhile_and_what_it_did_not_acknowledge() -> None:
    async def body() -> None:
        broker = SiteBroker()
        line = Line(broker)
        line.send(connect("node", clean=False), subscribe("cmd"))
        broker.publish(Message("cmd", b"1", 1))
        line.protocol.connection_lost(None)
        broker.publish(Message("cmd", b"2", 1))
        again = Line(broker)
        answer = again.send(connect("node", clean=False))
        assert answer.startswith(b"\x20\x02\x01\0")  # 3.2.2.2: the session was there
        assert packet(0x3A, text("cmd") + b"\0\x011") in answer  # 3.3.1.1: marked as sent before
        assert packet(0x32, text("cmd") + b"\0\x022") in answer
        assert again.send(b"\x40\x02\0\x01", b"\x40\x02\0\x02") == b""
        again.protocol.connection_lost(None)
        assert Line(broker).send(connect("node", clean=False)) == b"\x20\x02\x01\0"

    within(body())


def test_retained_messages_and_wills() -> None:
    async def body() -> None:
        broker = SiteBroker()
        line = Line(broker)
        line.send(connect("node", will=("s", b"off")), publish("s", b"on", retain=True))
        assert [m.payload for m in broker.retained("s")] == [b"on"]
        other = Line(broker)
        other.send(connect("page"))
        assert other.send(subscribe("s")).endswith(packet(0x33, text("s") + b"\0\x01on"))
        line.protocol.connection_lost(None)
        assert [m.payload for m in broker.retained("s")] == [b"off"]
        other.send(publish("s", b"", retain=True))
        assert broker.retained("#") == []

    within(body())


def test_a_client_that_says_goodbye_leaves_no_will_and_a_second_takes_the_place_of_the_first() -> None:
    async def body() -> None:
        broker = SiteBroker()
        heard: list[Message] = []
        broker.receive("#", heard.append)
        polite = Line(broker)
        polite.send(connect("polite", will=("s", b"off")), packet(0xE0, b""))
        assert (polite.closed, heard) == (True, [])
        first, second = Line(broker), Line(broker)
        first.send(connect("same", will=("s", b"off")))
        second.send(connect("same"))
        assert first.closed
        assert [m.payload for m in heard] == [b"off"]  # 3.1.2.5

    within(body())


def test_silence_ends_a_connection_after_one_and_a_half_keep_alive_times() -> None:
    async def body() -> None:
        line = Line(SiteBroker())
        line.send(connect("node", keep_alive=0))
        assert line.protocol._timer is None  # type: ignore[attr-defined]
        line = Line(SiteBroker())
        line.send(connect("node", keep_alive=40))
        due = line.protocol._timer.when() - asyncio.get_running_loop().time()  # type: ignore[attr-defined]
        assert 59 < due <= 60
        line.protocol.cut()  # type: ignore[attr-defined]
        assert line.closed

    within(body())


def test_a_restart_cuts_everybody_off_and_keeps_what_a_broker_with_persistence_keeps() -> None:
    async def body() -> None:
        broker = SiteBroker()
        line = Line(broker)
        line.send(connect("node", clean=False), subscribe("cmd"), publish("s", b"on", retain=True))
        broker.restart()
        assert line.closed
        broker.publish(Message("cmd", b"x", 1))
        assert Line(broker).send(connect("node", clean=False)).startswith(b"\x20\x02\x01\0\x32")
        assert broker.retained("s")

    within(body())


@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
def test_whatever_comes_is_answered_or_cut_off(pieces: list[bytes], greeted: bool) -> None:
    async def body() -> None:
        broker = SiteBroker()
        line = Line(broker)
        line.send(*([connect("x")] if greeted else []), *pieces)
        other = Line(broker)
        other.send(connect("y"))
        assert other.send(packet(0xC0, b"")) == b"\xd0\x00"

    within(body())


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=4), st.data())
def test_a_topic_fits_itself_with_any_levels_left_open(levels: list[str], data: st.DataObject) -> None:
    topic = "/".join(levels)
    opened = [data.draw(st.sampled_from([level, "+"])) for level in levels]
    assert matches(topic, "/".join(opened))
    cut = data.draw(st.integers(0, len(levels)))
    assert matches(topic, "/".join([*opened[:cut], "#"]))
    assert not matches(topic, "/".join([*opened, "c"]))
    assert not matches(topic + "/c", "/".join(opened))
    assert not matches("$SYS/" + topic, "#")
