"""The journal over littlefs: what is on flash after a restart, what a spoiled segment costs, what a full flash keeps.

On the real MicroPython and its VfsLfs2, on flash in memory. A restart takes the part's contents to a new mount.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.bench import power_cuts

GUEST = Path(power_cuts.__file__).with_name("guest")

Node = Callable[..., Any]

NODE = """
sys.path.append(argument)
import os
import vfs
from nor_flash import NorFlash
from node import journal, outbox
flash = NorFlash(bytearray(b"\\xff" * 4096 * BLOCKS))
vfs.VfsLfs2.mkfs(flash, readsize=256, progsize=256)
vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/n")
told = []
class Node:
    # A node's records: payloads that say who they are.
    def __init__(self, boot, **settings):
        self.seq = 0
        self.outbox = outbox.Outbox(boot, "/n/journal", **settings)
        self.outbox.report = self.event
    def put(self, message_class="telemetry", size=100):
        self.outbox.put(message_class, self.seq, b"%s %d " % (message_class.encode(), self.seq) + bytes(size))
        self.seq += 1
    def event(self, name, subject="", value=None, drops=None):
        told.append([name, subject, value, drops])
        self.put("event")
    def send(self, most=10000):
        sent = []
        while len(sent) < most:
            for name, values in self.outbox.losses():
                self.event(name, **values)
            entry = self.outbox.first()
            if not entry:
                break
            assert entry.payload.startswith(b"%s %d " % (entry.message_class.encode(), entry.seq))
            sent.append([entry.message_class[0], entry.boot, entry.seq])
            self.outbox.done(entry)
        return sent
def restart(boot, **settings):
    # The power goes: RAM is lost, and flash is mounted again.
    global flash
    vfs.umount("/n")
    flash = NorFlash(flash.data)
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/n")
    return Node(boot, **settings)
def spoil(name, change):
    with open("/n/journal/" + name, "rb") as file:
        data = bytearray(file.read())
    data = change(data) or data
    with open("/n/journal/" + name, "wb") as file:
        file.write(data)
"""


@pytest.fixture
def node(micropython: Callable[..., Any]) -> Node:
    def run(code: str, blocks: int = 48) -> Any:
        return micropython(NODE.replace("BLOCKS", str(blocks)) + code, argument=str(GUEST), heap="8m")

    return run


def test_everything_that_waits_survives_a_restart_in_order(node: Node) -> None:
    sent, count, oldest = node("""
a = Node(1)
a.put("event")
for _ in range(30):
    a.put()
b = restart(2)
b.put("event")
b.put()
c = restart(3)
count = len(c.outbox)
oldest = c.outbox.oldest_boot
print(json.dumps([c.send(), count, oldest]))
""")
    assert sent == [["e", 1, 0], ["e", 2, 0], *(["t", 1, n] for n in range(1, 31)), ["t", 2, 1]]
    assert count == 33
    assert oldest == 1


def test_what_was_acknowledged_never_comes_back(node: Node) -> None:
    first, second, third, left = node("""
a = Node(1)
for _ in range(200):
    a.put()
first = a.send(77)
b = restart(2)
second = b.send(100)
c = restart(3)
third = c.send()
d = restart(4)
print(json.dumps([first[-1], second, third, len(d.send())]))
""")
    assert first == ["t", 1, 76]
    assert second == [["t", 1, n] for n in range(77, 177)]
    assert third == [["t", 1, n] for n in range(177, 200)]
    assert left == 0


def test_an_alarm_is_on_flash_before_it_can_be_sent(node: Node) -> None:
    sent = node("""
a = Node(1)
a.outbox.link(True)
a.put()
a.put("event")
print(json.dumps(restart(2).send()))
""")
    assert sent == [["e", 1, 1]]  # the telemetry was in RAM


def test_telemetry_is_in_ram_while_the_link_is_up_and_costs_no_flash(node: Node) -> None:
    operations, spilled, later, always = node("""
a = Node(1)
a.outbox.link(True)
a.put("event")
a.send()
before = flash.operations
for _ in range(60):
    a.put()
    a.send()
operations = flash.operations - before
for _ in range(3):
    a.put()
a.outbox.link(False)
a.put()
b = restart(2)
spilled = len(b.outbox)
b.outbox.link(True)
for _ in range(40):  # the link is said to be up and takes nothing: RAM is bounded
    b.put()
