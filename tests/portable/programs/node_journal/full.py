"""More telemetry than the journal may hold, with events between."""

import json

from node_journal.rig import Node, restart, told

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
