"""Records that are sent in parts, over restarts."""

import json

from node_journal.rig import Node, restart

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