later = len(restart(3).outbox)
c = restart(4, always=True)
c.outbox.link(True)
c.put()
print(json.dumps([operations, spilled, later, len(restart(5).outbox)]))
""")
    assert operations == 0
    assert spilled == 4
    assert 20 + 4 <= later < 40 + 4  # all but the last few
    assert always == later + 1


def test_a_restart_says_from_where_telemetry_may_have_been_lost(node: Node) -> None:
    first, up, idle, down, silent = node("""
a = Node(1)
first = a.outbox.lost_from
a.put("event")
a.put()
a.outbox.link(True)
a.send()
for _ in range(5):
    a.put()
b = restart(2)
up = b.outbox.lost_from
b.put("event")
b.outbox.link(True)
b.send()
for _ in range(1000):
    b.put()
    b.send()
c = restart(3)
idle = c.outbox.lost_from
c.put("event")
c.put()
c.outbox.link(True)
c.send(1)
c.put()
c.outbox.link(False)
c.put()
d = restart(4)
down = d.outbox.lost_from
silent = restart(5).outbox.lost_from  # boot 4 went before it had told anything
print(json.dumps([first, up, idle, down, silent]))
""")
    assert first == []
    assert up == [1, 2]
    assert idle[0] == 2
    assert 1001 - 64 <= idle[1] <= 1001  # never more than 64 records are in doubt that had arrived
    assert down == [3, 4]  # all of it is on flash
    assert silent == [3, 4, 4, 0]


def test_when_full_the_oldest_telemetry_goes_and_the_gap_is_exact(node: Node) -> None:
    sent, told, held = node("""
a = Node(1, limit=32768)
a.put("event")
for n in range(600):
    a.put()
    if n % 100 == 50:
        a.put("event")
held = len(a.outbox)
b = restart(2, limit=32768)
b.put("event")
b.outbox.link(True)
print(json.dumps([b.send(), told, held]))
""")
    events = [seq for message_class, boot, seq in sent if message_class == "e" and boot == 1]
    telemetry = {seq for message_class, boot, seq in sent if message_class == "t"}
    assert len(events) == 7  # every alarm is there
    assert [name for name, *_ in told] == ["records_dropped"]
    runs = told[0][3]
    given_up = {n for i in range(0, len(runs), 3) for n in range(runs[i + 1], runs[i + 2] + 1)}
    assert set(runs[::3]) == {1}
    assert given_up | telemetry | set(events) == set(range(607))
    assert not given_up & (telemetry | set(events))
    assert max(given_up) < min(telemetry)  # the oldest went
    assert held < 32768 / 110


def test_alarms_alone_are_bounded_too_and_the_newest_stay(node: Node) -> None:
    sent, told = node("""
a = Node(1, limit=32768)
for _ in range(500):
    a.put("event")
a.outbox.link(True)
print(json.dumps([a.send(), told]))
""")
    boots_sent = {seq for _, _, seq in sent}
    given_up = {n for event in told for i in range(0, len(event[3]), 3) for n in range(event[3][1], event[3][2] + 1)}
    assert given_up | boots_sent >= set(range(500))
    assert 499 in boots_sent
    assert len(sent) * 115 < 32768 + 8192


def test_a_full_flash_costs_telemetry_and_no_alarm(node: Node) -> None:
    sent, told, failed = node(
        """
with open("/n/filler", "wb") as file:
    file.write(bytes(4096 * 20))
a = Node(1)
for n in range(500):
    a.put("event" if n % 50 == 0 else "telemetry")
failed = a.outbox.failed
a.outbox.link(True)
print(json.dumps([a.send(), told, failed]))
""",
        blocks=40,
    )
    seen = {seq for _, _, seq in sent}
    runs = [event[3][i : i + 3] for event in told for i in range(0, len(event[3]), 3)]
    given_up = {n for _, first, last in runs for n in range(first, last + 1)}
    assert failed > 0
    assert seen | given_up >= set(range(500))
    assert {n for n in range(500) if n % 50 == 0} <= seen


def test_a_flash_that_takes_nothing_leaves_a_bounded_ram(node: Node) -> None:
    waiting, sent, told = node("""
a = Node(1)
flash.cut(1, False)
for n in range(200):
    a.put("event" if n % 20 == 0 else "telemetry")
