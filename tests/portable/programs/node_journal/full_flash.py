"""More records than a flash has room for that is half full of something else."""

import json

from node_journal.rig import Node, told

with open("/n/filler", "wb") as file:
    file.write(bytes(4096 * 20))
a = Node(1)
for n in range(500):
    a.put("event" if n % 50 == 0 else "telemetry")
failed = a.outbox.failed
a.outbox.link(True)
print(json.dumps([a.send(), told, failed]))
