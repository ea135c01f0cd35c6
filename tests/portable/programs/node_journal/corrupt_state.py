"""The state file is changed between two starts; argument: the change."""

import json

from node_journal.rig import Node, flipped, restart, spoil, told

CHANGES = {
    "its head": lambda data: flipped(data, 5, 1),
    "its tail": lambda data: flipped(data, len(data) - 20, 1),
    "its end is gone": lambda data: data[:7],
    "it is empty": lambda data: b"",
}

a = Node(1)
for _ in range(23):
    a.put()
spoil("telemetry/state", CHANGES[argument[2]])
b = restart(2)
b.put("event")
b.outbox.link(True)
print(json.dumps([b.send(), told]))