waiting = len(a.outbox)
a.outbox.link(True)
sent = a.send()
print(json.dumps([waiting, sent, told]))
""")
    assert waiting == 32
    alarms = [seq for message_class, _, seq in sent if message_class == "e"]
    assert alarms[:10] == list(range(0, 200, 20))
    runs = [event[3][i : i + 3] for event in told for i in range(0, len(event[3]), 3)]
    given_up = {n for _, first, last in runs for n in range(first, last + 1)}
    assert given_up | {seq for _, _, seq in sent} >= set(range(200))


CORRUPTIONS = {
    "a bit flips": "data[3000] ^= 4",
    "a length lies": "data[data.find(bytes([0xA0]), 3000) + 1] ^= 0x7F",
    "a stretch is erased": 'data[1000:2000] = b"\\xff" * 1000',
    "the tail is gone": "return data[:5000]",
    "it is cut off between two entries": "return data[: 127 * 40]",
    "it is empty": 'return b"\\x00"',
    "it is garbage": "return bytes(i * 197 & 255 for i in range(6000))",
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("segment", [0, 1])
def test_a_spoiled_segment_costs_what_was_in_it_and_is_told(node: Node, corruption: str, segment: int) -> None:
    sent, told, left = node(f"""
a = Node(1)
for _ in range(120):
    a.put(size=98 - len(str(a.seq)))
def change(data):
    {CORRUPTIONS[corruption]}
spoil("telemetry/{segment}", change)
b = restart(2)
b.put("event")
b.outbox.link(True)
sent = b.send()
print(json.dumps([sent, told, len(restart(3).outbox)]))
""")
    telemetry = [seq for message_class, boot, seq in sent if message_class == "t" and boot == 1]
    runs = [event[3][i : i + 3] for event in told if event[3] for i in range(0, len(event[3]), 3)]
    gone = {n for boot, first, last in runs if boot == 1 for n in range(first, min(last, 119) + 1)}
    assert telemetry == sorted(set(telemetry))
    assert gone | set(telemetry) == set(range(120))
    assert len(telemetry) >= 40  # the other segment is whole
    assert [event[:2] for event in told if event[0] == "flash_failed"] == [["flash_failed", "telemetry"]]
    assert left == 0


@pytest.mark.parametrize("change", ["data[5] ^= 1", "data[-20] ^= 1", "return data[:7]", 'return b""'])
def test_a_spoiled_state_loses_at_most_what_it_staged(node: Node, change: str) -> None:
    sent, told = node(f"""
a = Node(1)
for _ in range(23):
    a.put()
staged = a.outbox._telemetry.staged
def change(data):
    {change}
spoil("telemetry/state", change)
b = restart(2)
b.put("event")
b.outbox.link(True)
print(json.dumps([b.send(), told]))
""")
    telemetry = {seq for message_class, boot, seq in sent if message_class == "t"}
    assert telemetry >= set(range(18))
    if change != 'return b""':  # an empty one is as if there were none
        assert any(event[0] == "flash_failed" for event in told)


def test_strange_files_in_the_folder_do_no_harm(node: Node) -> None:
    sent = node("""
a = Node(1)
for _ in range(20):
    a.put()
for name in ("telemetry/readme", "telemetry/99999999999", "telemetry/-3", "event/7x"):
    with open("/n/journal/" + name, "wb") as file:
        file.write(b"not ours")
os.mkdir("/n/journal/telemetry/500")
b = restart(2)
b.put()
print(json.dumps(b.send()))
""")
    assert [s for s in sent if s[0] == "t"] == [*(["t", 1, n] for n in range(20)), ["t", 2, 0]]


def test_a_payload_over_the_bound_is_refused_and_one_at_it_is_kept(node: Node) -> None:
    refused, sent = node("""
a = Node(1)
a.outbox.put("telemetry", 0, b"telemetry 0 " + bytes(628))
try:
    a.outbox.put("telemetry", 1, bytes(641))
    refused = False
except ValueError as error:
    refused = str(error)
print(json.dumps([refused, restart(2).send()]))
""")
    assert refused == "a payload of 641 bytes: at most 640"
    assert sent == [["t", 1, 0]]


def test_boots_are_counted_over_spoiled_files_and_never_twice(node: Node) -> None:
    plain, leapt, lost = node("""
from node import store
plain = [store.next_boot("/n/boot") for _ in range(4)]
leapt = []
for change in (
    lambda: os.remove("/n/boot.0"),
    lambda: os.remove("/n/boot.1"),
    lambda: open("/n/boot.0", "w").close(),
    lambda: spoil("../boot.1", lambda data: data[:1]),
):
    change()
    leapt.append(store.next_boot("/n/boot"))
for name in ("/n/boot.0", "/n/boot.1"):
    with open(name, "wb") as file:
        file.write(b"7 7")
print(json.dumps([plain, leapt, store.next_boot("/n/boot")]))
""")
    assert plain == [1, 2, 3, 4]
    assert 4 < leapt[0] < leapt[1] < leapt[2] < leapt[3]
    assert lost == 0
