"""More events than the journal may hold."""

import json

from node_journal.rig import Node, told

a = Node(1, limit=32768)
for _ in range(500):
    a.put("event")
a.outbox.link(True)
print(json.dumps([a.send(), told]))
