"""A segment is changed between two starts; argument: the change, the segment."""

import json

from node_journal.rig import Node, flipped, restart, spoil, told

CORRUPTIONS = {
    "a bit flips": lambda data: flipped(data, 3000, 4),
    "a length lies": lambda data: flipped(data, data.find(b"\xa0", 3000) + 1, 0x7F),
    "a stretch is erased": lambda data: data[:1000] + b"\xff" * 1000 + data[2000:],
    "the tail is gone": lambda data: data[:5000],
    "it is cut off between two entries": lambda data: data[: 127 * 40],
    "it is empty": lambda data: b"\x00",
    "it is garbage": lambda data: bytes(i * 197 & 255 for i in range(6000)),
}
corruption, segment = argument[2:]

a = Node(1)
for _ in range(120):
    a.put(size=98 - len(str(a.seq)))
spoil("telemetry/%d" % segment, CORRUPTIONS[corruption])
b = restart(2)
b.put("event")
b.outbox.link(True)
sent = b.send()
print(json.dumps([sent, told, len(restart(3).outbox)]))
