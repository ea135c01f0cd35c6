"""A flash that takes nothing."""

import json

from node_journal import rig
from node_journal.rig import Node, told

a = Node(1)
rig.flash.cut(1, False)
for n in range(200):
    a.put("event" if n % 20 == 0 else "telemetry")
waiting = len(a.outbox)
a.outbox.link(True)
sent = a.send()
print(json.dumps([waiting, sent, told]))
