"""The power goes as soon as an event was put."""

import json

from node_journal.rig import Node, restart

a = Node(1)
a.outbox.link(True)
a.put()
a.put("event")
print(json.dumps(restart(2).send()))
