"""Three starts, with records that wait."""

import json

from node_journal.rig import Node, restart

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
