"""The serial lines of a host's gateway: ports that come and go, noise, strangers, and what a person is told."""

import asyncio
import os
import tty
from pathlib import Path

import pytest

from quaver.errors import GatewayError
from quaver.gateway.collector import Collector
from quaver.gateway.line import Line, collect_line
from quaver.gateway.links import LinkKeys
from quaver.gateway.spool import Spool
from quaver_wire import gatt, wired

NODE = bytes(range(8))
BYE = bytes((wired.BYE,))


def frame(message: bytes) -> bytes:
    buffer = bytearray(wired.frame_size(len(message)))
    return bytes(buffer[: wired.put_frame(buffer, wired.NODE, message)])


@pytest.mark.parametrize(
    ("text", "where", "baudrate"),
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0", 115_200),
        ("/dev/ttyUSB0:9600", "/dev/ttyUSB0", 9600),
        ("socket://127.0.0.1:7000", "socket://127.0.0.1:7000", 115_200),
    ],
)
def test_a_line_is_a_port_and_its_baud_rate(text: str, where: str, baudrate: int) -> None:
    line = Line.of(text)
    assert (line.where, line.baudrate) == (where, baudrate)
    with pytest.raises(GatewayError, match=r"^/dev/ttyUSB0:fast: expected PORT or PORT:BAUDRATE"):
        Line.of("/dev/ttyUSB0:fast")


class Cable:
    """The far end of a pty, whose near end is at the path `port`."""

    def __init__(self, port: Path) -> None:
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self._frames = wired.Frames(wired.GATEWAY, wired.DOWNLINK_MAX)
        port.unlink(missing_ok=True)
        port.symlink_to(os.ttyname(self._near))

    def send(self, data: bytes) -> None:
        os.write(self._far, data)

    async def receive(self) -> bytes:
        """The gateway's next message."""
        while True:
            try:
                found = self._frames.feed(os.read(self._far, 4096))
            except BlockingIOError:
                found = []
            if found:
                [message] = found
                return message
            await asyncio.sleep(0.005)

    def pull(self) -> None:
        os.close(self._near)
        os.close(self._far)


def test_a_port_that_comes_and_goes_noise_and_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.gateway.line._AGAIN_S", 0.01)
    port = tmp_path / "port"
    lines: list[str] = []

    async def said(words: str) -> None:
        while not any(words in line for line in lines):
            await asyncio.sleep(0.005)

    async def story(collector: Collector) -> None:
        task = asyncio.create_task(collect_line(Line(str(port)), collector, lines.append))
        await said(f"{port}: can't be used (")
        cable = Cable(port)
        assert await cable.receive() == BYE  # for a connection of a gateway that ran before this one
        cable.send(b"\xa5\0" * 25)
        await said(f"{port}: hears noise and no node; check the baud rate, the wires and ground")
        cable.send(frame(wired.hail(gatt.SECRET | gatt.PENDING, b"stranger", 1)))
        assert await cable.receive() == BYE
        cable.send(frame(wired.hail(gatt.SECRET | gatt.PENDING, NODE, 1)))
        assert await cable.receive() == BYE  # there is no link key of it
        cable.send(frame(b"\x01\0\1 a record that nobody asked for"))
        assert await cable.receive() == BYE
        cable.pull()
        while sum("can't be used" in line for line in lines) != 2:
            await asyncio.sleep(0.005)
        cable = Cable(port)
        assert await cable.receive() == BYE
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with Spool(tmp_path / "spool") as spool:
        collector = Collector([NODE], LinkKeys("gw", []), spool, lambda: 0, lines.append)
        asyncio.run(asyncio.wait_for(story(collector), 60))
        assert set(collector.counts.refused) == {
            ("unknown_node", b"stranger".hex()),
            ("no_link_key", NODE.hex()),
        }
        assert len(spool) == 0 and collector.counts.connections == 0


def test_a_node_that_begins_anew_in_the_middle_is_answered_at_once(tmp_path: Path) -> None:
    port = tmp_path / "port"
    lines: list[str] = []
    hail = frame(wired.hail(gatt.PENDING, NODE, 1))
    record = bytes((gatt.RECORD_CLASSES.index("telemetry"), 0, 1)) + b"record"

    async def story(collector: Collector) -> None:
        cable = Cable(port)
        task = asyncio.create_task(collect_line(Line(str(port)), collector, lines.append))
        assert await cable.receive() == BYE
        cable.send(hail)
        assert (await cable.receive())[0] == gatt.TIME  # an old node, which needs no link key
        cable.send(frame(record))
        assert await cable.receive() == gatt.ack(1)
        cable.send(frame(record)[:9] + hail)  # its power was cut
        assert await cable.receive() == BYE  # it waits a second
        collector._held.clear()
        cable.send(hail)
        assert (await cable.receive())[0] == gatt.TIME
        cable.send(frame(bytes((gatt.END,))))
        assert await cable.receive() == BYE
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with Spool(tmp_path / "spool") as spool:
        collector = Collector([NODE], LinkKeys("gw", []), spool, lambda: 5, lines.append, old_links=True)
        asyncio.run(asyncio.wait_for(story(collector), 60))
        assert [one.message for one in spool.first(9, [NODE])] == [b"record"]
        assert (collector.counts.connections, collector.counts.failed) == (2, 1)


def test_a_hail_that_crosses_the_answer_to_one_ends_nothing_and_a_second_one_does(tmp_path: Path) -> None:
    """A gateway that takes longer than the second after which a node hails again."""
    port = tmp_path / "port"
    hail = frame(wired.hail(gatt.PENDING, NODE, 1))
    record = bytes((gatt.RECORD_CLASSES.index("telemetry"), 0, 1)) + b"record"

    async def story(collector: Collector) -> None:
        cable = Cable(port)
        task = asyncio.create_task(collect_line(Line(str(port)), collector, lambda line: None))
        assert await cable.receive() == BYE
        cable.send(hail + hail)
        assert (await cable.receive())[0] == gatt.TIME
        cable.send(frame(record))
        assert await cable.receive() == gatt.ack(1)
        cable.send(frame(bytes((gatt.END,))))
        assert await cable.receive() == BYE
        assert (collector.counts.connections, collector.counts.failed) == (1, 0)
        cable.send(hail * 2)
        assert (await cable.receive())[0] == gatt.TIME
        cable.send(hail)  # that was lost on the line
        assert await cable.receive() == BYE
        assert (collector.counts.connections, collector.counts.failed) == (2, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with Spool(tmp_path / "spool") as spool:
        collector = Collector([NODE], LinkKeys("gw", []), spool, lambda: 5, lambda line: None, old_links=True)
        asyncio.run(asyncio.wait_for(story(collector), 60))
