"""Restarts while the link was up, idle and down."""

import json

from node_journal.rig import Node, restart

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
