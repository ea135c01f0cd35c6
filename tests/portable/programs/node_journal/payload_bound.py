"""The largest payload, and one that is larger."""

import json

from node_journal.rig import Node, restart

a = Node(1)
a.outbox.put("telemetry", 0, b"telemetry 0 " + bytes(628))
try:
    a.outbox.put("telemetry", 1, bytes(641))
    refused = False
except ValueError as error:
    refused = str(error)
print(json.dumps([refused, restart(2).send()]))
