"""Telemetry with the link up, and what of it reaches the flash."""

import json

from node_journal import rig
from node_journal.rig import Node, restart

a = Node(1)
a.outbox.link(True)
a.put("event")
a.send()
before = rig.flash.operations
for _ in range(60):
    a.put()
    a.send()
operations = rig.flash.operations - before
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
